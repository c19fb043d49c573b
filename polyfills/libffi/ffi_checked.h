/* What this libffi has besides libffi's own functions. A function of WebAssembly has a type, which a call must
 * name: whoever cannot know that a pointer's function has the type of the call uses these. */
#ifndef FFI_CHECKED_H
#define FFI_CHECKED_H

#include <stddef.h>
#include <ffi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What ffi_call_checked gives besides FFI_OK: the pointer is no function's of the type that the call has. */
#define FFI_BAD_FUNCTION 16
/* What ffi_prep_closure_loc gives besides libffi's own: all callbacks of this type are in use. */
#define FFI_NO_CLOSURE 17

/* ffi_call, which instead of ending the program gives FFI_BAD_FUNCTION and has called nothing. */
int ffi_call_checked(ffi_cif *cif, void (*function)(void), void *result, void **values);

/* Says in words why such a call cannot be: at most `size` bytes, of which the last is NUL. */
void ffi_explain(ffi_cif *cif, void (*function)(void), char *text, size_t size);

/* The function of a closure that ffi_prep_closure_loc has prepared. It is known only then; what
 * ffi_closure_alloc gives is replaced where ffi_closure_alloc was told to put it, but not in copies. */
void *ffi_closure_code(void *closure);

#ifdef __cplusplus
}
#endif

#endif
