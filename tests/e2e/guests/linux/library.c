/* The C library as a program sees it; prints one line a subject. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The layouts of polyfills/sysroot/README.md. */
_Static_assert(sizeof(long) == 4 && sizeof(void *) == 4 && sizeof(size_t) == 4, "types");
_Static_assert(sizeof(time_t) == 8 && sizeof(off_t) == 8 && sizeof(ino_t) == 8 && sizeof(rlim_t) == 8
	&& sizeof(dev_t) == 8 && sizeof(blkcnt_t) == 8 && sizeof(fsblkcnt_t) == 8, "wide types");
_Static_assert(sizeof(struct timespec) == 16 && sizeof(struct timeval) == 16 && sizeof(struct itimerspec) == 32
	&& sizeof(struct itimerval) == 32 && sizeof(struct rlimit) == 16, "times and limits");
_Static_assert(sizeof(struct statfs) == 120 && offsetof(struct statfs, f_flags) == 80, "statfs");
_Static_assert(sizeof(struct flock) == 32 && sizeof(struct dirent) == 280 && sizeof(struct ifreq) == 40
	&& sizeof(struct sigevent) == 64, "files, folders, interfaces, events");
_Static_assert(sizeof(struct shmid_ds) == 112 && offsetof(struct shmid_ds, shm_nattch) == 88
	&& sizeof(struct semid_ds) == 104 && sizeof(struct msqid_ds) == 120, "System V");
_Static_assert(offsetof(siginfo_t, si_status) == 24 && offsetof(siginfo_t, si_utime) == 32
	&& offsetof(siginfo_t, si_stime) == 40 && offsetof(siginfo_t, si_fd) == 24, "siginfo_t of a child");
_Static_assert(SSIZE_MAX == INT_MAX, "SSIZE_MAX");
_Static_assert(sizeof(struct iovec) == 8, "iovec");
_Static_assert(sizeof(struct msghdr) == 36 && offsetof(struct msghdr, msg_control) == 20
	&& offsetof(struct msghdr, msg_controllen) == 24 && offsetof(struct msghdr, msg_flags) == 32, "msghdr");
_Static_assert(sizeof(struct cmsghdr) == 16 && CMSG_SPACE(4) == 24, "cmsghdr");
_Static_assert(sizeof(stack_t) == 12, "stack_t");
_Static_assert(sizeof(siginfo_t) == 128 && offsetof(siginfo_t, si_pid) == 16
	&& offsetof(siginfo_t, si_value) == 24 && offsetof(siginfo_t, si_addr) == 16, "siginfo_t");
_Static_assert(sizeof(ucontext_t) == 216 && offsetof(ucontext_t, uc_stack) == 12
	&& offsetof(ucontext_t, uc_mcontext) == 24 && offsetof(ucontext_t, uc_sigmask) == 88, "ucontext_t");
_Static_assert(sizeof(struct stat) == 144 && offsetof(struct stat, st_size) == 48
	&& offsetof(struct stat, st_blocks) == 64 && offsetof(struct stat, st_atim) == 72, "stat");
_Static_assert(sizeof(struct epoll_event) == 12, "epoll_event");

static jmp_buf env;
static _Thread_local int local = 7;
static int constructed;

__attribute__((constructor)) static void construct(void)
{
	constructed = 1;
}

__attribute__((noinline)) static void deep(int n)
{
	if (!n) longjmp(env, 5);
	deep(n - 1);
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int main(int argc, char **argv)
{
	printf("arguments %d\n", argc);
	printf("long double %.10Lf double %f %a\n", 1.0L / 3, 3.14, 1.5);
	printf("sizes %zd %ld\n", (ssize_t)-3, LONG_MAX);
	volatile int before = 1;
	int jumped = setjmp(env);
	if (!jumped) {
		before = 2;
		deep(4);
	}
	printf("setjmp %d %d\n", jumped, before);
	int numbers[] = { 5, 3, 1, 4 };
	qsort(numbers, 4, sizeof *numbers, compare);
	printf("qsort %d %d\n", numbers[0], numbers[3]);
	char *block = malloc(1 << 20);
	memset(block, 1, 1 << 20);
	printf("malloc %d\n", block[(1 << 20) - 1]);
	free(block);
	size_t size;
	long number;
	printf("scanf %d", sscanf("42 43", "%zu %ld", &size, &number));
	printf(" %zu %ld\n", size, number);
	printf("local %d constructed %d\n", local, constructed);
	printf("syscall %d\n", syscall(SYS_getpid) == getpid());
	return 3;
}
