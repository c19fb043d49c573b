/* about: epoll: level, edge, one shot, exclusive, errors, nesting. */
/* calls: epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait */
#include "../check.h"
static int n;
static void on(int s) { n++; }
static void wait_(int e, const char *what)
{
    struct epoll_event v[8];
    memset(v, 0, sizeof v);
    int k = epoll_wait(e, v, 8, 10);
    say("%s: %d%s", what, k, k < 0 ? name_of(errno) : "");
    for (int i = 0; i < k; i++) say("  %x %llx", v[i].events, (unsigned long long)v[i].data.u64);
}
int main(void)
{
    int e = TRY(epoll_create1(EPOLL_CLOEXEC)), p[2], q[2];
    pipe(p);
    pipe(q);
    TRY(epoll_create1(5));
    TRY(epoll_create(0));
    TRY(epoll_create(1) > 0);
    struct epoll_event v = {EPOLLIN, {.u64 = 0x123456789abcdef0}};
    say("size %d", (int)sizeof v);
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &v));
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &v));
    wait_(e, "nothing");
    write(p[1], "x", 1);
    wait_(e, "level");
    wait_(e, "level again");
    char c;
    read(p[0], &c, 1);
    wait_(e, "read");
    v.events = EPOLLIN | EPOLLET;
    v.data.u64 = 1;
    TRY(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &v));
    write(p[1], "x", 1);
    wait_(e, "edge");
    wait_(e, "edge again");
    write(p[1], "y", 1);
    wait_(e, "new edge");
    v.events = EPOLLIN | EPOLLONESHOT;
    TRY(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &v));
    wait_(e, "oneshot");
    wait_(e, "oneshot over");
    epoll_ctl(e, EPOLL_CTL_MOD, p[0], &v);
    wait_(e, "armed");
    v.events = EPOLLOUT;
    v.data.fd = q[1];
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, q[1], &v));
    wait_(e, "out");
    close(q[0]);
    wait_(e, "error");
    TRY(epoll_ctl(e, EPOLL_CTL_DEL, q[1], 0));
    TRY(epoll_ctl(e, EPOLL_CTL_DEL, q[1], 0));
    TRY(epoll_ctl(e, EPOLL_CTL_MOD, q[1], &v));
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, e, &v));
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, 99, &v));
    TRY(epoll_ctl(p[0], EPOLL_CTL_ADD, p[0], &v));
    TRY(epoll_ctl(e, 9, p[0], &v));
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, open("f", O_CREAT | O_RDWR, 0600), &v));
    TRY(epoll_wait(e, &v, 0, 0));
    TRY(epoll_wait(e, &v, -1, 0));
    TRY(epoll_wait(p[0], &v, 1, 0));
    int o = epoll_create1(0);
    v.events = EPOLLIN;
    v.data.u64 = 2;
    v.events = EPOLLIN;
    epoll_ctl(e, EPOLL_CTL_MOD, p[0], &v);
    TRY(epoll_ctl(o, EPOLL_CTL_ADD, e, &v));
    wait_(o, "nested");
    TRY(epoll_ctl(e, EPOLL_CTL_ADD, o, &v));
    close(p[1]);
    read(p[0], &c, 1);
    read(p[0], &c, 1);
    wait_(e, "hang-up");
    signal(SIGUSR1, on);
    sigset_t b, m;
    sigemptyset(&m);
    sigemptyset(&b);
    sigaddset(&b, SIGUSR1);
    sigprocmask(SIG_BLOCK, &b, 0);
    raise(SIGUSR1);
    int x = epoll_create1(0);
    TRY(epoll_pwait(x, &v, 1, 10, 0));
    TRY(epoll_pwait(x, &v, 1, 1000, &m));
    say("%d", n);
    struct timespec t = {0, 1000000};
    TRY(syscall(SYS_epoll_pwait2, x, &v, 1, &t, 0, 8L));
    int s[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    v.events = EPOLLIN | EPOLLRDHUP | EPOLLOUT;
    epoll_ctl(x, EPOLL_CTL_ADD, s[0], &v);
    shutdown(s[1], SHUT_WR);
    wait_(x, "rdhup");
    close(s[1]);
    wait_(x, "closed");
    pid_t p2 = fork();
    if (!p2) {
        wait_(x, "in a child");
        _exit(0);
    }
    waitpid(p2, 0, 0);
    return 0;
}
