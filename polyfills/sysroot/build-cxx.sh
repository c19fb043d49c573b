#!/bin/sh
# Builds one variant of the C++ library from ziglang's own LLVM sources: libc++, libc++abi, and of
# libunwind what WebAssembly exceptions need.
#
#   build-cxx.sh single|threads ZIG SYSROOT
#
# SYSROOT holds the C library already (build-musl.sh). It gets `include/c++/v1` and
# `VARIANT/lib/libc++.a`, `libc++abi.a`, `libunwind.a`. Needs make and the small tools.
set -eu

variant=$1 zig=$(readlink -f "$2") out=$(readlink -f "$3") here=$(readlink -f "$(dirname "$0")")
llvm=$(dirname "$zig")/lib

case $variant in
single) features="-mno-atomics" ;;
threads) features="-matomics" ;;
*) echo "build-cxx.sh: \`$variant' is no variant: single or threads" >&2; exit 1 ;;
esac

work=$PWD/obj-cxx-$variant
rm -rf "$work"
mkdir -p "$work" "$out/include/c++/v1"
cp -R "$llvm/libcxx/include/." "$out/include/c++/v1/"
cp "$llvm/libcxxabi/include/cxxabi.h" "$llvm/libcxxabi/include/__cxxabi_config.h" \
	"$here/cxx/__config_site" "$out/include/c++/v1/"
# ziglang gives the settings on the command line and has taken their header out; put it back.
for file in __config __configuration/*.h; do
	(
		cd "$llvm/libcxx/include"
		for name in $file; do
			{ echo '#include <__config_site>'; cat "$name"; } >"$out/include/c++/v1/$name"
		done
	)
done
cp "$llvm/libunwind/include/unwind.h" "$llvm/libunwind/include/unwind_itanium.h" \
	"$llvm/libunwind/include/__libunwind_config.h" "$llvm/libunwind/include/libunwind.h" \
	"$out/include/"

common="--target=wasm32-unknown-linux-musl -fno-pic $features -O2 -mbulk-memory -mmultivalue -mreference-types \
 -mexception-handling -fwasm-exceptions -mllvm -wasm-enable-eh -mllvm -wasm-use-legacy-eh=false \
 -fno-ident -ffunction-sections -fdata-sections -w -nostdinc -D_GNU_SOURCE -DNDEBUG \
 -include $here/port/arch/wasm32/data_model.h -ffile-prefix-map=$here=/port -ffile-prefix-map=$llvm=/llvm -ffile-prefix-map=$out=/sysroot"
headers="-isystem $out/include -isystem $llvm/include"
cxx="-std=c++23 -nostdinc++ -isystem $out/include/c++/v1 $headers -D_LIBCPP_BUILDING_LIBRARY \
 -DLIBCXX_BUILDING_LIBCXXABI -D_LIBCXXABI_BUILDING_LIBRARY -I$llvm/libcxx/src -I$llvm/libcxxabi/src \
 -I$llvm/libcxxabi/include -I$llvm/libcxx/libc -I$here/cxx/build-include -fvisibility-inlines-hidden"

# One rule a file, for make to run two at a time.
cd "$work"
{
	echo "all:"
	add() { # archive, source, compiler options
		source=${2#"$llvm"/}
		object=$1-$(echo "${source#"$here"/}" | tr '/+' '__').o
		printf '%s: %s\n\t@%s clang %s -c %s -o %s\nall: %s\n' \
			"$object" "$2" "$zig" "$3" "$2" "$object" "$object"
		echo "$object" >>"$1.list"
	}
	for file in "$llvm"/libcxx/src/*.cpp "$llvm"/libcxx/src/ryu/*.cpp \
		"$llvm"/libcxx/src/filesystem/*.cpp; do
		case $file in
		*/libcxx/src/pstl/* | */int128_builtins.cpp) continue ;;
		esac
		add cxx "$file" "$common $cxx"
	done
	for file in "$llvm"/libcxxabi/src/*.cpp; do
		case $file in
		# new and delete come from libc++; the other two are for builds without exceptions.
		*/stdlib_new_delete.cpp | */cxa_noexception.cpp) continue ;;
		esac
		add cxxabi "$file" "$common $cxx"
	done
	add unwind "$llvm/libunwind/src/Unwind-wasm.c" \
		"$common $headers -I$llvm/libunwind/include -D_LIBUNWIND_HIDE_SYMBOLS"
	add unwind "$here/cxx/cpp_exception.s" "--target=wasm32-unknown-linux-musl -fno-pic $features -mbulk-memory -mexception-handling"
} >rules.mk
make -sk -j"${BUILD_JOBS:-2}" -f rules.mk all >make.log 2>&1 || { tail -n 40 make.log >&2; exit 1; }
for name in cxx cxxabi unwind; do
	library=lib$(echo $name | sed 's/cxx/c++/').a
	rm -f "$library"
	# shellcheck disable=SC2046
	"$zig" ar rcsD "$library" $(cat $name.list)
	cp "$library" "$out/$variant/lib/"
done
