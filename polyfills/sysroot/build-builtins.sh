#!/bin/sh
# Builds one variant of the compiler's run-time functions (128-bit integers, long double, …) from
# ziglang's own compiler_rt.
#
#   build-builtins.sh single|threads ZIG OUT
#
# OUT gets VARIANT/lib/libclang_rt.builtins.a. Needs the small tools only.
set -eu

variant=$1 zig=$(readlink -f "$2")
mkdir -p "$3/$variant/lib"
out=$(readlink -f "$3")

cpu=generic+bulk_memory+bulk_memory_opt+sign_ext+nontrapping_fptoint+mutable_globals
case $variant in
single) ;;
threads) cpu=$cpu+atomics ;;
*) echo "build-builtins.sh: \`$variant' is no variant: single or threads" >&2; exit 1 ;;
esac

work=$PWD/obj-builtins-$variant
rm -rf "$work"
mkdir -p "$work"
export ZIG_GLOBAL_CACHE_DIR="$work/cache" ZIG_LOCAL_CACHE_DIR="$work/cache"
cd "$work"
"$zig" build-obj "$(dirname "$zig")/lib/compiler_rt.zig" -target wasm32-freestanding -mcpu="$cpu" \
	-O ReleaseFast -fstrip -fno-stack-check --name builtins -femit-bin=builtins.o
# A custom section: its length, the length of its name, name and contents.
printf '\000\031\022vkernel.data_modelilp32;' >>builtins.o
rm -f libclang_rt.builtins.a
"$zig" ar rcsD libclang_rt.builtins.a builtins.o
cp libclang_rt.builtins.a "$out/$variant/lib/"
