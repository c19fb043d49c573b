#!/bin/sh
# Builds one variant of the sysroot's C library.
#
#   build-musl.sh single|threads ZIG MUSL OUT
#
# ZIG is ziglang's `zig`, MUSL the patched source, OUT the folder that gets `include/` and
# `VARIANT/lib/`. Beside this script lie port/, syscalls.txt and syscalls.awk. Needs make, sed, awk
# and the small tools; what it writes depends on nothing else of the machine.
set -eu

variant=$1 zig=$(readlink -f "$2") musl=$(readlink -f "$3") here=$(readlink -f "$(dirname "$0")")
mkdir -p "$4"
out=$(readlink -f "$4")

case $variant in
single) features="-mno-atomics" ;;
threads) features="-matomics" ;;
*) echo "build-musl.sh: \`$variant' is no variant: single or threads" >&2; exit 1 ;;
esac

work=$PWD/obj-musl-$variant
rm -rf "$work"
mkdir -p "$work/musl"
cp -R "$musl/." "$work/musl/"
cp -R "$here/port/." "$work/musl/"
mkdir -p "$work/musl/src/misc/wasm32"
generate() { awk -v what="$1" -f "$here/syscalls.awk" "$here/syscalls.txt" > "$work/musl/$2"; }
generate numbers arch/wasm32/bits/syscall.h.in
generate calls arch/wasm32/bits/syscall_call.h
generate variadic src/misc/wasm32/syscall.c

export ZIG_GLOBAL_CACHE_DIR="$work/cache" ZIG_LOCAL_CACHE_DIR="$work/cache"
cd "$work/musl"
cat > config.mak <<END
ARCH = wasm32
prefix = $out
includedir = $out/include
libdir = $out/$variant/lib
CC = $zig clang --target=wasm32-unknown-linux-musl -fno-pic
AR = $zig ar
RANLIB = $zig ranlib
LIBCC =
CFLAGS_AUTO = -O2 $features -mbulk-memory -mexception-handling -mmultivalue -mreference-types \\
	-mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false -Xclang -exception-model=wasm -fno-strict-aliasing -fno-math-errno -fno-ident -fvisibility=default \\
	-ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -w \\
	-include $work/musl/arch/wasm32/data_model.h -ffile-prefix-map=$work/musl=/musl
END
jobs=${BUILD_JOBS:-2}
make -sk -j"$jobs" lib/libc.a obj/crt/wasm32/crt1.o >make.log 2>&1 || { tail -n 30 make.log >&2; exit 1; }
make install-headers >>make.log 2>&1
for name in m rt pthread crypt util xnet resolv dl; do make "lib/lib$name.a" >>make.log 2>&1; done
mkdir -p "$out/$variant/lib"
cp lib/*.a "$out/$variant/lib/"
cp obj/crt/wasm32/crt1.o "$out/$variant/lib/"
