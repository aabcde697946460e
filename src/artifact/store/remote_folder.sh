# shellcheck shell=sh disable=SC2154,SC2317,SC2329
# The part of a store that runs on another machine. It is sent with each call, after assignments of `folder` and
# `hex`, the digits of a digest, and before a command. It needs a POSIX shell, coreutils, gzip, sha256sum and
# find.
#
# Exit statuses: 0 done; 71 there is no such artifact; 72 it is damaged; 73 failed, stderr says why.

set -u
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
object=$folder/$hex.tar.gz

fail() {
    printf '%s\n' "$*" >&2
    exit 73
}

# Makes files and folders durable. Where `sync` takes no files, it does more than that.
flush() {
    sync "$@" 2>/dev/null || sync
}

# Prints the digest of a gzipped archive. That of one that is cut off is another one.
digest() {
    { gzip -dc <"$1" 2>/dev/null || echo damaged; } | sha256sum | cut -c 1-64
}

# has: exits with 0 if the object is there and undamaged.
has() {
    [ -e "$object" ] || exit 71
    [ -r "$object" ] || fail "$object can't be read"
    [ "$(digest "$object")" = "$hex" ] || exit 72
}

# put: the gzipped archive is on stdin.
put() {
    if [ -e "$object" ] && [ "$(digest "$object")" = "$hex" ]; then
        # It counts as new, so that nobody removes it before it is used.
        touch "$object" 2>/dev/null
        return 0
    fi
    mkdir -p "$folder" || exit 73
    new=$(mktemp "$folder/.new-XXXXXXXX") || exit 73
    trap 'rm -f "$new"' EXIT
    trap 'exit 73' HUP INT PIPE TERM
    cat >"$new" || exit 73
    [ "$(digest "$new")" = "$hex" ] || fail "what arrived is damaged or not complete"
    # The umask decides who may read it.
    chmod =rw "$new" && flush "$new" && mv -f "$new" "$object" && flush "$folder" || exit 73
}

# get: prints a part of the object, of `count` MiB after `skip` MiB.
get() {
    [ -e "$object" ] || exit 71
    dd if="$object" bs=1048576 skip="$skip" count="$count" 2>/dev/null || fail "$object can't be read"
}

# retain: removes the objects that are older than `minutes`, but those whose digits are on stdin, each on a line
# of its own, and prints the digits of those that it removes.
retain() {
    [ -d "$folder" ] || return 0
    keep=$(cat)
    # What a killed call left.
    find "$folder" -maxdepth 1 -type f -name '.new-*' -mmin +1440 -exec rm -f {} +
    find "$folder" -maxdepth 1 -type f -name '*.tar.gz' -mmin "+$minutes" | while read -r file; do
        hex=${file##*/}
        hex=${hex%.tar.gz}
        case $hex in *[!0-9a-f]*) continue ;; esac
        [ ${#hex} -eq 64 ] || continue
        printf '%s\n' "$keep" | grep -qxF "$hex" && continue
        rm -f "$file" || exit 73
        printf '%s\n' "$hex"
    done || exit 73
}
