/* A program with a snapshot: before its snapshot point it makes what a snapshot holds, afterwards it looks
 * whether all of it is there, and what must be new is new. What a snapshot cannot hold it makes when
 * its first argument names it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vkernel/snapshot.h>

#define CHECK(what) do { if (!(what)) fail(#what, __LINE__); } while (0)
#define PAGE 4096

extern char **environ;

static void fail(const char *what, int line)
{
	printf("line %d: not so: %s\n", line, what);
	exit(9);
}

static int before;               /* Whether there was a before. */
static int resumed;              /* Whether this is a start from the snapshot. */
static char table[200000];       /* Static data that is filled. */
static char *text, *hidden, *constant, *hole, *large;
static void *small[1000];
static pthread_key_t key;
static pthread_mutex_t robust;
static volatile int caught;
static char stack[16384];
static int *on_main_stack;
static long long first_random;
static pid_t pid_before;
static _Thread_local int local = 5;
static int at_exit_was_called;

static void handler(int signal)
{
	char here;
	caught += signal;
	CHECK(&here > stack && &here < stack + sizeof stack);
}

static sigjmp_buf after_fault;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	caught = -1;
	siglongjmp(after_fault, 1);
}

static void last(void)
{
	at_exit_was_called = 1;
	if (resumed) printf("exit handler\n");
}

static void on_stack_of(int *here)
{
	on_main_stack = here;
}

/* What a snapshot holds. */
static void initialise(int argc, char **argv)
{
	before = 1;
	CHECK(argc >= 1);
	for (size_t i = 0; i < sizeof table; i++) table[i] = i * 7;
	text = strdup("from the heap");
	for (int i = 0; i < 1000; i++) {
		small[i] = malloc(i + 1);
		memset(small[i], i, i + 1);
	}
	for (int i = 0; i < 1000; i += 3) { free(small[i]); small[i] = 0; }
	large = malloc(3 << 20);
	memset(large + (1 << 20), 'l', 100);

	char *map = mmap(0, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED);
	hidden = map, constant = map + PAGE, hole = map + 2 * PAGE;
	strcpy(hidden, "hidden");
	strcpy(constant, "constant");
	CHECK(!mprotect(hidden, PAGE, PROT_NONE));
	CHECK(!mprotect(constant, PAGE, PROT_READ));
	CHECK(!munmap(hole, PAGE));

	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART };
	CHECK(!sigaction(SIGUSR1, &action, 0));
	CHECK(!sigaction(SIGUSR2, &action, 0));
	struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	CHECK(!sigaction(SIGSEGV, &fault, 0));
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, (void (*)(int))handler);
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	CHECK(!sigaltstack(&alternate, 0));
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGRTMIN + 3);
	CHECK(!sigprocmask(SIG_BLOCK, &set, 0));

	CHECK(!pthread_key_create(&key, 0));
	CHECK(!pthread_setspecific(key, text));
	local = 77;
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attributes);
	pthread_mutex_lock(&robust);
	pthread_mutex_unlock(&robust);

	int file = open("/before", O_RDWR | O_CREAT, 0644);
	if (file >= 0) close(file);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	CHECK(getentropy(&first_random, sizeof first_random) == 0);
	time_t then = time(0);
	struct tm local_time;
	localtime_r(&then, &local_time);
	pid_before = getpid();
	setenv("SET_BEFORE", "1", 1);
	atexit(last);
	printf("begun ");
}

static void *body(void *argument)
{
	CHECK(local == 5);
	CHECK(pthread_getspecific(key) == 0);
	local = 6;
	return argument;
}

#ifdef THREADS
static void threads(void)
{
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		void *result;
		CHECK(!pthread_create(&thread, 0, body, &local));
		CHECK(!pthread_join(thread, &result) && result == &local);
	}
	CHECK(local == 77);
}
#endif

/* What must be as it was. */
static void look(void)
{
	CHECK(before);
	for (size_t i = 0; i < sizeof table; i++) CHECK(table[i] == (char)(i * 7));
	CHECK(!strcmp(text, "from the heap"));
	for (int i = 0; i < 1000; i++) for (int j = 0; j <= i && small[i]; j++) CHECK(((char *)small[i])[j] == (char)i);
	CHECK(large[1 << 20] == 'l' && large[0] == 0);
	CHECK(!strcmp(constant, "constant"));
	CHECK(*on_main_stack == 4711);
	CHECK(pthread_getspecific(key) == text);
	CHECK(local == 77);
	/* The heap goes on. */
	for (int i = 0; i < 1000; i++) { free(small[i]); small[i] = malloc(2 * i + 1); memset(small[i], i, 2 * i + 1); }
	large = realloc(large, 5 << 20);
	CHECK(large[1 << 20] == 'l');
	free(large);
	/* New maps do not lie on old ones. */
	char *map = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map == hole || map != MAP_FAILED);
	memset(map, 1, PAGE);
	CHECK(map + PAGE <= hidden || map >= constant + PAGE);

	CHECK(mprotect(constant, PAGE, PROT_READ) == 0);
	caught = 0;
	if (!sigsetjmp(after_fault, 1)) caught = *(volatile char *)hidden;
	CHECK(caught == -1 && !mprotect(hidden, PAGE, PROT_READ) && !strcmp(hidden, "hidden"));

	caught = 0;
	raise(SIGUSR1);
	CHECK(caught == SIGUSR1);
	sigset_t set;
	sigprocmask(SIG_BLOCK, 0, &set);
	CHECK(sigismember(&set, SIGUSR2) && sigismember(&set, SIGRTMIN + 3) && !sigismember(&set, SIGUSR1));
	caught = 0;
	raise(SIGUSR2);
	CHECK(caught == 0);
	sigdelset(&set, SIGUSR2);
	sigprocmask(SIG_SETMASK, &set, 0);
	CHECK(caught == SIGUSR2);
	struct sigaction action;
	sigaction(SIGPIPE, 0, &action);
	CHECK(action.sa_handler == SIG_IGN);
	stack_t alternate;
	sigaltstack(0, &alternate);
	CHECK(alternate.ss_sp == stack && alternate.ss_size == sizeof stack);

	/* The process is another one. */
	CHECK(gettid() == getpid());
	CHECK(!pthread_mutex_lock(&robust) && !pthread_mutex_unlock(&robust));
	pthread_mutex_t checked;
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&checked, &attributes);
	CHECK(!pthread_mutex_lock(&checked) && pthread_mutex_lock(&checked) == EDEADLK && !pthread_mutex_unlock(&checked));
	/* Two years before this was written at least, and not the builder's. */
	CHECK(time(0) > 1700000000);
	CHECK(getauxval(AT_RANDOM) && getauxval(AT_PAGESZ) == PAGE);
#ifdef THREADS
	threads();
#endif
	int status;
	pid_t child = fork();
	if (!child) {
		CHECK(getpid() != getppid() && !strcmp(text, "from the heap"));
#ifdef THREADS
		threads();
#endif
		_exit(5);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

static int run(int argc, char **argv, char **envp)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "look")) {
		look();
		printf("all there\n");
		return 0;
	}
	if (!strcmp(what, "start")) {
		char cwd[200];
		printf("%s:", resumed ? "warm" : "cold");
		for (int i = 0; i < argc; i++) printf(" %s", argv[i]);
		printf("|");
		for (char **e = environ; *e; e++) if (strncmp(*e, "PATH=", 5)) printf(" %s", *e);
		printf("| %s %s\n", getcwd(cwd, sizeof cwd), program_invocation_short_name);
		CHECK(envp == environ || !resumed);
		return argc;
	}
	if (!strcmp(what, "random")) {
		unsigned char *random = (void *)getauxval(AT_RANDOM);
		for (int i = 0; i < 16; i++) printf("%02x", random[i]);
		printf("\n");
		return 0;
	}
	if (!strcmp(what, "zone")) {
		time_t zero = 0;
		printf("%d\n", localtime(&zero)->tm_hour);
		return 0;
	}
	if (!strcmp(what, "signals")) {
		struct sigaction action;
		sigset_t set;
		sigaction(SIGINT, 0, &action);
		sigprocmask(SIG_BLOCK, 0, &set);
		printf("SIGINT %s, SIGHUP %s\n", action.sa_handler == SIG_IGN ? "ignored" : "caught",
			sigismember(&set, SIGHUP) ? "blocked" : "open");
		return 0;
	}
	if (!strcmp(what, "exec")) {
		char left[20];
		int n = argc > 2 ? atoi(argv[2]) : 0;
		printf("%d %s\n", n, resumed ? "warm" : "cold");
		fflush(stdout);
		CHECK(!strcmp(text, "from the heap"));
		if (!n) return 3;
		text[0] = 'X';
		signal(SIGHUP, SIG_IGN);
		snprintf(left, sizeof left, "%d", n - 1);
		char *words[] = { argv[0], "exec", left, 0 }, *none[] = { "A=1", 0 };
		execve(argv[0], words, none);
		return 8;
	}
	if (!strcmp(what, "become")) {
		/* Another start of the same, with a signal ignored and one blocked. */
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGHUP);
		sigprocmask(SIG_BLOCK, &set, 0);
		signal(SIGINT, SIG_IGN);
		char *words[] = { argv[0], "signals", 0 };
		execve(argv[0], words, environ);
		return 8;
	}
	if (!strcmp(what, "abort")) {
		raise(SIGABRT);
		return 8;
	}
	if (!strcmp(what, "deep")) {
		/* A stack that is used up is a fault, and not before its limit. */
		volatile char frame[60000];
		frame[0] = argc;
		return argc > 100 ? 0 : run(argc + 1, argv, envp);
	}
	return 2;
}

int vkernel_resume(int argc, char **argv, char **envp)
{
	resumed = 1;
	if (argc > 1 && !strcmp(argv[1], "cold")) {
		text[0] = 'X';
		signal(SIGUSR1, SIG_IGN);
		return VKERNEL_COLD;
	}
	return run(argc, argv, envp);
}

static void *forever(void *argument)
{
	for (;;) pause();
}

/* What a snapshot cannot hold. */
static void spoil(const char *how)
{
	static const struct itimerval hour = { .it_value.tv_sec = 3600 };
	if (!strcmp(how, "descriptor")) CHECK(open("/", O_RDONLY) == 3);
	else if (!strcmp(how, "pipe")) { int ends[2]; CHECK(!pipe(ends)); }
	else if (!strcmp(how, "closed")) close(0);
	else if (!strcmp(how, "child")) { if (!fork()) _exit(0); }
	else if (!strcmp(how, "alarm")) CHECK(!setitimer(ITIMER_REAL, &hour, 0));
	else if (!strcmp(how, "timer")) { timer_t timer; CHECK(!timer_create(CLOCK_MONOTONIC, 0, &timer)); }
	else if (!strcmp(how, "shared")) CHECK(mmap(0, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	else if (!strcmp(how, "file")) {
		int file = open("/mapped", O_RDWR | O_CREAT, 0644);
		CHECK(file >= 0 && !ftruncate(file, PAGE));
		CHECK(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, file, 0) != MAP_FAILED && !close(file));
	}
	else if (!strcmp(how, "pending")) raise(SIGUSR2);
	else if (!strcmp(how, "directory")) CHECK(!mkdir("/d", 0755) && !chdir("/d"));
	else if (!strcmp(how, "umask")) umask(0);
	else if (!strcmp(how, "kept")) CHECK(!madvise(hidden, PAGE, MADV_DONTFORK));
	else if (!strcmp(how, "exit")) exit(0);
	else if (!strcmp(how, "crash")) abort();
#ifdef THREADS
	else if (!strcmp(how, "thread")) { pthread_t thread; CHECK(!pthread_create(&thread, 0, forever, 0)); }
#endif
}

int main(int argc, char **argv)
{
	int on_stack = 4711;
	on_stack_of(&on_stack);
	initialise(argc, argv);
	if (argc > 2 && !strcmp(argv[1], "spoil")) spoil(argv[2]);
	if (vkernel_snapshot()) return 7;
	if (argc > 1 && !strcmp(argv[1], "cold")) printf("%s ", text);
	return run(argc - (argc > 1 && !strcmp(argv[1], "cold")), argv + (argc > 1 && !strcmp(argv[1], "cold")), environ);
}
