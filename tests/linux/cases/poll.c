/* about: poll, ppoll, select, pselect. */
/* calls: poll ppoll pselect6 */
#include "../check.h"
static int n;
static void on(int s) { n++; }
int main(void)
{
    int p[2], q[2];
    pipe(p);
    pipe(q);
    struct pollfd f[4] = {{p[0], POLLIN}, {p[1], POLLOUT}, {-5, POLLIN, 7}, {99, POLLIN}};
    TRY(poll(f, 3, 0));
    say("%x %x %x", f[0].revents, f[1].revents, f[2].revents);
    TRY(poll(f, 4, 0));
    say("%x", f[3].revents);
    write(p[1], "x", 1);
    TRY(poll(f, 1, -1));
    say("%x", f[0].revents);
    close(p[1]);
    TRY(poll(f, 1, 0));
    say("%x", f[0].revents);
    char c;
    read(p[0], &c, 1);
    TRY(poll(f, 1, 0));
    say("%x", f[0].revents);
    TRY(poll(0, 0, 5));
    f[0] = (struct pollfd){q[1], POLLOUT};
    close(q[0]);
    TRY(poll(f, 1, 0));
    say("%x", f[0].revents);
    f[0].fd = open("f", O_CREAT | O_RDWR, 0600);
    f[0].events = POLLIN | POLLOUT | POLLPRI;
    TRY(poll(f, 1, 0));
    say("%x", f[0].revents);
    pipe(p);
    pipe(q);
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(q[0], &r);
    FD_SET(q[1], &w);
    write(q[1], "y", 1);
    struct timeval t = {1, 0};
    TRY(select(30, &r, &w, 0, &t));
    say("%d %d %d", FD_ISSET(p[0], &r) != 0, FD_ISSET(q[0], &r) != 0, FD_ISSET(q[1], &w) != 0);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    t = (struct timeval){0, 5000};
    TRY(select(30, &r, 0, 0, &t));
    say("%d", FD_ISSET(p[0], &r) != 0);
    TRY(select(-1, 0, 0, 0, &t));
    // The kernel looks no further than its table of descriptors has room: make it have room.
    dup2(p[0], 200);
    close(200);
    FD_SET(200, &r);
    TRY(select(201, &r, 0, 0, &t));
    t.tv_sec = -1;
    TRY(select(0, 0, 0, 0, &t));
    signal(SIGUSR1, on);
    sigset_t b, e;
    sigemptyset(&e);
    sigemptyset(&b);
    sigaddset(&b, SIGUSR1);
    sigprocmask(SIG_BLOCK, &b, 0);
    raise(SIGUSR1);
    struct timespec z = {0, 50000000};
    f[0] = (struct pollfd){p[0], POLLIN};
    TRY(ppoll(f, 1, &z, 0));
    say("%d", n);
    TRY(ppoll(f, 1, &z, &e));
    say("%d", n);
    raise(SIGUSR1);
    FD_ZERO(&r);
    TRY(pselect(0, &r, 0, 0, &z, &e));
    say("%d", n);
    sigprocmask(0, 0, &b);
    say("blocked %d", sigismember(&b, SIGUSR1));
    TRY(pselect(0, &r, 0, 0, &z, 0));
    z.tv_nsec = -1;
    TRY(ppoll(f, 1, &z, 0));
    raise(SIGUSR1);
    write(p[1], "x", 1);
    TRY(ppoll(f, 1, 0, &e));
    say("%d", n);
    return 0;
}
