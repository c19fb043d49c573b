/* The snapshot point, and the start from a snapshot (<vkernel/snapshot.h>).
 *
 * The vkernel restores memory, globals, mappings and what it knows of signals. Here the C library takes up
 * a new process in that memory: what it learned when the program was started it learns again, and
 * what must not be the same in two processes is made anew. The stack pointer is that of the snapshot
 * point, so that main's frame and all before it stay where pointers may lead to them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vkernel/snapshot.h>
#include "libc.h"
#include "pthread_impl.h"
#include "stdio_impl.h"
#include "syscall.h"
#include "../../internal/wasm32/start_block.h"

__attribute__((__import_module__("wali"), __import_name__("__snapshot_point")))
int __snapshot_point(void);

hidden void __malloc_new_secret(const void *);

/* Only programs have it that know of time zones. */
extern void tzset(void) __attribute__((__weak__));

int vkernel_snapshot(void)
{
	return __snapshot_point();
}

/* The zone is looked up again where it is next asked for, as if TZ had been another one until now. */
static void forget_zone(void)
{
	static char other[] = "TZ=SNAPSHOT0";
	char *environment[] = { other, 0 }, **own = __environ;
	if (!tzset) return;
	__environ = environment;
	tzset();
	__environ = own;
}

/* What the standard streams learned of descriptors that were others then. What is in their buffers stays,
 * as after fork. */
static void renew_streams(void)
{
	FILE *in = __stdin_used, *out = __stdout_used;
	if (in) in->flags &= ~(F_EOF | F_ERR);
	if (out) {
		out->flags &= ~F_ERR;
		/* Whether it is a terminal is asked at the first write. */
		if (!(out->flags & F_SVB) && out->write == __stdio_write) {
			out->write = __stdout_write;
			out->lbf = '\n';
		}
	}
}

__attribute__((__export_name__("vkernel_snapshot_resume")))
int __vkernel_snapshot_resume(void)
{
	struct start_sizes sizes = __start_sizes();
	size_t block[sizes.words], random[4];
	char strings[sizes.string_bytes];
	__start_fill(&sizes, block, strings, random);

	pthread_t self = __pthread_self();
	locale_t locale = self->locale;
	char **argv = (char **)block, **envp = argv + sizes.argc + 1;
	/* Environment, auxv, the program's name, the thread's id, the canary. */
	__init_libc(envp, argv[0]);
	self->locale = locale;
	__malloc_new_secret(random + 2);
	forget_zone();
	renew_streams();

	int status = vkernel_resume(sizes.argc, argv, envp);
	if (status == VKERNEL_COLD) return VKERNEL_COLD;
	exit(status);
}
