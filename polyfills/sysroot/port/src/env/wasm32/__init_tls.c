/* Thread-local storage, laid out by wasm-ld: the linker makes one block a thread, and
 * __wasm_init_tls points __tls_base at it and fills it. The main thread's is static data and is
 * set up before _start; another thread's lies before its struct pthread. Without atomics there is
 * no such storage, and only the struct is set up. */
#define SYSCALL_NO_TLS 1
#include <string.h>
#include <stddef.h>
#include "pthread_impl.h"
#include "libc.h"
#include "syscall.h"

volatile int __thread_list_lock;

hidden _Thread_local uintptr_t __thread_pointer;

static struct pthread main_thread;

#define ALIGN 16

#ifdef __wasm_atomics__
#define TLS_SIZE __builtin_wasm_tls_size()
#define TLS_ALIGN (__builtin_wasm_tls_align() > ALIGN ? __builtin_wasm_tls_align() : ALIGN)
#else
#define TLS_SIZE 0
#define TLS_ALIGN ALIGN
#endif

int __init_tp(void *p)
{
	pthread_t td = p;
	td->self = td;
	__thread_pointer = (uintptr_t)td;
#ifdef __wasm_atomics__
	libc.can_do_threads = 1;
#endif
	td->detach_state = DT_JOINABLE;
	td->tid = __syscall(SYS_set_tid_address, &__thread_list_lock);
	td->locale = &libc.global_locale;
	td->robust_list.head = &td->robust_list.head;
	td->sysinfo = __sysinfo;
	td->next = td->prev = td;
	return 0;
}

/* Gives the struct pthread of a new thread within libc.tls_size bytes at mem; clone.c finds the
 * block for __wasm_init_tls in its dtv. */
void *__copy_tls(unsigned char *mem)
{
	mem += -(uintptr_t)mem & (libc.tls_align-1);
	pthread_t td = (void *)(mem + (TLS_SIZE + ALIGN-1 & -ALIGN));
	td->dtv = (void *)mem;
	return td;
}

static void static_init_tls(size_t *aux)
{
	libc.tls_align = TLS_ALIGN;
	libc.tls_size = TLS_ALIGN + (TLS_SIZE + ALIGN-1 & -ALIGN)
		+ (sizeof(struct pthread) + ALIGN-1 & -ALIGN);
	__init_tp(&main_thread);
}

weak_alias(static_init_tls, __init_tls);
