/* flags: -pthread */
/* about: Signals of faults that a process queues for itself with contents of its own making: handlers see
 * what was sent, whatever the thread does meanwhile, and nothing else comes of it. */
#include "../check.h"
static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS };
static const int codes[] = { 1, 2, 3, 0x80, 0, -1, -22091, 1000 };
static char info[128];
static volatile int seen, wrong;
static volatile long expected_code, expected_errno;
static volatile unsigned long long expected_address;
static void handler(int signal, siginfo_t *i, void *context)
{
	(void)context;
	unsigned long long address;
	memcpy(&address, (char *)i + 16, 8);
	if (i->si_signo != signal || i->si_code != expected_code || i->si_errno != expected_errno ||
	    address != expected_address)
		wrong++;
	seen++;
}
static void fill(int code, unsigned long long address)
{
	memset(info, 0, sizeof info);
	int *word = (int *)info;
	word[1] = 42;
	word[2] = code;
	memcpy(info + 16, &address, 8);
	expected_code = code;
	expected_errno = 42;
	expected_address = address;
}
static int to_itself(int signal)
{
	return syscall(SYS_rt_tgsigqueueinfo, getpid(), (int)syscall(SYS_gettid), signal, info);
}
static volatile int phase;
static volatile unsigned long sum;
static void *worker(void *tid)
{
	*(volatile int *)tid = syscall(SYS_gettid);
	static char from[1 << 16], to[1 << 16];
	int f[2];
	if (pipe(f)) _exit(9);
	/* Computes, copies, and asks the kernel to copy, until it is told to stop. */
	while (phase == 0) {
		for (int i = 0; i < 1000; i++) sum += i * sum + 1;
		memcpy(to, from, sizeof to);
		if (write(f[1], from, 4096) != 4096 || read(f[0], to, 4096) != 4096) wrong += 1000;
	}
	return 0;
}
static void dies(int signal)
{
	struct sigaction none = { .sa_handler = SIG_DFL };
	sigaction(signal, &none, 0);
	fill(1, 0x1234);
	to_itself(signal);
	say("still there");
}
int main(void)
{
	struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART };
	for (int i = 0; i < 6; i++) sigaction(signals[i], &a, 0);
	static int here;
	unsigned long long addresses[] = { 0, 0x1000, (unsigned long)&here, 0x7fff00001000ull, ~0ull };
	for (int s = 0; s < 6; s++) {
		for (int c = 0; c < 8; c++)
			for (int n = 0; n < 5; n++) {
				fill(codes[c], addresses[n]);
				if (to_itself(signals[s])) say("%d %d: %s", signals[s], codes[c], name_of(errno));
				fill(codes[c], addresses[n]);
				if (syscall(SYS_rt_sigqueueinfo, getpid(), signals[s], info))
					say("%d %d: %s", signals[s], codes[c], name_of(errno));
			}
		say("signal %d: seen %d, wrong %d", signals[s], seen, wrong);
		seen = 0;
	}
	/* To another thread, whatever it is doing. */
	volatile int tid = 0;
	pthread_t thread;
	pthread_create(&thread, 0, worker, (void *)&tid);
	while (!tid) sched_yield();
	int sent = 0;
	/* Only to itself may a thread send what claims to be the kernel's. */
	fill(1, 0x1000);
	TRY(syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGSEGV, info));
	fill(0, 0x1000);
	TRY(syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, SIGSEGV, info));
	/* Not SIGSEGV: the one that is sent is lost if it comes in the instant in which a safepoint faults, since the host keeps one
	   of them at a time. */
	for (int i = 0; i < 3000; i++) {
		fill(-1 - 2 * (i % 2), 0x5000 + 4096ull * i);
		int before = seen;
		if (syscall(SYS_rt_tgsigqueueinfo, getpid(), tid, signals[1 + i % 5], info) == 0) sent++;
		while (seen == before) sched_yield();
	}
	phase = 1;
	pthread_join(thread, 0);
	say("sent %d, seen %d, wrong %d", sent, seen, wrong);
	/* To another process: only what a process may say of itself. */
	pid_t child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	fill(1, 0x1000);
	TRY(syscall(SYS_rt_sigqueueinfo, child, SIGSEGV, info));
	fill(0, 0x1000);
	TRY(syscall(SYS_rt_sigqueueinfo, child, SIGSEGV, info));
	fill(-1, 0x1000);
	TRY(syscall(SYS_rt_sigqueueinfo, child, SIGKILL, info));
	int status;
	waitpid(child, &status, 0);
	say_status("child", status);
	CHILD(dies(SIGSEGV));
	CHILD(dies(SIGBUS));
	CHILD(dies(SIGILL));
	TRY(syscall(SYS_rt_sigqueueinfo, getpid(), SIGSEGV, (void *)-4096L));
	TRY(syscall(SYS_rt_sigqueueinfo, getpid(), 65, info));
	return 0;
}
