#!/bin/sh
# Installs what the shop needs on Debian or Ubuntu, apart from Rust: see README.md. It may be run again
# at any time, and does nothing if all is there.
set -eu

SEMGREP=1.180.0
ZIZMOR=1.32.0
CYCLONEDX=7.5.0
# For where the distribution's are too old.
NODE=22.23.3
NPM=10.9.9

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

# The first number of a program's version; 0 if there is no such program.
major() {
    version=$("$1" --version 2>/dev/null || echo 0)
    version=${version#v}
    echo "${version%%.*}"
}

install_packages() {
    missing=
    for package in build-essential postgresql redis-server ca-certificates chromium pipx \
        python3-pytest python3-pytest-cov python3-psycopg2 python3-redis python3-pyflakes python3-packaging; do
        case $(dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null || true) in
            *' installed') ;;
            *) missing="$missing $package" ;;
        esac
    done
    # From wherever: NodeSource's package, for one, has npm in it, and Debian's npm would be at odds
    # with it.
    command -v node >/dev/null || missing="$missing nodejs"
    command -v npm >/dev/null || missing="$missing npm"
    [ -n "$missing" ] || return 0

    # Debian starts a server as soon as it is installed, unless this script says no. The shop starts
    # its own, on ports of their own. A policy that is there already is the machine's and stays.
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
}

# Debian 12's node is too old for the browser test, and its npm lists no licences. npm has newer ones
# of both.
install_node() {
    [ "$(major node)" -lt 20 ] || [ "$(major npm)" -lt 10 ] || return 0
    $sudo npm install --global --no-audit --no-fund "npm@$NPM" "node@$NODE"
}

# scanner PACKAGE VERSION PROGRAM: each in an environment of its own, for all users.
scanner() {
    # Semgrep would ask its makers for a newer version of itself.
    case $(SEMGREP_ENABLE_VERSION_CHECK=0 "$3" --version 2>/dev/null || true) in
        *"$2"*) return 0 ;;
    esac
    $sudo env PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install --force "$1==$2"
}

install_packages
install_node
scanner semgrep "$SEMGREP" semgrep
scanner zizmor "$ZIZMOR" zizmor
scanner cyclonedx-bom "$CYCLONEDX" cyclonedx-py
echo 'all is installed'
