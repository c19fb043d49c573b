/* about: Waits with a mask of their own: the handler that ends one runs under that mask and its own, and
 * leaves the thread's mask behind. */
#include "../check.h"

static volatile int calls;

static void handler(int signal)
{
    sigset_t now;
    sigprocmask(SIG_BLOCK, 0, &now);
    calls++;
    say("signal %d: HUP %d TERM %d INT %d itself %d", signal, sigismember(&now, SIGHUP), sigismember(&now, SIGTERM),
        sigismember(&now, SIGINT), sigismember(&now, signal));
}

static void after(const char *what)
{
    sigset_t now;
    sigprocmask(SIG_BLOCK, 0, &now);
    say("after %s: HUP %d TERM %d INT %d USR1 %d, calls %d", what, sigismember(&now, SIGHUP),
        sigismember(&now, SIGTERM), sigismember(&now, SIGINT), sigismember(&now, SIGUSR1), calls);
    calls = 0;
}

int main(void)
{
    struct sigaction action = { .sa_handler = handler };
    sigaddset(&action.sa_mask, SIGINT);
    sigaction(SIGUSR1, &action, 0);
    sigaction(SIGUSR2, &action, 0);
    /* The thread's own blocks HUP and both signals, that of the waits TERM. */
    sigset_t own, wait;
    sigemptyset(&own);
    sigaddset(&own, SIGHUP);
    sigaddset(&own, SIGUSR1);
    sigaddset(&own, SIGUSR2);
    sigprocmask(SIG_SETMASK, &own, 0);
    sigemptyset(&wait);
    sigaddset(&wait, SIGTERM);

    raise(SIGUSR1);
    TRY(sigsuspend(&wait));
    after("sigsuspend");

    int p[2], e = epoll_create1(0);
    pipe(p);
    struct pollfd pollfd = { .fd = p[0], .events = POLLIN };
    raise(SIGUSR1);
    TRY(ppoll(&pollfd, 1, 0, &wait));
    after("ppoll");

    fd_set set;
    FD_ZERO(&set);
    FD_SET(p[0], &set);
    raise(SIGUSR2);
    TRY(pselect(p[0] + 1, &set, 0, 0, 0, &wait));
    after("pselect");

    struct epoll_event event = { .events = EPOLLIN };
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &event);
    raise(SIGUSR1);
    TRY(epoll_pwait(e, &event, 1, -1, &wait));
    after("epoll_pwait");

    /* One interrupts the other's handler: only the first has the mask of the wait to leave. */
    raise(SIGUSR1);
    raise(SIGUSR2);
    TRY(sigsuspend(&wait));
    after("two");

    /* A wait that ends otherwise lets nothing in. */
    write(p[1], "x", 1);
    struct timespec none = { 0, 0 };
    TRY(ppoll(&pollfd, 1, &none, &wait));
    after("a wait for what is there");
    raise(SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &own, 0);
    after("opening");
    return 0;
}
