/* about: Structures whose contents are hostile: counts and lengths beyond what is there, addresses over
 * the end of the memory, times that are none, control messages that lie. */
#include "../check.h"
/* Natively nobody is there; for the vkernel it is the last page of the memory and what follows. */
#define END(before) ((void *)(uintptr_t)(0xffffffffu - (before) + 1))
#define S(n, ...)                                                                                  \
    ({                                                                                             \
        errno = 0;                                                                                 \
        long r_ = syscall(SYS_##n, __VA_ARGS__);                                                   \
        int e_ = errno;                                                                            \
        tried(#n "(" #__VA_ARGS__ ")", r_, e_);                                                    \
        r_;                                                                                        \
    })
static char b[8192];
static void vectors(void)
{
    put("f", "12345678");
    long f = open("f", O_RDWR), z = open("/dev/zero", O_RDWR);
    static struct iovec v[1024];
    for (int i = 0; i < 1024; i++) v[i] = (struct iovec){b, 0x7fffffff};
    S(readv, f, v, 1024L);
    for (int i = 0; i < 1024; i++) v[i] = (struct iovec){b, 8};
    S(readv, z, v, 1024L);
    v[0] = (struct iovec){END(4096), 0x2000};
    S(readv, f, v, 1L);
    v[0] = (struct iovec){b, 4};
    v[1] = (struct iovec){END(16), 64};
    lseek(f, 0, SEEK_SET);
    S(readv, f, v, 2L);
    lseek(f, 0, SEEK_SET);
    S(writev, f, v, 2L);
    S(readv, f, END(8), 2L);
    S(preadv, f, END(4), 1L, 0L, 0L);
    S(pwritev2, f, v, 1L, -1L, 0L, 0x7fffffffL);
    S(read, f, END(1), 1L);
    S(write, z, END(4096), 4097L);
}
static void messages(void)
{
    int s[2], t[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    socketpair(AF_UNIX, SOCK_STREAM, 0, t);
    struct iovec v = {b, 1};
    union {
        char room[4096];
        struct cmsghdr head;
    } c;
#define SEND(length, set)                                                                          \
    ({                                                                                             \
        memset(&c, 0, sizeof c);                                                                   \
        struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c};                     \
        m.msg_controllen = length;                                                                 \
        c.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(4), .cmsg_level = SOL_SOCKET,               \
                                  .cmsg_type = SCM_RIGHTS};                                        \
        set;                                                                                       \
        errno = 0;                                                                                 \
        long r_ = syscall(SYS_sendmsg, s[0], &m, MSG_DONTWAIT);                                                 \
        int e_ = errno;                                                                            \
        tried("send with " #length ", " #set, r_, e_);                                             \
        recv(s[1], b, 1, MSG_DONTWAIT);                                                            \
    })
    int *fds = (int *)CMSG_DATA(&c.head);
    SEND(CMSG_SPACE(4), *fds = s[0]);
    SEND(CMSG_SPACE(4), *fds = -1);
    SEND(CMSG_SPACE(4), *fds = 999);
    SEND(CMSG_SPACE(4), *fds = 1048577);
    SEND(CMSG_SPACE(4), c.head.cmsg_len = 0);
    SEND(CMSG_SPACE(4), c.head.cmsg_len = 4000);
    SEND(CMSG_SPACE(4), c.head.cmsg_len = 0x7fffffff);
    SEND(CMSG_SPACE(4), c.head.cmsg_type = 77);
    SEND(3, *fds = s[0]);
    SEND(CMSG_SPACE(4 * 254), c.head.cmsg_len = CMSG_LEN(4 * 254));
    SEND(CMSG_SPACE(12), (c.head.cmsg_type = SCM_CREDENTIALS, c.head.cmsg_len = CMSG_LEN(12)));
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = END(16), .msg_controllen = 24};
    S(sendmsg, s[0], &m, (long)MSG_DONTWAIT);
    m = (struct msghdr){.msg_iov = END(4), .msg_iovlen = 1};
    S(sendmsg, s[0], &m, (long)MSG_DONTWAIT);
    m = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_name = END(8), .msg_namelen = 110};
    S(sendmsg, s[0], &m, (long)MSG_DONTWAIT);
    TRY(send(s[0], b, 5, 0));
    m.msg_name = b;
    m.msg_namelen = 0;
    S(recvmsg, s[1], &m, (long)MSG_DONTWAIT);
    S(recvmsg, s[1], END(20), 0L);
    S(sendmmsg, s[0], END(40), 5L, 0L);
    S(sendto, t[0], b, 1L, 0L, b, 0x7fffffffL);
    S(sendto, s[0], END(2), 4L, 0L, 0L, 0L);
}
static void addresses(void)
{
    int u = socket(AF_UNIX, SOCK_STREAM, 0), i = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_un a = {AF_UNIX};
    memset(a.sun_path, 'p', sizeof a.sun_path);
    static const int lengths[] = {0, 1, 2, 3, 109, 110, 111, 128, 129, -1};
    for (unsigned k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        long length = lengths[k];
        say("length %ld", length);
        if (length != 110 && length != 3 && length != 109) S(bind, u, &a, length);
        S(connect, u, &a, length);
        S(connect, i, &a, length);
    }
    struct sockaddr_in in = {AF_INET, 0};
    S(bind, i, &in, 4L);
    S(bind, i, &in, 8L);
    S(bind, i, END(8), 16L);
    in.sin_family = 77;
    S(bind, i, &in, 16L);
    unsigned len = -1;
    S(getsockname, u, b, &len);
    len = 0;
    S(getsockname, u, b, &len);
    say("length %u", len);
    len = 110;
    S(getsockname, u, b, END(2));
    S(accept, u, b, END(4));
}
static void events(void)
{
    int e = epoll_create1(0), q[2];
    pipe(q);
    write(q[1], "x", 1);
    struct epoll_event v = {EPOLLIN, {.u64 = 5}};
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, q[0], &v));
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, e, &v));
    S(epoll_ctl, e, (long)EPOLL_CTL_MOD, q[0], END(8));
    S(epoll_ctl, e, 99L, q[0], &v);
    S(epoll_wait, e, END(11), 1L, 0L);
    S(epoll_wait, e, END(12 * 10), 10L, 0L) == 1 ? say("there") : 0;
    S(epoll_wait, e, b, 0L, 0L);
    S(epoll_wait, e, b, -1L, 0L);
    S(epoll_pwait, e, b, 1L, 0L, END(4), 8L);
    S(epoll_pwait, e, b, 1L, 0L, b, 4L);
    S(epoll_pwait2, e, b, 1L, END(8), 0L, 8L);
    S(poll, END(4), 1L, 0L);
    S(poll, END(8), 1000000L, 0L);
    struct pollfd p[3] = {{-1, 0xff}, {1048577, POLLIN}, {q[0], -1}};
    TRY(poll(p, 3, 0));
    say("%x %x %x", p[0].revents, p[1].revents, p[2].revents & POLLIN);
    S(select, 1024L, END(8), 0L, 0L, 0L);
    S(ppoll, 0L, 0L, END(8), 0L, 8L);
}
static void times_(void)
{
    static const struct timespec bad[] = {{0, -1}, {0, 1000000000}, {-1, 0}, {0, LONG_MAX}};
    put("f", "");
    int fd = timerfd_create(CLOCK_MONOTONIC, 0), word = 0;
    timer_t id;
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    TRY(timer_create(CLOCK_MONOTONIC, &none, &id));
    for (int i = 0; i < 4; i++) {
        struct timespec t[2] = {bad[i], bad[i]};
        struct itimerspec s = {{0, 0}, bad[i]};
        struct itimerval u = {{0, 0}, {bad[i].tv_sec, bad[i].tv_nsec}};
        say("time %d", i);
        S(nanosleep, t, 0L);
        S(clock_nanosleep, (long)CLOCK_MONOTONIC, 0L, t, 0L);
        S(ppoll, 0L, 0L, t, 0L, 8L);
        S(pselect6, 0L, 0L, 0L, 0L, t, 0L);
        S(futex, &word, 0L, 0L, t, 0L, 0L);
        S(timerfd_settime, fd, 0L, &s, 0L);
        S(timer_settime, 0L, 0L, &s, 0L);
        S(setitimer, 0L, &u, 0L);
        S(utimensat, AT_FDCWD, "f", t, 0L);
        S(rt_sigtimedwait, b, 0L, t, 8L);
    }
    S(timer_create, 77L, 0L, b);
    struct sigevent wrong = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    S(timer_create, (long)CLOCK_MONOTONIC, &wrong, b);
    wrong.sigev_notify = 99;
    S(timer_create, (long)CLOCK_MONOTONIC, &wrong, b);
}
static void others(void)
{
    put("f", "text");
    long f = open("f", O_RDWR);
    struct flock l = {.l_type = 9};
    TRY(fcntl(f, F_SETLK, &l));
    l = (struct flock){.l_type = F_RDLCK, .l_whence = 7};
    TRY(fcntl(f, F_SETLK, &l));
    l = (struct flock){.l_type = F_RDLCK, .l_start = INT64_MAX, .l_len = 10};
    TRY(fcntl(f, F_SETLK, &l));
    l = (struct flock){.l_type = F_RDLCK, .l_start = -5};
    TRY(fcntl(f, F_GETLK, &l));
    uint64_t how[8] = {O_RDONLY};
    S(openat2, AT_FDCWD, "f", how, 0L);
    S(openat2, AT_FDCWD, "f", how, 23L);
    S(openat2, AT_FDCWD, "f", how, 4097L);
    S(openat2, AT_FDCWD, "f", END(8), 24L);
    how[3] = 1;
    S(openat2, AT_FDCWD, "f", how, 32L);
    how[2] = 1ull << 40;
    S(openat2, AT_FDCWD, "f", how, 24L);
    how[0] = 1ull << 50;
    S(openat2, AT_FDCWD, "f", how, 24L);
    struct rlimit r = {10, 5};
    TRY(setrlimit(RLIMIT_CORE, &r));
    S(prlimit64, 0L, 99L, 0L, &r);
    int64_t off = -1;
    S(sendfile, f, f, &off, 10L);
    S(copy_file_range, f, &off, f, 0L, 10L, 0L);
    S(splice, f, &off, f, 0L, 10L, 0L);
    off = INT64_MAX;
    S(copy_file_range, f, &off, f, 0L, 10L, 0L);
    S(getdents64, open(".", O_RDONLY), END(100), 4096L);
    S(statx, AT_FDCWD, "f", 0x7fffffffL, 0L, b);
    S(statx, AT_FDCWD, "f", 0L, 0xffffffffL, b);
    S(capget, END(8), b);
    S(sched_setaffinity, 0L, 0x7fffffffL, END(8));
    S(getgroups, 0x7fffffffL, END(8)) >= 0;
    S(signalfd4, -1L, END(4), 8L, 0L);
    S(mincore, (void *)4096, 0xfffff000L, b);
    S(setsockopt, socket(AF_INET, SOCK_STREAM, 0), 6L, 1L, END(2), 4L);
    S(ioctl, f, (long)TIOCGWINSZ, END(4));
    S(ioctl, open("/dev/ptmx", O_RDWR | O_NOCTTY), (long)TCSETS, END(16));
    S(waitid, 0L, 0L, END(8), 4L, 0L);
    S(getcwd, END(1), 100L);
    S(readlink, "/proc/self/exe", END(1), 100L);
    S(getrandom, END(8), 100L, 0L);
}
/* A path ends at its first NUL, whatever follows; one without an end within 4,096 bytes is none. */
static void paths(void)
{
    put("f", "text");
    char path[8192] = "f\0/../../etc/passwd";
    struct stat s;
    TRY(access(path, F_OK));
    TRY(stat(path, &s));
    S(openat, AT_FDCWD, "\0f", 0L, 0L);
    memset(path, 0, sizeof path);
    S(open, path, 0L);
    S(execve, path, 0L, 0L);
    memset(path, '/', sizeof path);
    S(open, path, 0L);
    S(execve, path, 0L, 0L);
    S(chdir, path);
    memset(path, 'n', 256);
    path[256] = 0;
    S(open, path, (long)O_CREAT, 0600L);
    path[255] = 0;
    S(mkdir, path, 0700L);
    S(rmdir, path);
    memset(path, '\xff', 100);
    path[100] = 0;
    S(mkdir, path, 0700L);
    S(rmdir, path);
    S(open, END(1), 0L);
    S(open, END(4096), 0L);
}
int main(void)
{
    vectors();
    messages();
    addresses();
    events();
    times_();
    others();
    paths();
    say("alive");
    return 0;
}
