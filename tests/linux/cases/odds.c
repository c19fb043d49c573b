/* about: Small calls and small errors, each as the host has it. */
/* calls: chroot ioprio_get ioprio_set personality sched_getattr sched_setattr */
#include "../check.h"
#define S(n, ...) ({ errno = 0; long r_ = syscall(SYS_##n, __VA_ARGS__); int e_ = errno; \
	tried(#n "(" #__VA_ARGS__ ")", r_, e_); r_; })
int main(void)
{
	put("f", "x");
	long f = open("f", O_RDWR);
	char b[4096];
	S(personality, 0xffffffffL);
	S(personality, 0x0040000L);
	S(personality, 0xffffffffL);
	S(personality, 0L);
	CHILD(S(personality, 0xffffffffL));
	S(ioprio_get, 1L, 0L);
	S(ioprio_set, 1L, 0L, (2L << 13) | 7);
	S(ioprio_get, 1L, 0L);
	S(ioprio_set, 1L, 0L, 9L << 13);
	S(ioprio_get, 9L, 0L);
	S(ioprio_get, 1L, 99999999L);
	struct { unsigned size, policy; unsigned long long flags; int nice; unsigned priority;
		unsigned long long runtime, deadline, period; } s = { 0 };
	S(sched_getattr, 0L, &s, (long)sizeof s, 0L);
	say("%u %u %d", s.size, s.policy, s.nice);
	s.nice = 5;
	S(sched_setattr, 0L, &s, 0L);
	say("%d", getpriority(PRIO_PROCESS, 0));
	S(sched_getattr, 0L, &s, 1L, 0L);
	s.policy = 99;
	S(sched_setattr, 0L, &s, 0L);
	S(sched_setattr, 0L, 0L, 0L);
	S(sched_setattr, 0L, &s, 1L);
	S(getcwd, b, 1L);
	S(getcwd, b, 2L);
	S(getcwd, b, 0L);
	S(chroot, "/");
	chdir("/");
	S(chroot, ".");
	chdir("/w");
	S(chroot, "f");
	S(chroot, "none");
	S(readlink, "/proc/self/exe", b, 0L);
	S(readlink, "/proc/self/exe", b, -1L);
	S(sendmmsg, f, b, 0L, 0L);
	S(recvmmsg, f, b, 0L, 0L, 0L);
	S(sendmmsg, -1L, b, 0L, 0L);
	unsigned long long hint = 2, got = 9;
	S(fcntl, f, 1036L, &hint);
	S(fcntl, f, 1035L, &got);
	say("%llu", got);
	hint = 77;
	S(fcntl, f, 1036L, &hint);
	S(fcntl, f, 12345L, 0L);
	S(ioctl, f, 0x40049409L, -1L);
	S(ioctl, open(".", O_PATH), 0x40049409L, f);
	long pid = getpid();
	void *head;
	size_t len;
	S(get_robust_list, 0L, &head, &len);
	S(get_robust_list, pid, &head, &len);
	setuid(65534);
	S(chroot, "/");
	return 0;
}
