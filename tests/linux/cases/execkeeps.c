/* about: What exec keeps of a process and what it begins anew; what others may do with a process that has
 * executed a program, and with the program's file. */
#include "../check.h"
static void handler(int s) { (void)s; }
static void after(void)
{
	struct itimerspec t;
	struct itimerval w;
	stack_t s;
	struct sigaction a;
	sigset_t m;
	char b[64] = "";
	int p = 0, n = 0;
	TRY(syscall(SYS_timer_gettime, 0L, &t));
	getitimer(ITIMER_REAL, &w);
	sigaltstack(0, &s);
	say("itimer %d, stack %d", w.it_value.tv_sec > 0, !(s.ss_flags & SS_DISABLE));
	sigaction(SIGUSR1, 0, &a);
	say("handler %d", a.sa_handler == SIG_DFL);
	sigaction(SIGUSR2, 0, &a);
	say("ignored %d", a.sa_handler == SIG_IGN);
	sigprocmask(0, 0, &m);
	say("mask %d %d", sigismember(&m, SIGHUP), sigismember(&m, SIGTERM));
	sigpending(&m);
	say("pending %d", sigismember(&m, SIGHUP));
	prctl(PR_GET_NAME, b);
	say("name %s", b);
	prctl(PR_GET_PDEATHSIG, &p);
	say("pdeathsig %d dumpable %d keepcaps %d", p, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0));
	say("persona %x", (unsigned)syscall(SYS_personality, 0xffffffffL));
	for (int f = 3; f < 20; f++) n += fcntl(f, F_GETFD) >= 0;
	say("descriptors %d, nice %d, umask %o", n, getpriority(PRIO_PROCESS, 0), umask(0));
	FILE *q = fopen("/proc/self/status", "r");
	while (q && fgets(b, sizeof b, q)) if (!strncmp(b, "VmLck", 5)) say("locked %d", atoi(b + 6));
}
int main(int argc, char **argv)
{
	static char own[] = "/bin/execkeeps";
	if (argc > 2) {
		pause();
		return 0;
	}
	if (argc > 1) {
		after();
		return 0;
	}
	int go[2], s;
	pipe(go);
	pid_t p = fork();
	if (!p) {
		execl(own, own, "a", "wait", NULL);
		_exit(9);
	}
	pid_t q = fork();
	if (!q) { pause(); _exit(0); }
	for (int i = 0; i < 500; i++) {
		char path[32], line[64] = "";
		snprintf(path, sizeof path, "/proc/%d/cmdline", p);
		int f = open(path, O_RDONLY), n = read(f, line, sizeof line - 1);
		close(f);
		if (n > 18 && !strcmp(line + n - 5, "wait")) break;
		usleep(10000);
	}
	TRY(setpgid(p, 0));
	TRY(setpgid(p, -1));
	TRY(setpgid(q, 0));
	TRY(setpgid(q, 0));
	TRY(setpgid(1, 0));
	TRY(open(own, O_WRONLY));
	TRY(open(own, O_RDWR | O_TRUNC));
	TRY(open(own, O_RDONLY) >= 0);
	kill(p, SIGKILL);
	kill(q, SIGKILL);
	waitpid(p, &s, 0);
	waitpid(q, &s, 0);
	TRY(setpgid(p, 0));
	timer_t t;
	syscall(SYS_timer_create, (long)CLOCK_REALTIME, 0L, &t);
	struct itimerval w = { { 0, 0 }, { 100, 0 } };
	setitimer(ITIMER_REAL, &w, 0);
	static char st[65536];
	stack_t alt = { .ss_sp = st, .ss_size = sizeof st };
	sigaltstack(&alt, 0);
	signal(SIGUSR1, handler);
	signal(SIGUSR2, SIG_IGN);
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGHUP);
	sigprocmask(SIG_SETMASK, &m, 0);
	raise(SIGHUP);
	prctl(PR_SET_NAME, "changed");
	prctl(PR_SET_PDEATHSIG, 10L, 0L, 0L, 0L);
	prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
	prctl(PR_SET_KEEPCAPS, 1L, 0L, 0L, 0L);
	syscall(SYS_personality, 0x0040000L);
	open("/", O_RDONLY | O_CLOEXEC);
	mlock(st, 4096);
	mlockall(MCL_FUTURE);
	setpriority(PRIO_PROCESS, 0, 3);
	umask(027);
	execl(own, own, "after", NULL);
	return 1;
}
