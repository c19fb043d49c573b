/* What system calls and processes cost, in nanoseconds each: linux WHAT COUNT. Compiled natively
 * and for the vkernel; tests/bench/linux runs both. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static jmp_buf back;
static volatile long sink;

static __attribute__((noinline)) long nothing(long x)
{
	__asm__ volatile("");
	return x + sink;
}

static __attribute__((noinline)) void jump(void) { longjmp(back, 1); }

static __attribute__((noinline)) void jumps(long count)
{
	volatile long left = count;
	setjmp(back);
	if (left-- > 0) jump();
}

static void call(long count)
{
	for (long i = 0; i < count; i++) sink = nothing(i);
}

static void getpids(long count)
{
	for (long i = 0; i < count; i++) sink = syscall(SYS_getpid);
}

/* A byte to another process and back: two writes and two reads. */
static void pipes(long count)
{
	int there[2], back[2];
	char byte = 'x';
	if (pipe(there) || pipe(back)) exit(2);
	pid_t child = fork();
	if (!child) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1) write(back[1], &byte, 1);
		_exit(0);
	}
	for (long i = 0; i < count; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) exit(2);
	close(there[1]);
	waitpid(child, 0, 0);
}

/* The same without another process: one write and one read. */
static void pipe_alone(long count)
{
	int ends[2];
	char byte = 'x';
	if (pipe(ends)) exit(2);
	for (long i = 0; i < count; i++)
		if (write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1) exit(2);
}

/* Of whole pages on both sides: the host copies to other addresses at up to half the speed. */
static void reads(long count)
{
	static _Alignas(4096) char text[65536];
	int file = open("data", O_RDWR | O_CREAT, 0600);
	for (int i = 0; i < 256; i++)
		if (write(file, text, sizeof text) != sizeof text) exit(2);
	for (long i = 0; i < count; i++)
		if (pread(file, text, sizeof text, i % 256 * sizeof text) != sizeof text) exit(2);
	unlink("data");
}

static void forks(long count)
{
	for (long i = 0; i < count; i++) {
		pid_t child = fork();
		if (!child) _exit(0);
		if (child < 0 || waitpid(child, 0, 0) != child) exit(2);
	}
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(long); } all[] = {
		{ "call", call }, { "getpid", getpids }, { "pipe", pipe_alone }, { "pingpong", pipes },
		{ "read", reads }, { "fork", forks }, { "setjmp", jumps },
	};
	if (argc < 3) return 1;
	for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
		if (strcmp(argv[1], all[i].name)) continue;
		long count = atol(argv[2]);
		struct timespec from, to;
		all[i].run(count / 10);
		clock_gettime(CLOCK_MONOTONIC, &from);
		all[i].run(count);
		clock_gettime(CLOCK_MONOTONIC, &to);
		long spent = (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec;
		printf("%.1f\n", (double)spent / count);
		return 0;
	}
	return 1;
}
