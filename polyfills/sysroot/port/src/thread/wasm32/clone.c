/* __clone in the two forms that musl uses.
 *
 * A thread: the vkernel makes another instance of the module on the same memory and calls its
 * __wasm_thread_start_libc, which takes over the stack and the thread-local storage that
 * pthread_create made.
 *
 * A process (posix_spawn): fork. The memory is not shared until the exec, as CLONE_VM asks for,
 * but copied; the caller waits on a pipe and not for the child to let go of the memory. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include "pthread_impl.h"
#include "syscall.h"

#ifdef __wasm_atomics__
/* Written before the thread exists, on its own stack. */
struct start {
	unsigned char *stack; /* first: __wasm_thread_start_libc loads it before it has a stack */
	pthread_t self;
	int (*fn)(void *);
	void *arg;
	void *clear_tid;
	unsigned long mask[_NSIG/8/sizeof(long)];
};

__attribute__((__import_module__("wali"), __import_name__("__wasm_thread_spawn")))
int __wasm_thread_spawn(void *fn, void *arg);

void __wasm_init_tls(void *);

hidden _Noreturn void __thread_main(int tid, struct start *s)
{
	__wasm_init_tls(s->self->dtv);
	__thread_pointer = (uintptr_t)s->self;
	s->self->tid = tid;
	__syscall(SYS_rt_sigprocmask, SIG_SETMASK, s->mask, 0, _NSIG/8);
	__syscall(SYS_set_tid_address, s->clear_tid);
	int r = s->fn(s->arg);
	for (;;) __syscall(SYS_exit, r);
}

/* The compiler would use the stack before there is one. */
__asm__(
	".section .text.__wasm_thread_start_libc,\"\",@\n"
	".globaltype __stack_pointer, i32\n"
	".functype __thread_main (i32, i32) -> ()\n"
	".globl __wasm_thread_start_libc\n"
	".export_name __wasm_thread_start_libc, __wasm_thread_start_libc\n"
	".type __wasm_thread_start_libc,@function\n"
	"__wasm_thread_start_libc:\n"
	".functype __wasm_thread_start_libc (i32, i32) -> ()\n"
	"local.get 1\n"
	"i32.load 0\n"
	"global.set __stack_pointer\n"
	"local.get 0\n"
	"local.get 1\n"
	"call __thread_main\n"
	"end_function\n"
);

static int spawn(int (*fn)(void *), unsigned char *stack, void *arg, int *ptid, void *tp, void *ctid)
{
	/* A thread begins without its pointer to itself, which the handlers of musl's own signals use: those
	 * that pthread_create leaves open wait too. */
	unsigned long all[_NSIG/8/sizeof(long)], mask[_NSIG/8/sizeof(long)];
	memset(all, -1, sizeof all);
	__syscall(SYS_rt_sigprocmask, SIG_BLOCK, all, mask, _NSIG/8);

	struct start *s = (void *)((uintptr_t)stack - sizeof *s & -16);
	*s = (struct start){ (void *)s, tp, fn, arg, ctid };
	memcpy(s->mask, mask, sizeof mask);
	int tid = __wasm_thread_spawn(0, s);
	__syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, 0, _NSIG/8);
	if (tid >= 0) *ptid = tid;
	return tid;
}
#else
static int spawn(int (*fn)(void *), unsigned char *stack, void *arg, int *ptid, void *tp, void *ctid)
{
	return -ENOSYS;
}
#endif

int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
	if (flags & CLONE_THREAD) {
		va_list ap;
		va_start(ap, arg);
		int *ptid = va_arg(ap, int *);
		void *tp = va_arg(ap, void *);
		void *ctid = va_arg(ap, void *);
		va_end(ap);
		return spawn(fn, stack, arg, ptid, tp, ctid);
	}
	/* Sharing memory with a process that runs at the same time cannot be had, and neither can
	 * name spaces or another signal at the end. */
	int vfork_like = CLONE_VM | CLONE_VFORK;
	if ((flags & ~vfork_like) != SIGCHLD || (flags & vfork_like) == CLONE_VM)
		return -ENOSYS;
	int pid = __syscall(SYS_fork);
	if (!pid) {
		int r = fn(arg);
		for (;;) __syscall(SYS_exit_group, r);
	}
	return pid;
}
