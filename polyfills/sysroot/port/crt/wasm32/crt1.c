/* The entry of every program. The arguments and the environment are fetched from the vkernel and
 * laid out as Linux lays them out for a new process (start_block.c). What follows is musl's own start.
 *
 * Constructors run from _init, which musl calls after thread-local storage is set up. Calling
 * __wasm_call_ctors here also keeps the linker from wrapping every export in a call of it. */
#include <stddef.h>
#include <features.h>
#include <limits.h>
#include <sys/mman.h>
#include "syscall.h"
#include "../../src/internal/wasm32/start_block.h"

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

	struct start_sizes sizes = __start_sizes();
	size_t block[sizes.words], random[4];
	char strings[sizes.string_bytes];
	__start_fill(&sizes, block, strings, random);
	__libc_start_main(call_main, sizes.argc, (char **)block, _init, 0, 0);
}
