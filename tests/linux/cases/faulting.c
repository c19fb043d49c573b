/* about: Handlers for faults of the program itself: what they are told, how they end it, mend it, or jump out. */
/* flags: -pthread */
#include "../check.h"
static sigjmp_buf out;
static char *page;
static volatile int calls, code;
static void *volatile where;
static void jump(int s, siginfo_t *i, void *c)
{
	(void)c;
	calls++;
	code = i->si_code;
	where = i->si_addr;
	siglongjmp(out, s);
}
static void mend(int s, siginfo_t *i, void *c)
{
	(void)s, (void)c;
	calls++;
	code = i->si_code;
	where = i->si_addr;
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}
static void end(int s) { say("handled %d", s); _exit(3); }
static void on(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };
	sigemptyset(&a.sa_mask);
	sigaction(signal, &a, 0);
}
static const char *what(int c)
{
	return c == SEGV_MAPERR ? "MAPERR" : c == SEGV_ACCERR ? "ACCERR" : "?";
}
/* The access is in the function that called sigsetjmp. */
static void probe(volatile char *at, int write)
{
	volatile int kept = 41;
	int s = sigsetjmp(out, 1);
	if (s) {
		say("%s: %s, there %d, kept %d", write ? "write" : "read", what(code), where == at, kept);
		return;
	}
	kept++;
	if (write) *at = 1;
	else (void)*at;
	say("%s: nothing", write ? "write" : "read");
}
static __attribute__((noinline)) int deep(volatile int *at, int n) { return n ? deep(at, n - 1) + *at : *at; }
static void beneath(volatile int *at)
{
	if (sigsetjmp(out, 1)) say("out of a deep call: %s", what(code));
	else say("%d", deep(at, 20));
}
static __attribute__((noinline)) void touch(volatile char *at) { *at = 1; }
static void mends(void)
{
	mprotect(page, 4096, PROT_NONE);
	calls = 0;
	long long sum = 0;
	double d = 1.5;
	for (int n = 0; n < 1000; n++) {
		if (n == 500) mprotect(page, 4096, PROT_NONE);
		page[n] += n;
		d = d * 1.0001 + page[n];
		sum += page[n] * 3;
	}
	say("mended %d times, %lld, %.3f, %s", calls, sum, d, what(code));
}
static void *threaded(void *at)
{
	for (int n = 0; n < 100; n++) {
		mprotect(page, 4096, PROT_NONE);
		((volatile char *)at)[7] = n;
	}
	return 0;
}
static void blocked(void)
{
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGSEGV);
	sigprocmask(SIG_BLOCK, &m, 0);
	*(volatile char *)page = 1;
}
static void in_handler(int s) { (void)s; say("faults in its handler"); *(volatile char *)page = 1; }
static void others(void)
{
	mprotect(page, 4096, PROT_NONE);
	CHILD(({ signal(SIGSEGV, end); *(volatile char *)page = 1; }));
	CHILD(({ signal(SIGSEGV, SIG_IGN); *(volatile char *)page = 1; }));
	CHILD(({ signal(SIGSEGV, SIG_DFL); *(volatile char *)page = 1; }));
	CHILD(({ on(SIGSEGV, mend, 0); blocked(); }));
	CHILD(({ signal(SIGSEGV, in_handler); *(volatile char *)page = 1; }));
	CHILD(({ on(SIGSEGV, mend, SA_RESETHAND); page[0] = 1; say("mended once"); mprotect(page, 4096, PROT_NONE); page[0] = 1; }));
	CHILD(({ static char stack[32768]; stack_t s = { .ss_sp = stack, .ss_size = sizeof stack };
		sigaltstack(&s, 0); on(SIGSEGV, mend, SA_ONSTACK); page[1] = 2; say("on another stack, %d", page[1]); }));
	CHILD(({ int f = open("short", O_CREAT | O_RDWR, 0600);
		page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0);
		on(SIGBUS, jump, 0);
		if (sigsetjmp(out, 1)) say("bus, there %d", where == page + 100);
		else touch(page + 100); }));
}
int main(void)
{
	page = mmap(0, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	on(SIGSEGV, jump, 0);
	for (int n = 0; n < 3; n++) {
		probe(page, 0);
		probe(page + n, 1);
	}
	mprotect(page, 4096, PROT_NONE);
	probe(page + 10, 0);
	munmap(page + 4096, 4096);
	probe(page + 4096, 0);
	probe(page + 4096, 1);
	beneath((volatile int *)(page + 4096));
	say("calls %d", calls);
	for (int n = 0; n < 5000; n++)
		if (!sigsetjmp(out, 1)) touch(page);
	say("calls %d", calls);
	on(SIGSEGV, mend, 0);
	mends();
	pthread_t t[3];
	for (int n = 0; n < 3; n++) pthread_create(&t[n], 0, threaded, page);
	for (int n = 0; n < 3; n++) pthread_join(t[n], 0);
	say("threads: %d", page[7]);
	others();
	return 0;
}
