#!/bin/sh
# Measures which lines of the program its tests execute: unit tests, tests/it and tests/e2e, including all
# programs that they start. Writes target/coverage/lcov.info and prints a table.
#
# It uses cargo-llvm-cov if there are LLVM tools that can read the output of this rustc, and cargo-tarpaulin
# otherwise. `measure.sh --engine` only prints which one it uses.
set -eu
cd "$(dirname "$0")/.."
top=$(pwd -P)
out=$top/target/coverage

fail() {
    echo "coverage: $1" >&2
    exit 1
}

rustc=$(rustc -vV)
host=$(echo "$rustc" | sed -n 's/^host: //p')
llvm=$(echo "$rustc" | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')

# Prints the first tool called $1 that is not older than the LLVM of rustc. An older tool can't read rustc's
# profiles.
tool() {
    for candidate in "$(rustc --print sysroot)/lib/rustlib/$host/bin/$1" "$1-$llvm" "/usr/lib/llvm-$llvm/bin/$1" "$1"; do
        found=$(command -v "$candidate") || continue
        version=$("$found" --version 2>/dev/null | sed -n 's/.*LLVM version \([0-9]*\).*/\1/p')
        if [ "${version:-0}" -ge "$llvm" ]; then
            echo "$found"
            return
        fi
    done
}

engine=
LLVM_COV=${LLVM_COV:-$(tool llvm-cov)}
LLVM_PROFDATA=${LLVM_PROFDATA:-$(tool llvm-profdata)}
if [ -n "$LLVM_COV" ] && [ -n "$LLVM_PROFDATA" ] && command -v cargo-llvm-cov >/dev/null; then
    engine=llvm-cov
elif command -v cargo-tarpaulin >/dev/null; then
    engine=tarpaulin
else
    fail "neither cargo-llvm-cov with llvm-cov and llvm-profdata of LLVM $llvm or newer is here nor cargo-tarpaulin; coverage/install.sh installs one of them"
fi

if [ "${1:-}" = --engine ]; then
    case $engine in
        llvm-cov) cargo llvm-cov --version && "$LLVM_COV" --version | grep 'LLVM version' ;;
        tarpaulin) cargo tarpaulin --version ;;
    esac
    exit
fi

tests='--workspace --lib --bins --test it --test e2e'
mkdir -p "$out"
rm -f "$out/lcov.info"

# These builds need neither debug information nor incremental compilation.
export CARGO_INCREMENTAL=0
case $engine in
    llvm-cov)
        # A target folder of its own keeps the normal builds valid.
        export LLVM_COV LLVM_PROFDATA CARGO_LLVM_COV_TARGET_DIR="$out/llvm-cov" CARGO_PROFILE_DEV_DEBUG=0
        # Data of an earlier build or run would be counted too.
        cargo llvm-cov clean --workspace
        # $tests is a list of arguments.
        # shellcheck disable=SC2086
        cargo llvm-cov --quiet --no-report $tests || fail 'a test failed while it was measured; the same test without it: cargo test'
        # Tests kill programs at random moments, also while they write their profiles.
        cargo llvm-cov report --failure-mode all --lcov --no-default-ignore-filename-regex --output-path "$out/all.info"
        ;;
    tarpaulin)
        # This engine reads the profiles of all processes. The other engine, ptrace, would miss programs that
        # the tests trace themselves, because a process can have only one tracer.
        # shellcheck disable=SC2086
        cargo tarpaulin --engine llvm --follow-exec --timeout 3600 $tests --out Lcov --output-dir "$out" --target-dir "$out/tarpaulin" ||
            fail 'a test failed while it was measured; the same test without it: cargo test'
        mv "$out/lcov.info" "$out/all.info"
        ;;
esac

# $(find …) is a list of arguments. No path in this repository contains a blank.
# shellcheck disable=SC2046
awk -v top="$top" -f coverage/program.awk $(find src xtask/src crates/*/src -name "*.rs") "$out/all.info" >"$out/lcov.part"
mv "$out/lcov.part" "$out/lcov.info"
rm "$out/all.info"
echo "coverage: target/coverage/lcov.info, by $engine"
