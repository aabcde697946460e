#!/bin/sh
# Installs the programs that coverage/measure.sh needs: cargo-llvm-cov with LLVM's tools, from rustup or
# Debian, or else cargo-tarpaulin, which needs no other tools. It can be run any number of times.
set -eu
cd "$(dirname "$0")/.."

if ./coverage/measure.sh --engine 2>/dev/null; then
    exit 0
fi

llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo

rustup_has_them() { command -v rustup >/dev/null && rustup component add llvm-tools; }

debian_has_them() {
    command -v apt-get >/dev/null || return 1
    $sudo apt-get update
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "llvm-$llvm"
}

if rustup_has_them || debian_has_them; then
    command -v cargo-llvm-cov >/dev/null || cargo install --quiet --locked --version 0.9.1 cargo-llvm-cov
else
    echo "LLVM's tools for LLVM $llvm are not to be had here; installing cargo-tarpaulin" >&2
    cargo install --quiet --locked --version 0.37.5 --no-default-features cargo-tarpaulin
fi
./coverage/measure.sh --engine
