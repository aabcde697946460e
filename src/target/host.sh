# shellcheck shell=sh disable=SC2034,SC2154,SC2317,SC2329
# The part of a target that runs on a host. It is sent with each call, after assignments of its variables, and
# before `call COMMAND`. It needs a POSIX shell, coreutils, flock, tar, gzip and sha256sum.
#
# All calls: `path` (the folder of the environment). Orders: `token`, `nonce`, `deploy`.
#
# Two locks, always taken in this order: `orders.lock` is held while an order is carried out, so that two orders
# never mix; `lock` is held for a moment while the state is read or written, so that renewing a lease never
# waits for an order. Descriptor 8 is that of `orders.lock`. A line of tasks.toml runs under it for as long as it
# lives, even if this shell is killed: `timeout` keeps the descriptor, and what the line leaves running does not.
#
# The last line of each file of the state is a mark, so that one that was cut off is noticed.
#
# Exit statuses: 0 done; 71 the order is too old, stdout is the deploy that has the lease; 72 another deploy
# has the lease, which is on stdout; 73 failed, stderr says why.

set -u
outer_mask=$(umask)
umask 022
PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
state=$path/.taskgate
# The beginning of each line of tasks.toml that is run.
without_locks='exec 7>&- 8>&- 9>&-
'

fail() {
    printf '%s\n' "$*" >&2
    exit 73
}

# Makes the folders of the state.
prepare() {
    command -v flock >/dev/null || fail "flock is missing; hint: install util-linux"
    mkdir -p "$path/releases" "$state/slots" "$state/logs" || exit 73
    chmod 700 "$state" || exit 73
}

lock_state() {
    exec 9>>"$state/lock"
    flock -w 30 9 || fail "another call holds $state/lock for more than 30 seconds"
}

unlock_state() {
    exec 9>&-
}

lock_orders() {
    exec 8>>"$state/orders.lock"
    flock -w "$wait" 8 || fail "an earlier order is still being carried out"
}

# Makes files and folders durable. Where `sync` takes no files, it does more than that.
flush() {
    sync "$@" 2>/dev/null || sync
}

# open_log FILE: empties a log, whose path is in `log` from then on. On a full disk, what is printed gets lost:
# that must not keep a rollback from happening.
open_log() {
    log=$1
    (umask 077 && printf '%4096s' '' >"$log") 2>/dev/null || rm -f "$state/reserve"
    (umask 077 && printf '%4096s' '' >"$log" && : >"$log") 2>/dev/null || log=/dev/null
}

# put FILE CONTENT: writes a file so that it has either its old or its new content, whatever happens.
put() {
    put_once "$@" && return
    # The reserve is there for this.
    rm -f "$state/reserve"
    put_once "$@" && return
    rm -f "$1.new"
    fail "can't write $1"
}

put_once() {
    rm -f "$1.new"
    # A here-document, since not every shell has a printf of its own, and an argument list can be read by all.
    (umask 077 && cat >"$1.new") <<end-of-content || return 1
$2
# end
end-of-content
    flush "$1.new" && mv -f "$1.new" "$1" && flush "${1%/*}"
}

# get FILE: sets `text` to the content that `put` has written. Fails if there is none, or it was cut off.
get() {
    text=$(cat "$1" 2>/dev/null) || return 1
    case $text in
    *"
# end") ;;
    *) return 1 ;;
    esac
    text=${text%??????}
}

# append FILE LINE: appends a line durably. If that fails, the file is as before.
append() {
    append_once "$@" && return
    rm -f "$state/reserve"
    append_once "$@" && return
    fail "can't write $1"
}

append_once() {
    [ -e "$1" ] || (umask 077 && : >"$1") || return 1
    size=$(wc -c <"$1") || return 1
    # A line that a power failure has cut off, or made zeros of, must not swallow the next one.
    case $(tail -c 1 "$1" | od -An -tx1 | tr -d ' \n') in
    '' | 0a) ;;
    *) echo >>"$1" || return 1 ;;
    esac
    cat >>"$1" <<end-of-content && flush "$1" && return
$2
end-of-content
    dd if=/dev/null of="$1" bs=1 seek="$size" 2>/dev/null
    return 1
}

# link TARGET NAME: makes a symlink or changes it, at once.
link() {
    rm -f "$2.new" && ln -s "$1" "$2.new" && mv -fT "$2.new" "$2" && flush "${2%/*}"
}

# Reads the token that orders must have. If it was lost, that of the lease counts, or the last one of the history.
read_token() {
    known=0 known_nonce='' known_deploy=''
    if get "$state/token"; then
        { read -r known && read -r known_nonce && read -r known_deploy; } <<end-of-text
$text
end-of-text
    elif read_lease; then
        known=$l_token known_nonce=$l_nonce known_deploy=$l_deploy
    elif [ -s "$state/records" ]; then
        known=$(sed -n 's/^{"deploy":"[^"]*","token":\([0-9]*\),.*/\1/p' "$state/records" | sort -n | tail -n 1)
    fi
    case $known in '' | *[!0-9]*) known=0 ;; esac
}

put_token() {
    put "$state/token" "$token
$nonce
$deploy"
}

read_lease() {
    l_token='' l_granted='' l_expires='' l_duration='' l_nonce='' l_deploy='' l_holder=''
    get "$state/lease" || return 1
    {
        read -r l_token && read -r l_granted && read -r l_expires && read -r l_duration &&
            read -r l_nonce && read -r l_deploy && read -r l_holder
    } <<end-of-text
$text
end-of-text
}

put_lease() {
    put "$state/lease" "$l_token
$l_granted
$l_expires
$l_duration
$l_nonce
$l_deploy
$l_holder"
}

show_lease() {
    printf 'lease %s %s %s\nlease-deploy %s\nlease-holder %s\n' \
        "$l_token" "$l_granted" "$l_expires" "$l_deploy" "$l_holder"
}

# Refuses the order of a deploy that another one has taken over, and remembers a newer token.
check() {
    read_token
    if [ "$token" -lt "$known" ] || { [ "$token" -eq "$known" ] && [ "$nonce" != "$known_nonce" ]; }; then
        printf '%s\n' "$known_deploy"
        exit 71
    fi
    [ "$token" -eq "$known" ] || put_token
}

# Begins an order that changes more than the state: no other order is carried out until it has ended.
begin() {
    prepare
    lock_orders
    lock_state
    check
    unlock_state
}

# Whether the lease has expired. One that lasts longer than leases do was granted by a clock that was wrong.
has_expired() {
    now=$(date +%s)
    [ "$l_expires" -le "$now" ] || [ "$l_expires" -gt $((now + l_duration)) ]
}

# Decides whether a lease can be granted: whether there is none, it has expired and is taken over by name, or
# it is the one that was asked for, but its answer was lost.
decide_lease() {
    now=$(date +%s)
    if read_lease; then
        if [ "$l_deploy" = "$deploy" ] && [ "$l_nonce" = "$nonce" ]; then
            token=$l_token
        elif [ "$l_deploy" != "$takes_over" ] || ! has_expired; then
            show_lease
            exit 72
        fi
    fi
}

# Reads the text on stdin into `input`. One that was cut off on its way is refused.
take_input() {
    input=$(cat)
    case $input in
    *end-of-input) ;;
    *) fail "the data of the call was cut off on its way" ;;
    esac
    input=${input%end-of-input}
    input=${input%
}
}

# acquire: `duration` in seconds, `holder`, `takes_over`, `floor` (the highest token of a host), `wait`.
acquire() {
    prepare
    token=''
    lock_state
    decide_lease
    unlock_state
    # An order of the former deploy may still be carried out.
    lock_orders
    lock_state
    decide_lease
    if [ -z "$token" ]; then
        read_token
        # Hosts that know a higher one would refuse every order.
        [ "$known" -ge "$floor" ] || known=$floor
        token=$((known + 1))
        put_token
        l_granted=$now
    fi
    l_token=$token l_expires=$((now + duration)) l_duration=$duration
    l_nonce=$nonce l_deploy=$deploy l_holder=$holder
    put_lease
    # Without a reserve, a rollback may still have enough space.
    [ -e "$state/reserve" ] || dd if=/dev/zero of="$state/reserve" bs=1024 count=512 conv=fsync 2>/dev/null ||
        rm -f "$state/reserve"
    # Who resumes a deploy needs guards with the new token. Those of the old one end by themselves.
    for former in "$state"/former.*; do
        [ -e "$former" ] && start_guard "${former##*/former.}"
    done
    show_lease
}

renew() {
    prepare
    lock_state
    check
    if ! read_lease || [ "$l_token" != "$token" ]; then fail "the lease was given back"; fi
    l_expires=$(($(date +%s) + l_duration))
    put_lease
    # The machine was started again, or somebody has killed it.
    for former in "$state"/former.*; do
        [ ! -e "$former" ] || has_guard "${former##*/former.}" || start_guard "${former##*/former.}"
    done
}

release() {
    prepare
    lock_state
    check
    if get "$state/begun"; then
        if [ "$text" = "$deploy" ]; then
            # The deploy has not ended: the process that guards the weights acts now, and whoever continues need not
            # wait.
            if read_lease && [ "$l_token" = "$token" ]; then
                l_expires=$(date +%s)
                put_lease
            fi
            return
        fi
    else
        rm -f "$state"/former.* "$state"/guard.*
    fi
    rm -f "$state/lease" && flush "$state"
}

# fence: remembers the token; afterwards, no order of an earlier deploy has an effect. `wait`.
fence() {
    prepare
    lock_state
    check
    unlock_state
    # What was ordered before is still carried out.
    begin
}

# observe: prints what is known, and changes nothing. `authority` is 1 where the history is; `unknown` calls
# `unmanaged` for each slot of which something may be known here.
observe() {
    printf 'now %s\n' "$(date +%s)"
    [ ! -d "$state" ] || observe_state
    eval "$unknown"
}

observe_state() {
    if [ -e "$state/lock" ]; then
        exec 9<"$state/lock"
        flock -s -w 30 9 || fail "another call holds $state/lock for more than 30 seconds"
    fi
    read_token
    printf 'token %s\n' "$known"
    [ "$authority" != 1 ] || observe_history
    exec 9<&-
    for folder in "$path"/releases/*; do
        [ ! -d "$folder" ] || printf 'artifact %s\n' "${folder##*/}"
    done
    for file in "$state"/slots/*.release; do
        [ -e "$file" ] || continue
        name=${file##*/}
        name=${name%.release}
        slot=${name##*.} role=${name%.*}
        release=-
        if get "$file"; then release=$text; else printf 'damaged slots/%s\n' "${file##*/}"; fi
        printf 'slot %s %s %s %s\n' "$role" "$slot" "$release" "$(running)"
    done
}

# Prints what only the authority knows.
observe_history() {
    if read_lease; then
        now=$(date +%s)
        # A clock that was wrong must not keep others waiting for hours.
        if has_expired && [ "$l_expires" -gt "$now" ]; then l_expires=$now; fi
        show_lease
    fi
    if get "$state/releases"; then
        printf 'current %s\n' "${text%%
*}"
        printf '%s\n' "$text" | sed '1d; s/^/release /'
    elif [ -e "$state/releases" ]; then
        echo 'damaged releases'
    fi
    if get "$state/number"; then printf 'number %s\n' "$text"; fi
    if [ -e "$state/frozen" ]; then
        get "$state/frozen" || text=''
        printf 'frozen %s\n' "$text"
    fi
    if [ -e "$state/begun" ]; then
        get "$state/begun" || text=''
        printf 'begun %s\n' "$text"
    fi
    if [ -e "$state/records" ]; then
        first=$(grep -an '"record":"started"' "$state/records" | tail -n 1)
        first=${first%%:*}
        tail -n "+${first:-1}" "$state/records" | sed 's/^/record /'
        echo
    fi
    for former in "$state"/former.*; do
        [ ! -e "$former" ] || has_guard "${former##*/former.}" || printf 'unguarded %s\n' "${former##*/former.}"
    done
}

# unmanaged ROLE SLOT PORT LINE: prints whether the processes of a slot run that no deploy has filled.
unmanaged() {
    [ ! -e "$state/slots/$1.$2.release" ] || return 0
    if SLOT=$2 PORT=$3 timeout -k 10 20 sh -c "$4" </dev/null >/dev/null 2>&1; then
        printf 'slot %s %s - yes\n' "$1" "$2"
    else
        printf 'slot %s %s - no\n' "$1" "$2"
    fi
}

# Prints whether the processes of a slot run: yes, no or unknown.
running() {
    line=''
    if get "$state/slots/$role.$slot.status"; then line=$text; fi
    if [ -z "$line" ]; then
        echo unknown
        return
    fi
    limit=20
    in_slot "$line" </dev/null >/dev/null 2>&1 9>&-
    case $? in
    0) echo yes ;;
    # It took too long, is no program, or its folder is missing.
    73 | 12[4-7] | 137) echo unknown ;;
    *) echo no ;;
    esac
}

# in_slot LINE: runs a line in the folder of a slot, with its variables. `role`, `slot`, `limit` in seconds.
in_slot() {
    (become_line_of_slot "$1")
}

# As `in_slot`, in place of this shell: so the process in the background is `timeout`, which gets signals to end.
become_line_of_slot() {
    cd "$path/$role/$slot" || exit 73
    umask "$outer_mask"
    # The variables of a slot may have any names.
    set -- "$1" "$limit" "$path/$role/$slot.env" "$(command -v timeout)" "$(command -v sh)" "$without_locks"
    set -a
    # shellcheck disable=SC1090
    . "$3" || exit 73
    set +au
    exec "$4" -k 10 "$2" "$5" -c "$6$1"
}

# limited SECONDS LINE: runs a line of tasks.toml, in place of this shell.
limited() {
    exec timeout -k 10 "$1" sh -c "$without_locks$2"
}

# attend: waits for the command in the background, and returns its exit status. A signal to end is passed on to it.
attend() {
    child=$!
    trap 'kill "$child" 2>/dev/null' HUP INT TERM
    while
        wait "$child"
        ended=$?
        [ "$ended" -gt 128 ] && kill -0 "$child" 2>/dev/null
    do :; done
    trap - HUP INT TERM
    return "$ended"
}

# run_line LINE: runs a line as `in_slot` does. What it starts keeps neither the locks nor the connection.
run_line() {
    run_logged "$1"
    explain $? "$1"
}

# run_logged LINE: returns the exit status of a line; its output is in `log`.
run_logged() {
    open_log "$state/logs/$role.$slot.log"
    become_line_of_slot "$1" </dev/null >"$log" 2>&1 &
    attend
}

# Prints the end of `log` in one line. Half a secret would not be recognized, so a line that is cut is left out.
end_of_log() {
    if [ "$(wc -c <"$log")" -gt 2000 ]; then last=$(tail -c 2000 "$log" | sed 1d); else last=$(cat "$log"); fi
    printf '%s\n' "$last" | tail -n 5 | tr '\n' ' '
}

# ended: prints `ended` and the end of the log of a slot if it is known that nothing runs there. `role`, `slot`.
ended() {
    [ "$(running)" = no ] || return 0
    log=$state/logs/$role.$slot.log
    printf 'ended '
    [ ! -r "$log" ] || end_of_log
}

# explain STATUS LINE: fails with the last output of a line in `log`, unless the status is 0.
explain() {
    [ "$1" -ne 0 ] || return 0
    case $1 in
    124 | 137) how="was ended after $limit seconds" ;;
    *) how="exit status $1" ;;
    esac
    last=$(end_of_log)
    last=${last% }
    fail "\`$2\`: $how${last:+: $last}"
}

# record: the rest of the line after the time is on stdin; `number` of the release that is started, or empty;
# `phase` of the deploy: begun, ended or empty.
record() {
    prepare
    take_input
    rest=$input
    lock_state
    check
    if [ -n "$number" ]; then
        last=0
        if get "$state/number"; then last=$text; fi
        [ "$number" -le "$last" ] || put "$state/number" "$number"
    fi
    append_record
    # If the history is damaged later, this says that a deploy is missing in it.
    case $phase in
    begun) put "$state/begun" "$deploy" ;;
    ended) rm -f "$state/begun" && flush "$state" ;;
    esac
}

append_record() {
    append "$state/records" "$head$(date +%s)000,$rest"
}

# freeze: as record; `who` is what observe prints.
freeze() {
    prepare
    take_input
    rest=$input
    lock_state
    check
    put "$state/frozen" "$who"
    append_record
}

unfreeze() {
    prepare
    take_input
    rest=$input
    lock_state
    check
    rm -f "$state/frozen" && flush "$state"
    append_record
}

# missing: prints those of the artifacts in `names` that are not here.
missing() {
    for name in $names; do
        [ -d "$path/releases/$name" ] || printf '%s\n' "$name"
    done
}

# deliver: a packed artifact is on stdin; `digest`, `name`, `need` in KiB.
deliver() {
    prepare
    lock_state
    check
    unlock_state
    [ ! -d "$path/releases/$name" ] || return 0
    # What a killed call of an earlier deploy left.
    for old in "$path"/releases/.new-*; do
        number=${old##*/.new-}
        number=${number%%-*}
        [ ! -e "$old" ] || [ "$number" -ge "$token" ] || rm -rf "$old"
    done
    free=$(df -Pk "$path" | awk 'NR == 2 { print $4 }')
    [ "${free:-0}" -ge "$need" ] || fail "no space: $need KiB are needed below $path, $free KiB are free"
    new=$path/releases/.new-$token-$name-$$
    trap 'rm -rf "$new" "$new.tar"' EXIT
    trap 'exit 73' HUP INT PIPE TERM
    unpack "$new.tar" "$new"
    sync -f "$new" 2>/dev/null || sync
    lock_state
    check
    if [ ! -d "$path/releases/$name" ]; then
        mv "$new" "$path/releases/$name" && flush "$path/releases" || exit 73
    fi
}

# stage: the variables are on stdin; `role`, `slot`, `release`, `artifacts` (lines of name and folder),
# `stop_line`, `status_line`, `wait`.
stage() {
    take_input
    variables=$input
    begin
    mkdir -p "$path/$role" "$path/slots" || exit 73
    known=$state/slots/$role.$slot
    [ ! -e "$known.stopping" ] || end_processes
    # Until the end, the slot has no release.
    rm -f "$known.release" "$known.started" && flush "$state/slots" || exit 73
    count=0 folder=''
    while read -r name folder; do
        [ -n "$name" ] || continue
        [ -d "$path/releases/$folder" ] || fail "artifact $name is not on this host: releases/$folder is missing"
        count=$((count + 1))
        only=../releases/$folder
    done <<end-of-artifacts
$artifacts
end-of-artifacts
    if [ $count -ne 1 ]; then
        only=../slots/$release.$role
        new=$path/slots/.new-$release.$role
        rm -rf "$new" && mkdir "$new" || exit 73
        while read -r name folder; do
            [ -z "$name" ] || ln -s "../../releases/$folder" "$new/$name" || exit 73
        done <<end-of-artifacts
$artifacts
end-of-artifacts
        if [ -d "$path/slots/$release.$role" ]; then rm -rf "$new"; else mv "$new" "$path/slots/$release.$role" || exit 73; fi
    fi
    put "$path/$role/$slot.env" "$variables"
    put "$known.stop" "$stop_line"
    put "$known.status" "$status_line"
    link "$only" "$path/$role/$slot" || exit 73
    put "$known.release" "$release"
}

# start: the variables are on stdin; `role`, `slot`, `release`, `line`, `limit`, `wait`. What runs already stays,
# unless its variables have changed since it was started: a secret that was replaced must not be used any more.
start() {
    take_input
    variables=$input
    begin
    known=$state/slots/$role.$slot
    found=none
    if get "$known.release"; then found=$text; fi
    [ "$found" = "$release" ] || fail "$role/$slot contains release $found, not $release"
    get "$path/$role/$slot.env" || text=''
    if [ "$text" != "$variables" ]; then
        halt
        put "$path/$role/$slot.env" "$variables"
    fi
    # What was told to end may look as if it ran.
    [ ! -e "$known.stopping" ] || end_processes
    if get "$known.started" && [ "$text" = "$release" ] && [ "$(running 8>&-)" = yes ]; then return 0; fi
    put "$known.started" "$release"
    run_line "$line"
}

# stop: `role`, `slot`, `limit`, `wait`. It runs the line that belongs to what was staged there.
stop() {
    begin
    known=$state/slots/$role.$slot
    halt
}

# Stops the processes of the slot that `known` is about.
halt() {
    [ -e "$known.stop" ] && [ -L "$path/$role/$slot" ] || return 0
    [ ! -e "$known.started" ] && [ ! -e "$known.stopping" ] && [ "$(running 8>&-)" != yes ] || end_processes
}

# Ends the processes of a slot, whose files are `known.*`.
end_processes() {
    get "$known.stop" || fail "$known.stop was cut off; hint: stop $role/$slot on the host, then: rm $known.*"
    stop_line=$text
    : >"$known.stopping" && flush "$state/slots" || exit 73
    run_logged "$stop_line"
    ended=$?
    # A line such as `kill` fails if nothing runs any more, which is what was wanted.
    [ "$ended" -eq 0 ] || [ "$(running 8>&-)" = no ] || explain "$ended" "$stop_line"
    # A line such as `kill` returns before the processes have ended.
    end=$(($(date +%s) + limit))
    while [ "$(running 8>&-)" = yes ]; do
        [ "$(date +%s)" -lt "$end" ] || fail "\`$stop_line\`: the processes still run after $limit seconds"
        sleep 0.1 2>/dev/null || sleep 1
    done
    rm -f "$known.started" "$known.stopping" && flush "$state/slots"
}

# commit: the release as JSON is on stdin; `release`.
commit() {
    take_input
    json=$input
    begin
    lock_state
    others=''
    if get "$state/releases"; then
        others=$(printf '%s\n' "$text" | sed 1d | grep -v "^{\"id\":\"$release\",")
    fi
    # From now on, the weights of before the deploy are those of an old release.
    rm -f "$state"/former.*
    # One file says what is current and what has succeeded, so that it is never half written.
    put "$state/releases" "$release
${others:+$others
}$json"
}

# point: the slot that contains `release` is the one that starts after a reboot. `role`, `wait`. It serves, even
# if no deploy has started it.
point() {
    begin
    for slot in blue green; do
        get "$state/slots/$role.$slot.release" && [ "$text" = "$release" ] || continue
        [ -e "$state/slots/$role.$slot.started" ] || put "$state/slots/$role.$slot.started" "$release"
        link "$slot" "$path/$role/current" || exit 73
        return 0
    done
    fail "no slot of $role contains release $release"
}

# prune: only the releases in `keep` are targets of a rollback from now on. `wait`.
prune() {
    begin
    lock_state
    get "$state/releases" || return 0
    current=${text%%
*}
    set --
    for id in $keep; do set -- "$@" -e "^{\"id\":\"$id\","; done
    rest=''
    [ $# -eq 0 ] || rest=$(printf '%s\n' "$text" | grep "$@")
    put "$state/releases" "$current${rest:+
$rest}"
}

# clean: removes all artifacts but those in `names`, and those that a slot contains. `wait`.
clean() {
    begin
    used=$(for link in "$path"/*/blue "$path"/*/green; do [ ! -L "$link" ] || readlink "$link"; done)
    for folder in "$path"/slots/* "$path"/slots/.new-*; do
        [ -d "$folder" ] || continue
        case "
$used
" in
        *"
../slots/${folder##*/}
"*) for link in "$folder"/*; do [ ! -L "$link" ] || used="$used
$(readlink "$link")"; done ;;
        *) rm -rf "$folder" ;;
        esac
    done
    for folder in "$path"/releases/*; do
        [ -d "$folder" ] || continue
        name=${folder##*/}
        case " $names " in *" $name "*) continue ;; esac
        case "$used
" in *"/releases/$name
"*) continue ;; esac
        # What is removed half must not look whole.
        mv "$folder" "$path/releases/.new-0-$name-$$" || exit 73
    done
    rm -rf "$path"/releases/.new-*
}

# run: runs `line` in the folder of an artifact, with the variables on stdin; prints its output. `folder`, `limit`,
# `wait`, `lasting`. With `token` empty, it is no order.
run() {
    take_input
    variables=$input
    if [ -n "$token" ]; then begin; fi
    # Before the first deploy, there is no folder, and a question about pending migrations needs none.
    cd "$path/$folder" 2>/dev/null || { [ -z "$token" ] && cd /; } || fail "$path/$folder is missing"
    run_here
}

# run_packed: as `run`, in a temporary folder with what the packed artifact on stdin contains; nothing changes
# below `path`. `variables`, `digest`, `limit`, `lasting`.
run_packed() {
    token=''
    new=$(mktemp -d) || fail "can't make a temporary folder"
    trap 'rm -rf "$new"' EXIT
    trap 'exit 73' HUP INT PIPE TERM
    unpack "$new/archive" "$new/content"
    cd "$new/content" || exit 73
    run_here
}

# unpack FILE FOLDER: unpacks the packed artifact on stdin into a new folder, by way of a file; `digest`.
unpack() {
    gzip -dc >"$1" || fail "can't unpack the artifact: it is damaged, or the disk is full"
    sum=$(sha256sum "$1") || exit 73
    [ "${sum%% *}" = "$digest" ] || fail "the digest of what arrived is sha256:${sum%% *}, not sha256:$digest"
    mkdir "$2" || exit 73
    tar -xpof "$1" -C "$2" || fail "can't unpack the artifact: the disk is full, or it is no archive"
    rm -f "$1"
}

# Runs `line` in the current folder with `variables`, and prints its output. With `lasting` 1, that includes what it
# says on stderr, and a lost connection does not end the line.
run_here() {
    if [ "$lasting" != 1 ]; then
        (become_line) </dev/null
        status=$?
        case $status in
        0) return ;;
        124 | 137) fail "\`$line\`: was ended after $limit seconds" ;;
        *) fail "\`$line\`: exit status $status" ;;
        esac
    fi
    # Its output must not go to the connection. If that is lost, the next write would end the line half way.
    logs=$state/logs
    if [ -z "$token" ]; then logs=$(mktemp -d) || exit 73; fi
    open_log "$logs/run"
    become_line </dev/null >"$log" 2>&1 &
    attend
    status=$?
    cat "$log"
    (explain "$status" "$line")
    status=$?
    rm -f "$logs/run"
    [ -n "$token" ] || rmdir "$logs"
    [ "$status" -eq 0 ] || exit 73
}

# pack: prints what an artifact contains, packed. `folder`.
pack() {
    cd "$path/$folder" 2>/dev/null || fail "$path/$folder is missing"
    tar -cf - . | gzip -c
}

# Runs `line` in place of this shell.
become_line() {
    umask "$outer_mask"
    # The variables may have any names.
    set -- "$line" "$limit" "$(command -v timeout)" "$(command -v sh)" "$without_locks"
    set -a
    eval "$variables"
    set +au
    exec "$3" -k 10 "$2" "$4" -c "$5$1"
}

# order: carries out the function `action`, which follows this text. `wait`. Its output does not go to the
# connection: if that is lost, the next write would end the action half way.
order() {
    begin
    open_log "$state/logs/order"
    said=$( (action) 2>"$log" 9>&-) || {
        cat "$log" >&2
        exit 73
    }
    printf '%s\n' "$said"
}

query() {
    (action) || exit 73
}

# has_guard ROLE: whether the process runs that brings the weights of a role back. It proves it by a lock.
has_guard() {
    [ -e "$state/guard.$1.lock" ] && ! flock -n "$state/guard.$1.lock" true
}

# start_guard ROLE: starts this process. It ends by itself if it is not needed.
start_guard() {
    get "$state/guard.$1" || return 0
    setsid sh "$state/guard.$1" </dev/null >"$state/logs/guard.$1.log" 2>&1 7>&- 8>&- 9>&- &
}

# Whether the deploy is under way for which `guard` was started.
is_guarded() {
    [ -e "$state/former.$role" ] && read_lease && [ "$l_token" = "$token" ] || return 1
    read_token
    # The process of another role may have been faster.
    [ "$known" = "$token" ] || [ "$known_nonce" = "lost-$token" ]
}

# guard: waits until the deploy ends or its lease expires. Then all orders of the deploy become too old, and
# the function `action`, which follows this text, brings the weights of before the deploy back. `role`, `deploy`,
# `wait`. The token is that of the lease, so that the same program serves one who resumes the deploy.
guard() {
    exec 7>>"$state/guard.$role.lock"
    flock -w 30 7 || exit 0
    read_lease && [ "$l_deploy" = "$deploy" ] || exit 0
    token=$l_token
    while sleep 1 7>&- && is_guarded; do
        has_expired || continue
        lock_orders
        lock_state
        if is_guarded && has_expired; then
            if [ "$known" = "$token" ]; then (
                nonce=lost-$token token=$((token + 1)) && put_token
            ) || exit 73; fi
            unlock_state
            tries=0
            until (action) 7>&- 9>&-; do
                tries=$((tries + 1))
                [ $tries -lt 10 ] || fail "the weights of $role did not come back"
                sleep 1
            done
            return 0
        fi
        unlock_state
        exec 8>&-
    done
}
