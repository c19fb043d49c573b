/* What libffi's headers want to know of the machine: WebAssembly with the types of 32-bit Linux, and one
 * calling convention, clang's (docs/shared-objects.md). */
#ifndef LIBFFI_TARGET_H
#define LIBFFI_TARGET_H

#ifndef LIBFFI_H
#error "include ffi.h, and not ffitarget.h itself"
#endif

typedef unsigned long ffi_arg;
typedef signed long ffi_sarg;

typedef enum ffi_abi {
	FFI_FIRST_ABI = 0,
	FFI_WASM32,
	FFI_LAST_ABI,
	FFI_DEFAULT_ABI = FFI_WASM32
} ffi_abi;

#define FFI_CLOSURES 1
#define FFI_NATIVE_RAW_API 0
#define FFI_TRAMPOLINE_SIZE 4
#define FFI_TARGET_HAS_COMPLEX_TYPE 1
#define FFI_TARGET_SPECIFIC_VARIADIC 1
#define FFI_TARGET_SPECIFIC_STACK_SPACE_ALLOCATION 1

/* How many arguments come before those of `...`, all of them if there are none; whether there are; which of the
 * program's types of functions this is, or -1. */
#define FFI_EXTRA_CIF_FIELDS \
	unsigned fixed; \
	int variadic; \
	int type

/* ffi_checked.h can be included. */
#define FFI_CHECKED 1

#endif
