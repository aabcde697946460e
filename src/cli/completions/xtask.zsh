#compdef xtask cargo-xtask
# Completions of taskgate for zsh. In ~/.zshrc, behind compinit:
#   source <(xtask completions zsh)

_xtask() {
    local program=xtask
    (( $+commands[xtask] )) || program=cargo-xtask
    local -a found
    found=(${(f)"$(command $program __complete zsh -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" </dev/null 2>/dev/null)"})
    case ${found[1]} in
        '') return 1 ;;
        '!files') _files ;;
        '!folders') _files -/ ;;
        *) _describe xtask found ;;
    esac
}

# What cargo's own completion calls for `cargo xtask`.
_cargo-xtask() {
    _xtask
}

if [[ $funcstack[1] == _xtask ]]; then
    _xtask
elif (( $+functions[compdef] )); then
    compdef _xtask xtask cargo-xtask
fi
