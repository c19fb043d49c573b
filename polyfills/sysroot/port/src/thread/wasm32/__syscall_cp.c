/* What happens at cancellation points in a program that cancels no thread: nothing. */
#include "pthread_impl.h"
#include "syscall.h"

/* Whether a thread has ever been cancelled. */
hidden volatile int __cp_wanted;

static long enter(long nr)
{
	return 0;
}

static long interrupted(long nr)
{
	return -EINTR;
}

weak_alias(enter, __cp_enter);
weak_alias(interrupted, __cp_interrupted);
