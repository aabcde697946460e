# Completions of taskgate for fish:
#   xtask completions fish > ~/.config/fish/conf.d/xtask.fish

function __xtask_complete
    set -l program xtask
    command -q xtask; or set program cargo-xtask
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l found (command $program __complete fish -- $words "$typed" </dev/null 2>/dev/null)
    switch "$found[1]"
        case '!files'
            __fish_complete_path "$typed"
        case '!folders'
            __fish_complete_directories "$typed" ''
        case '*'
            string join \n -- $found
    end
end

# Whether the command of cargo is xtask.
function __xtask_of_cargo
    for word in (commandline -opc)[2..-1]
        switch $word
            case '+*' '-*'
            case xtask
                return 0
            case '*'
                return 1
        end
    end
    return 1
end

complete -c xtask -f -a '(__xtask_complete)'
complete -c cargo-xtask -f -a '(__xtask_complete)'
complete -c cargo -n __xtask_of_cargo -f -a '(__xtask_complete)'
