/* The entry of every program. The arguments and the environment are fetched from the vkernel and
 * laid out as Linux lays them out for a new process: argv, envp, auxv, one after the other, with
 * the strings beside them on the stack. What follows is musl's own start.
 *
 * Constructors run from _init, which musl calls after thread-local storage is set up. Calling
 * __wasm_call_ctors here also keeps the linker from wrapping every export in a call of it. */
#include <elf.h>
#include <stddef.h>
#include <features.h>
#include <limits.h>
#include <sys/mman.h>
#include "syscall.h"

#define IMPORT(name) __attribute__((__import_module__("wali"), __import_name__(#name))) name

int IMPORT(__cl_get_argc)(void);
int IMPORT(__cl_get_argv_len)(int i);
int IMPORT(__cl_copy_argv)(char *buf, int i);
int IMPORT(__get_env_count)(void);
int IMPORT(__get_env_len)(int i);
int IMPORT(__copy_env)(char *buf, int i);

int __libc_start_main(int (*)(int, char **, char **), int, char **,
	void (*)(void), void (*)(void), void (*)(void));

/* Made by the linker. */
extern void __wasm_call_ctors(void);

/* See src/env/wasm32/__main_argc_argv.c. */
int __main_argc_argv(int, char **);

void _init(void)
{
	__wasm_call_ctors();
}

static int call_main(int argc, char **argv, char **envp)
{
	return __main_argc_argv(argc, argv);
}

__attribute__((__export_name__("_start")))
void _start(void)
{
	/* Nothing lies below the stack, whose last page this is: what goes through a null pointer, and a
	 * stack that is used up, is a fault, as on other machines. */
	__syscall(SYS_mprotect, 0, PAGE_SIZE, PROT_NONE);

	int argc = __cl_get_argc(), envc = __get_env_count(), i;
	size_t size = 0;
	for (i = 0; i < argc; i++) size += __cl_get_argv_len(i) + 1;
	for (i = 0; i < envc; i++) size += __get_env_len(i) + 1;

	/* argv, envp and five pairs of auxv. */
	size_t block[argc + 1 + envc + 1 + 10], *p = block;
	char strings[size + 1], *s = strings;
	size_t random[4];

	for (i = 0; i < argc; i++) {
		*p++ = (size_t)s;
		__cl_copy_argv(s, i);
		s += __cl_get_argv_len(i) + 1;
	}
	*p++ = 0;
	for (i = 0; i < envc; i++) {
		*p++ = (size_t)s;
		__copy_env(s, i);
		s += __get_env_len(i) + 1;
	}
	*p++ = 0;
	*s = 0;

	*p++ = AT_PAGESZ; *p++ = PAGE_SIZE;
	if (__syscall(SYS_getrandom, random, sizeof random, 0) == sizeof random) {
		*p++ = AT_RANDOM; *p++ = (size_t)random;
	}
	*p++ = AT_EXECFN; *p++ = argc ? block[0] : (size_t)s;
	*p++ = AT_NULL; *p++ = 0;

	__libc_start_main(call_main, argc, (char **)block, _init, 0, 0);
}
