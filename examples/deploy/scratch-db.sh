#!/bin/sh
# Runs a PostgreSQL server of its own on 127.0.0.1:PORT, with the user and the database `shop`, until
# it gets SIGTERM. Its data lives in a fresh temporary folder and is deleted at the end, so any number
# of these run side by side.
#
# usage: ./scratch-db.sh PORT|--version
set -eu

port=${1:?usage: ./scratch-db.sh PORT|--version}

# Debian keeps the server's programs out of PATH; take the newest.
if ! command -v initdb >/dev/null || ! command -v postgres >/dev/null; then
    bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
    PATH=${bin:?PostgreSQL is not installed, see README.md}:$PATH
fi
[ "$port" != --version ] || exec postgres --version

# PostgreSQL refuses to run as root; root, as in a container, takes Debian's user for it.
as=
if [ "$(id -u)" = 0 ]; then
    as='setpriv --reuid=postgres --regid=postgres --init-groups --'
fi

server=
data=

stop() {
    # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
    if [ -n "$server" ]; then
        kill -INT "$server" 2>/dev/null || true
    else
        exit 1
    fi
}
trap '[ -z "$data" ] || rm -rf "$data"' EXIT
trap stop INT TERM HUP

# Where the runner says, so that it can clean up even if this script is killed; else with the other
# temporary files. PostgreSQL's user may be kept out of root's folders: then below /tmp.
for parent in "${XTASK_SERVICE_DIR:-}" "${TMPDIR:-}" /tmp; do
    [ -n "$parent" ] || continue
    data=$(mktemp -d "$parent/shop-postgres.XXXXXX")
    [ -z "$as" ] || chown postgres: "$data"
    if $as test -w "$data"; then break; fi
    rmdir "$data"
    data=
done
cd "${data:?no folder that PostgreSQL can write to}"

# No passwords and no care for power cuts: the data is a test's, and only this machine reaches it.
$as initdb --pgdata="$data" --username=shop --auth=trust --encoding=UTF8 --no-locale --no-sync >/dev/null
echo 'CREATE DATABASE shop' | $as postgres --single -F -D "$data" -c log_checkpoints=off postgres >/dev/null

# TCP only: a Unix socket would lie in a folder that all servers of this machine share.
$as postgres -D "$data" -p "$port" \
    -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off &
server=$!

# A signal ends `wait` before the server has ended; wait on until it is gone.
status=0
while kill -0 "$server" 2>/dev/null; do
    wait "$server" && status=0 || status=$?
done
exit "$status"
