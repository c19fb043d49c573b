/* about: Descriptors of processes: waiting for one, sending signals to it, and what is no process. */
/* calls: pidfd_open pidfd_send_signal */
#include "../check.h"
#ifndef P_PIDFD
#define P_PIDFD 3
#endif
static int open_pidfd(pid_t p, unsigned flags) { return syscall(SYS_pidfd_open, (long)p, (long)flags); }
static volatile int got;
static void caught(int s, siginfo_t *i, void *c) { (void)c; got = s * 100 + (i->si_code == SI_QUEUE) * 10 + (i->si_pid == getpid()); }
int main(void)
{
	int hold[2];
	pipe(hold);
	pid_t p = fork();
	if (!p) { char c; close(hold[1]); read(hold[0], &c, 1); _exit(7); }
	close(hold[0]);
	int f = open_pidfd(p, 0);
	say("%d, close-on-exec %d", f >= 0, fcntl(f, F_GETFD));
	struct pollfd w = { .fd = f, .events = POLLIN };
	TRY(poll(&w, 1, 0));
	siginfo_t i = { 0 };
	TRY(waitid(P_PIDFD, f, &i, WEXITED | WNOHANG));
	close(hold[1]);
	TRY(poll(&w, 1, -1));
	TRY(waitid(P_PIDFD, f, &i, WEXITED));
	say("%d %d", i.si_status, i.si_pid == p);
	TRY(waitid(P_PIDFD, f, &i, WEXITED));
	TRY(syscall(SYS_pidfd_send_signal, (long)f, 0L, 0L, 0L));
	close(f);
	p = fork();
	if (!p) { pause(); _exit(1); }
	f = open_pidfd(p, 0);
	TRY(syscall(SYS_pidfd_send_signal, (long)f, (long)SIGKILL, 0L, 1L << 20));
	TRY(syscall(SYS_pidfd_send_signal, (long)f, (long)SIGTERM, 0L, 0L));
	int s;
	waitpid(p, &s, 0);
	say_status("ended", s);
	TRY(open_pidfd(p, 0));
	TRY(open_pidfd(-1, 0));
	TRY(open_pidfd(0, 0));
	TRY(open_pidfd(getpid(), 1 << 20));
	struct sigaction a = { .sa_sigaction = caught, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &a, 0);
	f = open_pidfd(getpid(), 0);
	siginfo_t own = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
	own.si_pid = getpid();
	TRY(syscall(SYS_pidfd_send_signal, (long)f, (long)SIGUSR1, &own, 0L));
	say("%d", got);
	TRY(syscall(SYS_pidfd_send_signal, (long)f, (long)SIGUSR2, &own, 0L));
	TRY(syscall(SYS_pidfd_send_signal, 0L, (long)SIGUSR1, 0L, 0L));
	TRY(syscall(SYS_pidfd_send_signal, -1L, (long)SIGUSR1, 0L, 0L));
	TRY(waitid(P_PIDFD, 0, &i, WEXITED));
	TRY(waitid(P_PIDFD, -1, &i, WEXITED));
	TRY(waitid(P_PIDFD, 77, &i, WEXITED));
	return 0;
}
