#!/bin/sh
# Installs what the shop needs on Debian or Ubuntu, apart from Rust: see README.md. It may be run again
# at any time, and does nothing if all is there.
set -eu

missing=
for package in build-essential postgresql redis-server ca-certificates \
    python3-pytest python3-psycopg2 python3-redis python3-pyflakes; do
    case $(dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null || true) in
        *' installed') ;;
        *) missing="$missing $package" ;;
    esac
done
# From wherever: NodeSource's package, for one, has npm in it, and Debian's npm would be at odds with it.
command -v node >/dev/null || missing="$missing nodejs"
command -v npm >/dev/null || missing="$missing npm"

if [ -z "$missing" ]; then
    echo 'all is installed'
    exit 0
fi

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

# Debian starts a server as soon as it is installed, unless this script says no. The shop starts its
# own, on ports of their own. A policy that is there already is the machine's and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$sudo rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod +x "$policy"
fi

$sudo apt-get update
# The names are to be split.
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing

# Nor shall what was installed just now start with the machine.
if command -v systemctl >/dev/null; then
    for server in postgresql redis-server; do
        case "$missing " in *" $server "*) $sudo systemctl disable "$server" ;; esac
    done
fi
