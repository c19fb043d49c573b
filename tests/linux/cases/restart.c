/* about: SA_RESTART and EINTR, for each kind of waiting call. */
#include "../check.h"
static int n, flags;
static void on(int s) { n++; }
static void arm(int f)
{
    struct sigaction a = {.sa_handler = on, .sa_flags = f};
    sigaction(SIGALRM, &a, 0);
    struct itimerval t = {.it_value = {0, 30000}};
    setitimer(ITIMER_REAL, &t, 0);
}
static pid_t later(int fd)
{
    pid_t p = fork();
    if (!p) {
        pause_ms(120);
        write(fd, "x", 1);
        _exit(3);
    }
    return p;
}
static int select_one(int fd, fd_set *set)
{
    FD_ZERO(set);
    FD_SET(fd, set);
    return select(fd + 1, set, 0, 0, 0);
}
#define BOTH(call)                                                                                 \
    do {                                                                                           \
        for (int r_ = 0; r_ < 2; r_++) {                                                           \
            pid_t p_ = later(p[1]);                                                                \
            n = 0;                                                                                 \
            arm(r_ ? SA_RESTART : 0);                                                              \
            TRY(call);                                                                             \
            say("  %s handlers %d", r_ ? "restart" : "plain", n);                                  \
            while (waitpid(p_, 0, 0) < 0 && errno == EINTR);                                       \
            char d_[9];                                                                            \
            fcntl(p[0], F_SETFL, O_NONBLOCK);                                                      \
            while (read(p[0], d_, 9) > 0);                                                         \
            fcntl(p[0], F_SETFL, 0);                                                               \
        }                                                                                          \
    } while (0)
int main(void)
{
    int p[2], sv[2], s;
    char b[8];
    pipe(p);
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    struct iovec v = {b, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    BOTH(read(p[0], b, 1));
    BOTH(readv(p[0], &v, 1));
    BOTH(wait(&s) > 0 ? 1 : -1);
    struct pollfd f = {p[0], POLLIN};
    BOTH(poll(&f, 1, 2000));
    fd_set set;
    BOTH(select_one(p[0], &set));
    int e = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN};
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev);
    BOTH(epoll_wait(e, &ev, 1, 2000));
    struct timespec t = {0, 80000000}, rem = {9, 9};
    BOTH(nanosleep(&t, &rem));
    say("remaining %d", rem.tv_sec == 0 && rem.tv_nsec > 1000000 && rem.tv_nsec < 80000000);
    BOTH(clock_nanosleep(CLOCK_MONOTONIC, 0, &t, 0) ? -1 : 0);
    BOTH(pause());
    {
        int q[2];
        memcpy(q, p, sizeof q);
        memcpy(p, sv, sizeof q);
        BOTH(recv(p[0], b, 1, 0));
        BOTH(recvmsg(p[0], &m, 0));
        struct timeval tv = {1, 0};
        setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
        BOTH(recv(p[0], b, 1, 0));
        memcpy(p, q, sizeof q);
    }
    mkfifo("fifo", 0600);
    for (int r = 0; r < 2; r++) {
        pid_t c = fork();
        if (!c) {
            pause_ms(100);
            int w = open("fifo", O_WRONLY);
            _exit(0);
        }
        arm(r ? SA_RESTART : 0);
        int fd = TRY(open("fifo", O_RDONLY));
        if (fd >= 0) close(fd);
        else {
            fd = open("fifo", O_RDONLY);
            close(fd);
        }
        while (waitpid(c, 0, 0) < 0);
    }
    static char big[200000];
    fcntl(p[0], F_SETFL, 0);
    pid_t c = fork();
    if (!c) {
        pause_ms(120);
        long sum = 0, r;
        close(p[1]);
        while ((r = read(p[0], big, sizeof big)) > 0) sum += r;
        say("sum %ld", sum);
        _exit(0);
    }
    arm(0);
    long w = TRY(write(p[1], big, sizeof big));
    close(p[1]);
    while (waitpid(c, 0, 0) < 0);
    return 0;
}
