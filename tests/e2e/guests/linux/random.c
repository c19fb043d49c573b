/* Random system calls with random memory: random SEED COUNT. The same seed makes the same choices;
 * what comes of them depends on the host.
 *
 * calls.h is made by the test from the table of the interface (`vkernel_abi::wali`): `calls`, with a name and kinds of
 * parameters each, and `make(index, arguments)`. Left out is only what would end the experiment
 * before it tells anything: signals that look like a failure of the vkernel, or that stop. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>
#include "calls.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static __thread unsigned long long state;
static unsigned random_word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state >> 16;
}
#define BELOW(n) (random_word() % (n))
#define ONE_OF(array) ((array)[BELOW(COUNT(array))])

static _Alignas(4096) unsigned char room[65536];
static unsigned long long gap;

static const char *const paths[] = {
	"/", ".", "..", "../../../../..", "file", "/w/file", "folder", "folder/inner", "link", "loop",
	"/bin/single", "/.vkernel/megabinary", "/proc/self/exe", "/proc/self/fd/0", "/proc/self/mem",
	"/proc/self/maps", "/proc/1/root", "/proc/self/root/../..", "/proc/self/cwd", "/dev/null",
	"/dev/zero", "/dev/full", "/dev/ptmx", "/dev/shm/x", "/dev/tty", "/proc/sys/kernel/hostname",
	"/proc/sysrq-trigger", "/proc/self/attr/current", "/sys/kernel", "pipe", "socket", "", "new",
	"/proc/self/task", "/proc/self/comm", "/proc/self/oom_score_adj", "/proc/self/fd/1030",
	"/proc/self/fdinfo", "/etc/passwd", "folder/../../../etc/passwd", "/proc/thread-self/exe",
};
static const unsigned numbers[] = {
	0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 24, 32, 64, 100, 128, 255, 256, 1023, 1024, 4095, 4096, 4097,
	65535, 65536, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0x8000, 0x80000, 0x800, 0x400,
};
/* Without SIGABRT, SIGSYS, SIGSEGV and other faults, and those that stop. */
static const int signals[] = { 0, 1, 2, 10, 12, 13, 14, 15, 17, 18, 23, 28, 32, 33, 34, 40, 64, 65, -1 };
static const int ids[] = { 0, 0, 0, -1, 1, 2, 3, 4, 5, 6, 7, 100, 0x7fffffff };

/* An address: most often somewhere in `room`, where anything may stand. */
static unsigned pointer(void)
{
	switch (BELOW(12)) {
	case 0: return 0;
	case 1: return random_word();
	case 2: return 0xffffffff - BELOW(64);
	case 3: return gap - BELOW(32);
	case 4: return gap + BELOW(4096);
	case 5: return (unsigned)&room & ~4095u;
	case 6: case 7: {
		char *at = (char *)room + BELOW(sizeof room - 512);
		strcpy(at, ONE_OF(paths));
		return (unsigned)at;
	}
	default: return (unsigned)room + (BELOW(sizeof room - 64) & ~7u);
	}
}

/* Structures are made of numbers and addresses. */
static void scribble(void)
{
	for (unsigned n = 16 + BELOW(64); n; n--) {
		unsigned at = BELOW(sizeof room / 4), value;
		switch (BELOW(4)) {
		case 0: value = ONE_OF(numbers); break;
		case 1: value = pointer(); break;
		case 2: value = BELOW(24); break;
		default: value = random_word();
		}
		((unsigned *)room)[at] = value;
	}
}

static long long number(void)
{
	switch (BELOW(6)) {
	case 0: return random_word();
	case 1: return BELOW(24);
	case 2: return BELOW(2048);
	case 3: return 1u << BELOW(32) | 1u << BELOW(32);
	default: return ONE_OF(numbers);
	}
}

static long long descriptor(void)
{
	switch (BELOW(10)) {
	case 0: return ONE_OF(numbers);
	case 1: return AT_FDCWD;
	case 2: return 1000 + BELOW(100);
	/* Not the standard streams: the report goes there. */
	default: return 3 + BELOW(24);
	}
}

static long long wide(void)
{
	switch (BELOW(4)) {
	case 0: return ((long long)random_word() << 32) | random_word();
	case 1: return -(long long)BELOW(5000);
	default: return number();
	}
}

/* Processes that this one may still make. */
static int children;

static int is(int index, const char *name) { return !strcmp(calls[index].name, name); }

/* Whether an argument is a signal that a process is sent. */
static int takes_signal(int index, int at)
{
	return (is(index, "kill") || is(index, "tkill") || is(index, "rt_sigqueueinfo")
			|| is(index, "pidfd_send_signal")) ? at == 1
		: (is(index, "tgkill") || is(index, "rt_tgsigqueueinfo")) && at == 2;
}

static void one(int *left)
{
	int index = BELOW(COUNT(calls));
	const enum kind *kinds = calls[index].kinds;
	long long a[6] = { 0 };
	if (BELOW(3) == 0) scribble();
	for (int i = 0; i < 6 && kinds[i]; i++) {
		switch (kinds[i]) {
		case ADDRESS: a[i] = pointer(); break;
		case INT: a[i] = i == 0 || BELOW(3) == 0 ? descriptor() : (int)number(); break;
		case WIDE: a[i] = wide(); break;
		default: a[i] = number();
		}
		if (takes_signal(index, i)) a[i] = ONE_OF(signals);
	}
	if (is(index, "kill") || is(index, "tkill") || is(index, "tgkill")) a[0] = ONE_OF(ids);
	if (is(index, "tgkill")) a[1] = ONE_OF(ids);
	int forks = is(index, "fork") || is(index, "vfork") || is(index, "clone");
	if (is(index, "clone")) a[0] = BELOW(2) ? SIGCHLD : a[0], a[1] = BELOW(4) ? 0 : a[1];
	if (forks && children-- <= 0) return;
	/* The end comes soon enough. */
	if ((is(index, "exit") || is(index, "exit_group")) && BELOW(20)) return;
	/* The standard streams, once more. */
	if (is(index, "close_range")) a[0] = 3 + (unsigned)a[0] % 64;
	if (is(index, "close") && (unsigned)a[0] < 3) return;
	if ((is(index, "dup2") || is(index, "dup3")) && (unsigned)a[1] < 3) return;
	/* Their signals are as good as being sent them: see `signals`. */
	if (is(index, "prctl") && (int)a[0] == 1) a[1] = ONE_OF(signals);
	if (is(index, "fcntl") && a[1] == 10) a[2] = 34;
	long long result = make(index, a);
	if (forks && result == 0) {
		children = 0;
		*left = BELOW(30);
		state ^= 0x9e3779b97f4a7c15;
	}
}

static void nothing(int signal) {}

static void *body(void *argument)
{
	int left = 1 + (long long)argument % 1000;
	state = (unsigned long long)argument * 0x2545f4914f6cdd1d | 1;
	while (left-- > 0) one(&left);
	return 0;
}

static void furnish(void)
{
	int pair[2];
	mkdir("folder", 0777);
	close(open("folder/inner", O_CREAT | O_WRONLY, 0666));
	int file = open("file", O_CREAT | O_RDWR, 0666);
	if (write(file, room, sizeof room) < 0) _exit(90);
	symlink("file", "link");
	symlink("loop", "loop");
	mkfifo("pipe", 0666);
	open("folder", O_RDONLY | O_DIRECTORY);
	open("/", O_RDONLY | O_DIRECTORY);
	open("/dev/zero", O_RDWR);
	open("/proc/self/status", O_RDONLY);
	pipe(pair);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	socket(AF_INET, SOCK_STREAM, 0);
	socket(AF_INET6, SOCK_DGRAM, 0);
	epoll_create1(0);
	eventfd(3, 0);
	open("/dev/ptmx", O_RDWR | O_NOCTTY);
}

int main(int argc, char **argv)
{
	if (argc < 3) return 91;
	unsigned long long seed = strtoull(argv[1], 0, 10);
	int left = atoi(argv[2]);
	state = seed * 0x9e3779b97f4a7c15 + 1;
	for (int i = 0; i < 50; i++) random_word();
	children = 4;
	for (unsigned i = 0; i < sizeof room; i++) room[i] = random_word();
	furnish();
	char *hole = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(hole + 4096, 4096);
	gap = (unsigned)(hole + 4096);
	/* What waits is interrupted, as long as this is left as it is. */
	struct sigaction act = { .sa_handler = nothing };
	sigaction(SIGALRM, &act, 0);
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } };
	setitimer(ITIMER_REAL, &often, 0);
#ifdef _REENTRANT
	for (long long i = 1; i < 4; i++) {
		pthread_t thread;
		pthread_create(&thread, 0, body, (void *)(uintptr_t)(seed * 7 + i * 131));
	}
#endif
	while (left-- > 0) one(&left);
	_exit(0);
}
