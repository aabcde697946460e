#!/bin/sh
# Compiles taskgate for the other platforms that it supports, and runs it on ARM64 under qemu. Nothing is
# linked for macOS, since that takes Apple's frameworks. `--install` installs what this needs on Debian or
# Ubuntu, apart from Rust and Python.
set -eu
cd "$(dirname "$0")/../.."

place=${XTASK_REAL_TOOLS:-$HOME/.cache/taskgate-real}
PATH=$place/zig/bin:$PATH
sysroot=/usr/aarch64-linux-gnu
qemu="qemu-aarch64-static -L $sysroot"

if [ "${1:-}" = --install ]; then
    if ! [ -e /usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1 ] || ! command -v qemu-aarch64-static; then
        sudo=
        [ "$(id -u)" = 0 ] || sudo=sudo
        $sudo apt-get update
        $sudo apt-get install --yes --no-install-recommends qemu-user-static libc6-arm64-cross python3-venv
    fi
    python3 -m venv "$place/zig"
    "$place/zig/bin/pip" install --quiet --disable-pip-version-check cargo-zigbuild==0.24.1 ziglang==0.17.1
    rustup target add aarch64-apple-darwin x86_64-apple-darwin x86_64-unknown-linux-musl aarch64-unknown-linux-gnu
    exit
fi

if [ "${1:-}" = --tools ]; then
    cargo-zigbuild --version
    qemu-aarch64-static --version | head -n 1
    exit
fi

# cross COMMAND TARGET ARGS…: runs cargo with zig as the C compiler. C code is not optimised, because that
# takes long.
cross() {
    command=$1 target=$2
    shift 2
    echo "== $command for $target"
    cargo-zigbuild "$command" --quiet --workspace --target "$target" --target-dir target/platforms \
        --config 'profile.dev.package.libgit2-sys.opt-level=0' \
        --config 'profile.dev.package.zstd-sys.opt-level=0' \
        --config 'profile.dev.package.blake3.opt-level=0' "$@"
}

cross check aarch64-apple-darwin --all-targets
cross check x86_64-apple-darwin
cross check x86_64-unknown-linux-musl

# qemu runs a single program. Tests that start other programs would need a kernel that is set up to use qemu.
target=aarch64-unknown-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="$qemu"
cross test $target --lib --bins

echo "== a task runs, is a hit and then a miss on ARM64"
cross build $target --bin xtask
xtask="$qemu $PWD/target/platforms/$target/debug/xtask"
smoke=$(mktemp -d)
trap 'rm -rf "$smoke"' EXIT
cd "$smoke"
git init -q
cat > tasks.toml <<'END'
[hooks]
pre-push = ["unit"]
[tasks.unit]
run = "grep word a.txt"
inputs = ["a.txt"]
END
echo word > a.txt
git add .
git -c user.name=A -c user.email=a@example.com commit -q -m first

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
shows "1 ran" $xtask unit
shows "1 cached" $xtask unit
shows "passed (1 cached" $xtask gate
echo other > a.txt
shows "a.txt changed" $xtask why unit
shows "failed: unit" $xtask unit
