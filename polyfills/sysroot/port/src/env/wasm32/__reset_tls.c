/* Gives the calling thread fresh thread-local variables (for timers that run a function in a
 * thread, time after time). */
#include "pthread_impl.h"

#ifdef __wasm_atomics__
void __wasm_init_tls(void *);

void __reset_tls()
{
	uintptr_t tp = __thread_pointer;
	__wasm_init_tls(__builtin_wasm_tls_base());
	__thread_pointer = tp;
}
#else
void __reset_tls()
{
}
#endif
