/* about: timer_create, setitimer, timerfd, signalfd, eventfd. */
/* calls: eventfd eventfd2 getitimer setitimer signalfd signalfd4 timer_create timer_delete
 * timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime */
#include "../check.h"
static volatile int hits, val;
static void on(int s, siginfo_t *i, void *c)
{
    hits++;
    val = i->si_value.sival_int;
    if (hits == 1) say("code %d", i->si_code);
}
static volatile int called;
static void fn(union sigval v) { called = v.sival_int; }
/* A program that is executed has none of the timers of the one before it, nor has a forked child. */
static void executes(void)
{
    timer_t t;
    struct itimerspec s = {{0}, {0, 20000000}};
    TRY(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_signo = SIGTERM}, &t));
    TRY(timer_settime(t, 0, &s, 0));
    CHILD(TRY(timer_settime(t, 0, &s, 0)));
    execl("/bin/timers", "timers", "executed", (char *)0);
}
static void executed(void)
{
    pause_ms(60);
    struct itimerspec o;
    TRY(timer_gettime(0, &o));
    say("lives");
    timer_t t;
    TRY(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &t));
    TRY(timer_delete(t));
}
int main(int argc, char **argv)
{
    if (argc > 1) return executed(), 0;
    CHILD(executes());
    timer_t t;
    struct sigevent e = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 99};
    struct sigaction a = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN, &a, 0);
    sigaction(SIGALRM, &a, 0);
    TRY(timer_create(CLOCK_MONOTONIC, &e, &t));
    struct itimerspec s = {{0, 10000000}, {0, 10000000}}, o;
    TRY(timer_settime(t, 0, &s, &o));
    say("%ld", (long)o.it_value.tv_nsec);
    while (hits < 3) pause_ms(2);
    TRY(timer_gettime(t, &o));
    say("interval %ld left %d", (long)o.it_interval.tv_nsec, o.it_value.tv_nsec <= 10000000);
    say("value %d", val);
    TRY(timer_getoverrun(t) >= 0);
    TRY(timer_delete(t));
    TRY(timer_settime(t, 0, &s, &o));
    hits = 0;
    TRY(timer_create(CLOCK_REALTIME, 0, &t));
    s = (struct itimerspec){{0}, {0, 5000000}};
    TRY(timer_settime(t, 0, &s, 0));
    while (!hits) pause_ms(2);
    TRY(timer_delete(t));
    TRY(timer_create(9999, &e, &t));
    e.sigev_signo = 99;
    TRY(timer_create(CLOCK_MONOTONIC, &e, &t));
    e = (struct sigevent){.sigev_notify = SIGEV_NONE};
    TRY(timer_create(CLOCK_MONOTONIC, &e, &t));
    s.it_value.tv_sec = 50;
    TRY(timer_settime(t, 0, &s, 0));
    TRY(timer_gettime(t, &o));
    say("%d", o.it_value.tv_sec >= 49);
    s.it_value.tv_nsec = 2000000000;
    TRY(timer_settime(t, 0, &s, 0));
    struct itimerval v = {.it_value = {100, 0}}, ov;
    TRY(setitimer(ITIMER_REAL, &v, &ov));
    TRY(getitimer(ITIMER_REAL, &ov));
    say("%d", ov.it_value.tv_sec >= 99);
    v.it_value.tv_usec = 2000000;
    TRY(setitimer(ITIMER_REAL, &v, 0));
    v = (struct itimerval){0};
    setitimer(ITIMER_REAL, &v, 0);
    TRY(getitimer(7, &ov));
    int f = TRY(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    TRY(timerfd_create(CLOCK_MONOTONIC, 1));
    uint64_t n = 0;
    TRY(read(f, &n, 8));
    s = (struct itimerspec){{0, 5000000}, {0, 5000000}};
    TRY(timerfd_settime(f, 0, &s, &o));
    pause_ms(30);
    TRY(read(f, &n, 4));
    TRY(read(f, &n, 8));
    say("%d", n >= 3);
    TRY(timerfd_gettime(f, &o));
    say("%ld", (long)o.it_interval.tv_nsec);
    s = (struct itimerspec){{0}, {1, 0}};
    TRY(timerfd_settime(f, TFD_TIMER_ABSTIME, &s, 0));
    struct pollfd p = {f, POLLIN};
    TRY(poll(&p, 1, 1000));
    TRY(timerfd_settime(0, 0, &s, 0));
    s.it_value.tv_nsec = -1;
    TRY(timerfd_settime(f, 0, &s, 0));
    sigset_t m;
    sigemptyset(&m);
    sigaddset(&m, SIGUSR1);
    sigaddset(&m, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &m, 0);
    int g = TRY(signalfd(-1, &m, SFD_NONBLOCK));
    struct signalfd_siginfo i[3];
    TRY(read(g, i, sizeof i));
    raise(SIGUSR1);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
    TRY(read(g, i, 10));
    TRY(read(g, i, sizeof i));
    say("%u %d %d, %d %d %d", i[0].ssi_signo, i[0].ssi_code, i[0].ssi_pid == getpid(),
        i[1].ssi_signo - SIGRTMIN, i[1].ssi_int, i[1].ssi_code);
    sigdelset(&m, SIGUSR1);
    TRY(signalfd(g, &m, 0) == g);
    raise(SIGUSR1);
    TRY(read(g, i, sizeof i));
    TRY(signalfd(0, &m, 0));
    TRY(signalfd(-1, &m, 1));
    int v2 = TRY(eventfd(3, EFD_NONBLOCK));
    TRY(read(v2, &n, 8));
    say("%d", (int)n);
    TRY(read(v2, &n, 8));
    n = 5;
    TRY(write(v2, &n, 8));
    TRY(write(v2, &n, 8));
    TRY(read(v2, &n, 8));
    say("%d", (int)n);
    n = -1;
    TRY(write(v2, &n, 8));
    n = -2;
    TRY(write(v2, &n, 8));
    n = 1;
    TRY(write(v2, &n, 8));
    TRY(write(v2, &n, 4));
    int w = TRY(eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK));
    TRY(read(w, &n, 8));
    say("%d", (int)n);
    TRY(read(w, &n, 8));
    TRY(read(w, &n, 8));
    TRY(eventfd(0, 12345));
    return 0;
}
