/* A detached thread frees its own stack and ends. Between the two calls nothing may be kept in
 * linear memory; the locals of this function live in WebAssembly's own. */
#include "pthread_impl.h"
#include "syscall.h"

void __unmapself(void *base, size_t size)
{
	__syscall(SYS_munmap, base, size);
	for (;;) __syscall(SYS_exit, 0);
}
