# Completions of taskgate for bash. In ~/.bashrc, behind those of cargo if there are any:
#   eval "$(xtask completions bash)"

_xtask() {
    local program=xtask line
    type -P xtask >/dev/null || program=cargo-xtask
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            '') ;;
            '!files') compopt -o default 2>/dev/null ;;
            '!folders') compopt -o dirnames 2>/dev/null ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done <<<"$(command "$program" __complete bash -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" </dev/null 2>/dev/null)"
}

complete -F _xtask xtask cargo-xtask

# `cargo xtask` completes as `xtask` does; all else of cargo is left to what completed it before.
_xtask_of_cargo() {
    local at
    for ((at = 1; at < COMP_CWORD; at++)); do
        case ${COMP_WORDS[at]} in
            +* | -*) ;;
            xtask)
                _xtask
                return
                ;;
            *) break ;;
        esac
    done
    if [[ -z $_xtask_before ]]; then
        # bash-completion loads cargo's own when it is first asked for, in place of this one.
        { _comp_load cargo || __load_completion cargo; } &>/dev/null
        _xtask_join_cargo
    fi
    if [[ -n $_xtask_before ]]; then
        "$_xtask_before" "$@"
    else
        COMPREPLY=()
    fi
}

# Puts itself in front of the function that completes cargo.
_xtask_join_cargo() {
    local spec
    spec=$(complete -p cargo 2>/dev/null)
    if [[ $spec =~ ' -F '([^ ]+)' ' && ${BASH_REMATCH[1]} != _xtask_of_cargo ]]; then
        _xtask_before=${BASH_REMATCH[1]}
        eval "${spec/ -F $_xtask_before / -F _xtask_of_cargo }"
    elif [[ -z $spec ]]; then
        complete -o bashdefault -o default -F _xtask_of_cargo cargo
    fi
}

_xtask_before=
_xtask_join_cargo
