/* Cancellation without looking at the program counter.
 *
 * Elsewhere musl's handler for SIGCANCEL looks where the thread was: inside a blocking call that
 * has had no effect yet, or not. Here the vkernel answers that: SIGCANCEL is installed without
 * SA_RESTART, and a call that was interrupted, or that began with the signal pending, gives
 * -EINTR if it has had no effect. So each cancellation point asks before the call, and again when
 * the call was interrupted. */
#define _GNU_SOURCE
#include <string.h>
#include "pthread_impl.h"
#include "syscall.h"

hidden long __cancel(), __cp_enter(long), __cp_interrupted(long);

long __cancel()
{
	pthread_t self = __pthread_self();
	if (self->canceldisable == PTHREAD_CANCEL_ENABLE || self->cancelasync)
		pthread_exit(PTHREAD_CANCELED);
	self->canceldisable = PTHREAD_CANCEL_DISABLE;
	return -ECANCELED;
}

/* close always closes, and so is no cancellation point while cancellation is masked. */
static int acts_on(pthread_t self, long nr)
{
	int state = self->canceldisable;
	return self->cancel && state != PTHREAD_CANCEL_DISABLE && !(state && nr == SYS_close);
}

/* The result of the call if it must not be made, else 0. */
long __cp_enter(long nr)
{
	return acts_on(__pthread_self(), nr) ? __cancel() : 0;
}

/* The result of a call that gave -EINTR. */
long __cp_interrupted(long nr)
{
	return nr != SYS_close && acts_on(__pthread_self(), nr) ? __cancel() : -EINTR;
}

static void handler(int sig, siginfo_t *si, void *ctx)
{
	pthread_t self = __pthread_self();
	ucontext_t *uc = ctx;

	a_barrier();
	if (!self->cancel || self->canceldisable == PTHREAD_CANCEL_DISABLE || !self->cancelasync)
		return;
	sigaddset(&uc->uc_sigmask, SIGCANCEL);
	pthread_sigmask(SIG_SETMASK, &uc->uc_sigmask, 0);
	__cancel();
}

void __testcancel()
{
	pthread_t self = __pthread_self();
	if (self->cancel && !self->canceldisable)
		__cancel();
}

static void install(void)
{
	struct sigaction sa = {
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
		.sa_sigaction = handler
	};
	memset(&sa.sa_mask, -1, _NSIG/8);
	__libc_sigaction(SIGCANCEL, &sa, 0);
}

int pthread_cancel(pthread_t t)
{
	static int installed;
	if (!installed) {
		install();
		installed = 1;
	}
	a_store(&__cp_wanted, 1);
	a_store(&t->cancel, 1);
	if (t == pthread_self()) {
		if (t->canceldisable == PTHREAD_CANCEL_ENABLE && t->cancelasync)
			pthread_exit(PTHREAD_CANCELED);
		return 0;
	}
	return pthread_kill(t, SIGCANCEL);
}
