#!/bin/sh
# Builds libffi for both variants of the sysroot.
#
#   build-libffi.sh SOURCE PORT OUT
#
# SOURCE is libffi's own, patched; PORT is the folder of this script; OUT gets `include/` and `VARIANT/lib/`.
# Of libffi's own is what no machine has a say in: the checks and layouts of types, and the headers.
set -eu

source=$1 port=$2 out=$3
version=$(sed -n 's/^AC_INIT(\[libffi\],\[\([^]]*\)\].*/\1/p; s/^AC_INIT(\[libffi\], \[\([^]]*\)\].*/\1/p' "$source/configure.ac")
[ -n "$version" ] || { echo "build-libffi.sh: $source/configure.ac does not say which version this is" >&2; exit 1; }

mkdir -p "$out/include"
sed "s/@VERSION@/$version/g; s/@TARGET@/WASM32/g; s/@HAVE_LONG_DOUBLE@/1/g; s/@FFI_EXEC_TRAMPOLINE_TABLE@/0/g" \
	"$source/include/ffi.h.in" > "$out/include/ffi.h"
if grep -n '@[A-Z_]*@' "$out/include/ffi.h"; then
	echo "build-libffi.sh: ffi.h.in asks for something new" >&2
	exit 1
fi
cp "$port/ffitarget.h" "$port/ffi_checked.h" "$out/include/"

for variant in single threads; do
	case $variant in
	single) flags= ;;
	threads) flags=-pthread ;;
	esac
	mkdir -p "$out/$variant/lib" "objects/$variant"
	for file in "$source/src/prep_cif.c" "$source/src/types.c" "$port/ffi_vkernel.c"; do
		# shellcheck disable=SC2086
		vkcc $flags -O2 -I "$out/include" -I "$source/include" -I "$port" -c "$file" \
			-o "objects/$variant/$(basename "$file" .c).o"
	done
	vkar rc "$out/$variant/lib/libffi.a" "objects/$variant/"*.o
done
