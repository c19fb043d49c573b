/* about: More descriptors than the table has room for at first: opened, duplicated to numbers far away,
 * received, closed in ranges, kept across fork and exec, and opened by threads. */
/* flags: -pthread */
#include "../check.h"
static int null;
static int open_more(int n)
{
    int got = 0;
    while (got < n && dup(null) >= 0) got++;
    return got;
}
static int count(int from, int to)
{
    int open = 0;
    for (int i = from; i < to; i++) open += fcntl(i, F_GETFD) >= 0;
    return open;
}
static void opened(void)
{
    say("opened %d", open_more(3000));
    say("fcntl %d", fcntl(2500, F_GETFD));
    char b[1];
    say("read %zd", read(2500, b, 1));
    say("fork");
    pid_t p = fork();
    if (!p) _exit(open_more(500) == 500 && fcntl(2500, F_GETFD) == 0 ? 7 : 8);
    int s;
    waitpid(p, &s, 0);
    say_status("child", s);
    TRY(syscall(SYS_close_range, 3, ~0u, 0));
    say("lowest %d", open("/dev/null", O_RDONLY));
    TRY(syscall(SYS_close_range, 0x7fffffff, ~0u, 1u << 20));
}
static void far(void)
{
    say("dup2 %d", dup2(null, 3000));
    say("dup3 %d", dup3(null, 3001, O_CLOEXEC));
    say("F_DUPFD %d", fcntl(null, F_DUPFD, 5000));
    say("lowest %d", dup(null));
    TRY(dup2(null, 1 << 30));
    TRY(fcntl(null, F_DUPFD, 1 << 30));
    say("fcntl %d", fcntl(3001, F_GETFD));
}
static void first_far(void) { say("F_DUPFD %d", fcntl(null, F_DUPFD, 4000)); }
static void received(void)
{
    enum { N = 200 };
    int s[2], fds[N];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
    union {
        char room[CMSG_SPACE(sizeof fds)];
        struct cmsghdr head;
    } c = {0};
    char b = 0;
    struct iovec v = {&b, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    c.head.cmsg_len = CMSG_LEN(sizeof fds);
    c.head.cmsg_level = SOL_SOCKET;
    c.head.cmsg_type = SCM_RIGHTS;
    for (int i = 0; i < N; i++) ((int *)CMSG_DATA(&c.head))[i] = null;
    TRY(sendmsg(s[0], &m, 0));
    say("opened %d", open_more(900));
    TRY(recvmsg(s[1], &m, 0));
    say("cut %d, got %zu", !!(m.msg_flags & MSG_CTRUNC),
        (c.head.cmsg_len - CMSG_LEN(0)) / sizeof(int));
}
static void *body(void *n) { return (void *)(intptr_t)open_more((int)(intptr_t)n); }
static void by_threads(void)
{
    pthread_t t[3];
    int sum = 0;
    for (int i = 0; i < 3; i++) pthread_create(t + i, 0, body, (void *)700);
    for (int i = 0; i < 3; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (int)(intptr_t)r;
    }
    say("by threads %d", sum);
    pid_t p = fork();
    if (!p) _exit(open_more(100) == 100 ? 7 : 8);
    int s;
    waitpid(p, &s, 0);
    say_status("child", s);
}
static void limited(void)
{
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = 1500;
    TRY(setrlimit(RLIMIT_NOFILE, &l));
    int got = open_more(3000);
    say("about 1500: %d, then %s", got > 1400 && got < 1500, name_of(errno));
    l.rlim_cur = 2000;
    TRY(setrlimit(RLIMIT_NOFILE, &l));
    got = open_more(3000);
    say("about 500: %d, then %s", got > 400 && got <= 500, name_of(errno));
}
int main(int argc, char **argv)
{
    if (argc > 1) {
        say("after exec %d %d", count(3, 1000) > 900, count(1100, 3000));
        return 0;
    }
    null = open("/dev/null", O_RDONLY);
    CHILD(opened());
    CHILD(far());
    CHILD(first_far());
    CHILD(received());
    CHILD(by_threads());
    CHILD(limited());
    open_more(2000);
    for (int i = 1100; i < 2000; i++) fcntl(i, F_SETFD, i < 1900 ? FD_CLOEXEC : 0);
    for (int i = 2000; i < 3000; i++) close(i);
    fflush(stdout);
    char *again[] = {argv[0], "again", 0};
    execv("/proc/self/exe", again);
    return 1;
}
