/* about: Page 0: what is read and written there, and system calls with pointers into it. */
/* calls: read access */
#include "../check.h"
static sigjmp_buf out;
static void *volatile where;
static void jump(int s, siginfo_t *i, void *c)
{
	(void)c;
	where = i->si_addr;
	siglongjmp(out, s);
}
/* The accesses stand in functions of their own: a jump is caught in the caller's. */
static __attribute__((noinline)) int load(volatile int *p) { return *p; }
static __attribute__((noinline)) void store(volatile int *p) { *p = 1; }
int main(void)
{
	int fd = open("/dev/zero", O_RDONLY), status;
	char *volatile pointer = (char *)1;
	long done = read(fd, pointer, 4);
	tried("read to 1", done, errno);
	done = access(pointer, 0);
	tried("access of 1", done, errno);
	done = write(1, pointer + 7, 0);
	tried("write of nothing from 8", done, errno);
	for (int w = 0; w < 2; w++) {
		pid_t child = fork();
		if (!child) {
			close(2);
			if (w) store((void *)(pointer + 7));
			else load((void *)(pointer + 7));
			_exit(0);
		}
		waitpid(child, &status, 0);
		say("%s of *8 ends by %d", w ? "store" : "load", WTERMSIG(status));
	}
	struct sigaction a = { .sa_sigaction = jump, .sa_flags = SA_SIGINFO };
	sigaction(SIGSEGV, &a, 0);
	for (int w = 0; w < 2; w++) {
		int signal = sigsetjmp(out, 1);
		if (!signal) {
			if (w) store((void *)(pointer + 11));
			else load((void *)(pointer + 11));
			say("nothing");
		} else {
			say("%s of *12: signal %d at %p", w ? "store" : "load", signal, where);
		}
	}
	/* Functions of variable arguments, called without any. */
	say("flags %d", fcntl(0, F_GETFD));
	say("dumpable %d", prctl(PR_GET_DUMPABLE));
	return 0;
}
