#!/bin/sh
# Checks taskgate on the other platforms that it supports. For macOS it is only compiled, since linking takes
# Apple's frameworks. For musl it is built and makes a short run. For ARM64 it is built, and the unit tests
# that touch the system and the same short run pass under qemu. `--install` installs what this needs on Debian
# or Ubuntu, apart from Rust and Python.
set -eu
cd "$(dirname "$0")/../.."

cargo_zigbuild=0.24.1
ziglang=0.17.1
macs="aarch64-apple-darwin x86_64-apple-darwin"
musl=x86_64-unknown-linux-musl
arm64=aarch64-unknown-linux-gnu

place=${XTASK_REAL_TOOLS:-$HOME/.cache/taskgate-real}
PATH=$place/zig/bin:$PATH
arm64_libraries=/usr/aarch64-linux-gnu
qemu="qemu-aarch64-static -L $arm64_libraries"

# Modules that touch the system, of taskgate and of open-trace. Others only compute. Those of git are left out
# because their tests start git thousands of times, for which qemu needs many minutes.
modules="base:: cache:: key:: process:: file_path:: linux::"

# Tests that can't pass under qemu, each with the reason.
skipped() {
    # A guard adopts orphans (PR_SET_CHILD_SUBREAPER) and starts the test program again; qemu can do neither.
    echo process::tests::guard::no_process_survives_the_kill_of_a_runner
    echo process::tests::guard::no_process_survives_the_kill_of_a_runner_at_any_moment
    echo process::tests::guard::guard_ends_nothing_after_a_normal_exit
    echo process::tests::orphan_search::process_that_ends_is_no_orphan_of_another_run
    # It needs the addresses in /proc/self/stat, and qemu shows zeros.
    echo process::tests::orphan_search::process_is_seen_during_exec
    # It takes minutes.
    echo cache::tests::gc::concurrent_stores_lookups_restores_and_collections_work
}

if [ "${1:-}" = --install ]; then
    debian=
    command -v qemu-aarch64-static >/dev/null || debian="$debian qemu-user-static"
    [ -e "$arm64_libraries/lib/ld-linux-aarch64.so.1" ] || debian="$debian libc6-arm64-cross"
    python3 -c 'import ensurepip, venv' 2>/dev/null || debian="$debian python3-venv"
    if [ -n "$debian" ]; then
        sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update
        # $debian is a list of names.
        # shellcheck disable=SC2086
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $debian
    fi
    python3 -m venv "$place/zig"
    "$place/zig/bin/pip" install --quiet --disable-pip-version-check \
        "cargo-zigbuild==$cargo_zigbuild" "ziglang==$ziglang"
    # $macs is a list.
    # shellcheck disable=SC2086
    rustup target add $macs $musl $arm64
    exit
fi

if [ "${1:-}" = --tools ]; then
    cargo-zigbuild --version
    python-zig version
    qemu-aarch64-static --version | head -n 1
    exit
fi

# cross COMMAND ARGS…: runs cargo with zig as the C compiler. It compiles for speed of compilation.
cross() {
    command=$1
    shift
    cargo-zigbuild "$command" --quiet --workspace --target-dir target/platforms \
        --config 'profile.dev.package.libgit2-sys.opt-level=0' \
        --config 'profile.dev.package.zstd-sys.opt-level=0' \
        --config 'profile.dev.package.blake3.opt-level=0' "$@"
}
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$qemu"

# step TEXT: prints what comes next, and how long the step before took.
step() {
    now=$(date +%s)
    [ -z "${began:-}" ] || echo "   $((now - began)) s"
    began=$now
    [ -z "$1" ] || echo "== $1"
}

# shows TEXT COMMAND…: fails unless the command's output contains the text.
shows() {
    text=$1
    shift
    output=$("$@" 2>&1) || true
    echo "$output"
    case $output in
        *"$text"*) ;;
        *) echo "platforms: it should say: $text" >&2; exit 1 ;;
    esac
}

# short_run XTASK: makes tasks.toml, takes the task that was tried meanwhile from the cache, runs it, judges the
# commit, and says why the task has to run again.
short_run() (
    repo=$(mktemp -d)
    trap 'rm -rf "$repo"' EXIT
    cd "$repo"
    git init -q -b main
    git config user.name A
    git config user.email a@example.com
    printf 'test:\n\tgrep word a.txt\n' > Makefile
    echo word > a.txt
    git add .
    git commit -q -m First
    shows "wrote tasks.toml with 1 task" $1 init
    git add .
    git commit -q -m Tasks
    shows "1 cached" $1 test
    shows "1 ran" $1 test --force
    shows "passed" $1 gate
    echo other > a.txt
    shows "a.txt" $1 why test
    shows "failed: test" $1 test
)

step "compile for macOS"
for mac in $macs; do
    set -- "$@" --target "$mac"
done
cross check "$@"

step "build for musl and ARM64"
cross build --target $musl --target $arm64 --bin xtask

step "a short run with musl"
short_run "$PWD/target/platforms/$musl/debug/xtask"

step "a short run on ARM64"
short_run "$qemu $PWD/target/platforms/$arm64/debug/xtask"

step "build the unit tests for ARM64"
list=$(cross test --target $arm64 --lib -- --list)
set -- --test-threads=1
for name in $(skipped); do
    case $list in
        *"$name: test"*) set -- "$@" --skip "$name" ;;
        *) echo "platforms: there is no test $name: remove it from this script" >&2; exit 1 ;;
    esac
done

# One thread: qemu may hang when one of several threads starts a process.
step "unit tests on ARM64"
# $modules is a list.
# shellcheck disable=SC2086
PROPTEST_CASES=8 cross test --target $arm64 --lib -- "$@" $modules
step ""
