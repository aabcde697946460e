#!/bin/sh
# Measures which lines of the program its tests run: unit tests, tests/it and tests/e2e, with all the
# programs that they start. Writes target/coverage/lcov.info and prints a table.
#
# cargo-llvm-cov measures where LLVM's tools are there that can read what this rustc writes, and
# cargo-tarpaulin where they are not. `measure.sh --engine` only says which of them it is.
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

# The first tool called $1 that is not older than the LLVM in rustc: an older one can't read its profiles.
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

# Nobody looks into these builds with a debugger, and nothing is built twice.
export CARGO_INCREMENTAL=0
case $engine in
    llvm-cov)
        # Of its own, so that the ordinary build stays warm.
        export LLVM_COV LLVM_PROFDATA CARGO_LLVM_COV_TARGET_DIR="$out/llvm-cov" CARGO_PROFILE_DEV_DEBUG=0
        # What a former build or run left would be counted too.
        cargo llvm-cov clean --workspace
        # The tests are words.
        # shellcheck disable=SC2086
        cargo llvm-cov --quiet --no-report $tests || fail 'a test failed while it was measured; the same test without it: cargo test'
        cargo llvm-cov report --lcov --no-default-ignore-filename-regex --output-path "$out/all.info"
        ;;
    tarpaulin)
        # It reads the profiles of all processes itself. Its other engine, ptrace, would miss what the tests
        # start, since a traced process can have no second tracer, which is what an audit is.
        # shellcheck disable=SC2086
        cargo tarpaulin --engine llvm --follow-exec --timeout 3600 $tests --out Lcov --output-dir "$out" --target-dir "$out/tarpaulin" ||
            fail 'a test failed while it was measured; the same test without it: cargo test'
        mv "$out/lcov.info" "$out/all.info"
        ;;
esac

# The sources are words too: no path of this repository has a blank.
# shellcheck disable=SC2046
awk -v top="$top" -f coverage/program.awk $(find src xtask/src crates/*/src -name "*.rs") "$out/all.info" >"$out/lcov.part"
mv "$out/lcov.part" "$out/lcov.info"
rm "$out/all.info"
echo "coverage: target/coverage/lcov.info, by $engine"
