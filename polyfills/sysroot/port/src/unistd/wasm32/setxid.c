/* The ids of a process are changed in each of its threads. The number of the call is told apart
 * here: given as a variable, it would import every system call there is, and the imports of a
 * program are its allow-list. */
#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "libc.h"
#include "syscall.h"

struct change {
	int number, id, effective, saved;
	/* 1 before the first thread, then what the calls gave. */
	long result;
};

static long call(const struct change *c)
{
	switch (c->number) {
	case SYS_setuid: return __syscall(SYS_setuid, c->id);
	case SYS_setgid: return __syscall(SYS_setgid, c->id);
	case SYS_setreuid: return __syscall(SYS_setreuid, c->id, c->effective);
	case SYS_setregid: return __syscall(SYS_setregid, c->id, c->effective);
	case SYS_setresuid: return __syscall(SYS_setresuid, c->id, c->effective, c->saved);
	case SYS_setresgid: return __syscall(SYS_setresgid, c->id, c->effective, c->saved);
	}
	return -ENOSYS;
}

static void in_each(void *argument)
{
	struct change *c = argument;
	if (c->result < 0) return;
	long result = call(c);
	if (result && !c->result) {
		/* Some threads have the new ids and this one cannot: nothing is safe any more. */
		__block_all_sigs(0);
		__syscall(SYS_kill, __syscall(SYS_getpid), SIGKILL);
	}
	c->result = result;
}

int __setxid(int number, int id, int effective, int saved)
{
	struct change c = { number, id, effective, saved, 1 };
	__synccall(in_each, &c);
	return __syscall_ret(c.result > 0 ? -EAGAIN : c.result);
}
