/* about: Lengths that overflow, counts that are huge, numbers that are no descriptors, hostile structures,
 * long paths. */
#include "../check.h"
#define S(n, ...)                                                                                  \
    ({                                                                                             \
        errno = 0;                                                                                 \
        long r_ = syscall(SYS_##n, __VA_ARGS__);                                                   \
        int e_ = errno;                                                                            \
        tried(#n "(" #__VA_ARGS__ ")", r_, e_);                                                    \
        r_;                                                                                        \
    })
int main(void)
{
    put("f", "12345678");
    long f = open("f", O_RDWR);
    int s[2], q[2];
    pipe(q);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    static char b[8192];
    struct iovec v[2] = {{b, 1}, {b, 1}};
    long long bad[] = {-1, -100, 77, 1000000, 1048575, 1048570, 2147483647, -2147483648L, 4294967295L};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        say("fd %lld", bad[i]);
        S(read, bad[i], b, 1L);
        S(close, bad[i]);
        S(dup, bad[i]);
        S(fstat, bad[i], b);
        S(fcntl, bad[i], F_GETFD, 0L);
        S(ioctl, bad[i], FIONREAD, b);
        S(ftruncate, bad[i], 0L);
        S(openat, bad[i] == -100 ? 77 : bad[i], "f", 0L, 0L);
        S(epoll_ctl, bad[i], 1L, 0L, b);
        S(sendmsg, bad[i], b, 0L);
        S(fchdir, bad[i]);
        S(mmap, 0L, 4096L, 1L, 2L, bad[i], 0L);
        S(flock, bad[i], LOCK_SH);
        S(lseek, bad[i], 0L, 0L);
    }
    S(dup2, f, 2000000000L);
    S(dup2, f, -1L);
    S(dup3, f, 2000000000L, 0L);
    S(fcntl, f, F_DUPFD, 2000000000L);
    S(readv, f, v, 1025L);
    S(readv, f, v, 0x7fffffffL);
    S(readv, f, v, -1L);
    S(writev, f, v, 1LL << 32);
    S(preadv, f, v, 2L, -1L, -1L);
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 0x7fffffff};
    S(sendmsg, s[0], &m, 0L);
    m.msg_iovlen = 1025;
    S(sendmsg, s[0], &m, 0L);
    m = (struct msghdr){.msg_iov = v, .msg_iovlen = 1, .msg_name = b, .msg_namelen = 0x7fffffff};
    S(sendmsg, s[0], &m, 0L);
    m.msg_name = b;
    m.msg_namelen = -1;
    S(sendmsg, s[0], &m, 0L);
    S(bind, s[0], b, -1L);
    S(bind, s[0], b, 200L);
    S(connect, s[0], b, 1L);
    int l = -1;
    S(getsockname, s[0], b, &l);
    S(getsockopt, s[0], 1L, 3L, b, &l);
    S(setsockopt, s[0], 1L, 9L, b, -1L);
    S(poll, b, 0x7fffffffL, 0L);
    struct timeval zero = {0};
    S(select, 0x7fffffffL, 0L, 0L, 0L, &zero);
    S(epoll_wait, epoll_create1(0), b, 0x7fffffffL, 0L);
    S(getdents64, f, b, 0xffffffffL);
    S(rt_sigprocmask, 0L, b, 0L, 128L);
    S(rt_sigaction, 10L, 0L, b, 4L);
    S(getgroups, -1L, b);
    S(setgroups, 0x7fffffffL, b);
    S(sched_getaffinity, 0L, 1L, b);
    S(munmap, 0x7ffff000L, 0xffffffffffffL);
    char *gone = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone, 4096);
    S(mprotect, gone, -4096L, 1L);
    S(pread64, f, b, 1L, 0x7fffffffffffffffL);
    TRY(lseek(f, 0x7fffffffffffffffL, SEEK_CUR));
    S(ftruncate, f, 0x7fffffffffffffffL);
    S(fallocate, f, 0L, 0x7fffffffffffffffL, 1L);
    S(mmap, 0L, 4096L, 1L, 2L, f, 0x7ffffffffffff000L);
    S(mmap, 0L, 4096L, 1L, 2L, f, -4096L);
    S(listxattr, "f", b, 0x7fffffffL);
    S(setxattr, "f", "user.x", b, 0x7fffffffL, 0L);
    S(getrandom, b, 0L, 0L);
    S(futex, b, 77L, 0L, 0L, 0L, 0L);
    S(timer_settime, 99L, 0L, b, 0L);
    S(timer_gettime, -1L, b);
    S(clock_gettime, -1L, b);
    S(prctl, -1L, 0L, 0L, 0L, 0L);
    S(kill, 2147483647L, 0L);
    S(wait4, -2147483648L, 0L, 1L, 0L);
    S(waitid, 1L, -1L, b, 4L, 0L);
    S(getpriority, 0L, -1L);
    S(sched_setscheduler, 0L, 99L, b);
    S(fcntl, f, 0x7fffffffL, 0L);
    S(ioctl, f, 0xffffffffL, b);
    S(ioctl, f, 0L, b);
    char *p = malloc(6000);
    memset(p, 'p', 6000);
    p[0] = '/';
    p[4095] = 0;
    S(open, p, 0L);
    p[4095] = 'p';
    p[4096] = 0;
    S(open, p, 0L);
    S(stat, p, b);
    S(rename, "f", p);
    S(execve, p, 0L, 0L);
    S(readlink, p, b, 10L);
    for (int i = 0; i < 4095; i++) p[i] = i & 1 ? '.' : '/';
    p[4094] = '/';
    p[4095] = 0;
    S(open, p, 0L) >= 0;
    p[0] = '.';
    for (int i = 1; i < 4094; i++) p[i] = '/';
    p[4093] = 'f';
    p[4094] = 0;
    S(access, p, 0L);
    p[4094] = 'x';
    p[4095] = 'x';
    p[4096] = 0;
    S(access, p, 0L);
    symlink(p, "x");
    say("%s", name_of(errno));
    memset(b, 's', 4095);
    b[4095] = 0;
    S(symlink, b, "y");
    b[4094] = 0;
    S(symlink, b, "z");
    return 0;
}
