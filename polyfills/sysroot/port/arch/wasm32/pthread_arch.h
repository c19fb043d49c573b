/* The thread pointer is a thread-local variable: WebAssembly has __tls_base and no register of
 * the C library's own. Without atomics the compiler makes it a plain variable. */
extern hidden _Thread_local uintptr_t __thread_pointer;

static inline uintptr_t __get_tp(void)
{
	return __thread_pointer;
}
