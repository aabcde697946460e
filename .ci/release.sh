#!/bin/sh
# Builds the program for a target and packs it with its checksum into target/release-files, as
# src/workflow/install_runner.sh expects it: .ci/release.sh TARGET
set -eu
cd "$(dirname "$0")/.."
target=$1
profile=${PROFILE:-release}

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
if [ "${GITHUB_REF_TYPE:-}" = tag ] && [ "$GITHUB_REF_NAME" != "v$version" ]; then
    echo ".ci/release.sh: the tag $GITHUB_REF_NAME is not that of version $version" >&2
    exit 1
fi

rustup target add "$target"
case $target in
    *-musl)
        # The same C compiler as in tests/real/platforms.sh.
        eval "$(grep -E '^(cargo_zigbuild|ziglang)=[0-9.]+$' tests/real/platforms.sh)"
        # shellcheck disable=SC2154
        [ -x target/zig/bin/cargo-zigbuild ] || { python3 -m venv target/zig &&
            target/zig/bin/pip install --quiet "cargo-zigbuild==$cargo_zigbuild" "ziglang==$ziglang"; }
        PATH=$PWD/target/zig/bin:$PATH
        build="cargo-zigbuild build"
        ;;
    *) build="cargo build" ;;
esac
$build --locked --package xtask --bin xtask --target "$target" --profile "$profile"

folder=$profile
[ "$profile" != dev ] || folder=debug
file=xtask-$version-$target.tar.gz
mkdir -p target/release-files
tar -czf "target/release-files/$file" -C "target/$target/$folder" xtask
cd target/release-files
{ sha256sum "$file" 2>/dev/null || shasum -a 256 "$file"; } > "$file.sha256"
cat "$file.sha256"
