#!/bin/sh
# taskgate hook 1: @STAGE@
# `xtask hooks install` wrote this file, and `xtask hooks uninstall` removes it. If there was another
# hook before, it is kept as @STAGE@.before-xtask in this folder and runs first.

stage=@STAGE@
installer=@PROGRAM@

# The kept hook gets the same arguments and the same standard input.
former=$0.before-xtask
if [ -f "$former" ] && [ -x "$former" ]; then
    if [ @STDIN@ = yes ]; then
        # `$(...)` removes line ends at the end, so a dot protects them.
        input=$(cat; echo .)
        input=${input%.}
        printf %s "$input" | "$former" "$@" || exit $?
        end='
'
        exec <<INPUT
${input%"$end"}
INPUT
    else
        "$former" "$@" || exit $?
    fi
fi

# Returns whether a line of the file $1 starts with $2 and has a `=` after it.
has_line() {
    [ -f "$1" ] || return 1
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            "$2"*=*) return 0 ;;
        esac
    done <"$1"
    return 1
}
# Returns whether the repository has its own xtask that is built with taskgate.
is_own() {
    has_line xtask/Cargo.toml taskgate &&
        { has_line .cargo/config.toml xtask || has_line .cargo/config xtask; }
}

found=$(command -v xtask)
[ -n "$found" ] || { [ -n "$installer" ] && [ -x "$installer" ] && found=$installer; }

# Graphical git clients start hooks with a short PATH. Add the usual folders of tools.
for folder in "${CARGO_HOME:-$HOME/.cargo}/bin" "$HOME/.local/bin" "$HOME/bin" \
    "$HOME/.local/share/mise/shims" "$HOME/.asdf/shims" "$HOME/.volta/bin" "$HOME/.bun/bin" \
    "$HOME/.deno/bin" "$HOME/go/bin" /usr/local/bin /opt/homebrew/bin /home/linuxbrew/.linuxbrew/bin; do
    case :$PATH: in
        *:"$folder":*) ;;
        *) [ ! -d "$folder" ] || PATH=$PATH:$folder ;;
    esac
done
export PATH
[ -n "$found" ] || found=$(command -v xtask)

if is_own && command -v cargo >/dev/null; then
    if [ -n "$GIT_INDEX_FILE" ]; then
        case $GIT_INDEX_FILE in
            /*) XTASK_INDEX_FILE=$GIT_INDEX_FILE ;;
            *) XTASK_INDEX_FILE=$PWD/$GIT_INDEX_FILE ;;
        esac
        export XTASK_INDEX_FILE
    fi
    # Otherwise git commands in build scripts would work on this repository.
    # shellcheck disable=SC2046
    unset $(git rev-parse --local-env-vars)
    exec cargo --quiet xtask hook "$stage" "$@"
fi
[ -z "$found" ] || exec "$found" hook "$stage" "$@"

echo "$stage: xtask is not found on PATH nor where it usually lies, so nothing was checked." >&2
echo "hint: install taskgate (its README says how), or take this hook out: rm '$0'" >&2
case $stage in
    post-*) exit 0 ;;
    *) exit 1 ;;
esac
