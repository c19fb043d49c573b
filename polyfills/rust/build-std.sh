#!/bin/sh
# Builds std for wasm32-vkernel-linux-musl, without network:
#
#   build-std.sh LIBRARY LIBC SYSROOT
#
# LIBRARY is the folder `library` of rust-src with the patches 01 to 03, and with the crates that it needs in
# `vendor`; LIBC is the crate `libc` with its patch. Both are written to. SYSROOT is made: a sysroot for rustc with
# this target alone, and in SYSROOT/libc the `libc` crate for programs.
#
# VKRUST_RUSTC and CARGO say which compiler and cargo, of one version with LIBRARY.
set -eu
target=wasm32-vkernel-linux-musl
here=$(cd "$(dirname "$0")" && pwd)
library=$(cd "$1" && pwd)
libc=$(cd "$2" && pwd)
mkdir -p "$3/lib/rustlib/$target/lib"
sysroot=$(cd "$3" && pwd)
cp "$here/$target.json" "$sysroot/lib/rustlib/$target/target.json"

# std takes `libc` from the vendored crates, by the version and the checksum in its lock file.
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$libc/Cargo.toml" | head -n 1)
rm -rf "$library"/vendor/libc-*
cp -R "$libc" "$library/vendor/libc-$version"
checksum=$(awk '$0 == "name = \"libc\"" { found = 1 } found && $1 == "checksum" { gsub("\"", "", $3); print $3; exit }' \
    "$library/Cargo.lock")
printf '{"files":{},"package":"%s"}\n' "$checksum" >"$library/vendor/libc-$version/.cargo-checksum.json"
awk -v version="$version" '
    $1 == "name" { libc = $3 == "\"libc\"" }
    $1 == "version" && libc { $3 = "\"" version "\"" }
    { print }' "$library/Cargo.lock" >"$library/Cargo.lock.new"
mv "$library/Cargo.lock.new" "$library/Cargo.lock"

# cargo reads std's manifests, which say things of nightly. Paths in what is made do not name this machine.
RUSTC_BOOTSTRAP=1
RUSTC=$here/rustc.sh
VKRUST_SYSROOT=$sysroot
RUSTFLAGS="-Zforce-unstable-if-unmarked --remap-path-prefix=$library=/rustc/library"
CARGO_TARGET_DIR=$library/target
CARGO_PROFILE_DIST_DEBUG=0
CARGO_NET_OFFLINE=true
__CARGO_DEFAULT_LIB_METADATA=vkernel
export RUSTC_BOOTSTRAP RUSTC VKRUST_SYSROOT RUSTFLAGS CARGO_TARGET_DIR CARGO_PROFILE_DIST_DEBUG CARGO_NET_OFFLINE \
    __CARGO_DEFAULT_LIB_METADATA
# The settings in library/.cargo count in that folder.
(cd "$library" && "${CARGO-cargo}" build --locked --profile dist --manifest-path sysroot/Cargo.toml --target $target)
cp "$CARGO_TARGET_DIR/$target/dist/deps"/*.rlib "$sysroot/lib/rustlib/$target/lib/"

# Programs cannot have std's own crates, of which cargo wants to know even if they are not used.
cp -R "$libc" "$sysroot/libc"
awk '/^\[/ { drop = /^\[dependencies.rustc-std-workspace-core\]/ } !drop && !/"rustc-std-workspace-core"/' \
    "$libc/Cargo.toml" >"$sysroot/libc/Cargo.toml"
