/* about: setjmp, longjmp, sigsetjmp, leaving handlers by a jump; signals into a computation. */
#include "../check.h"
static jmp_buf j;
static sigjmp_buf sj;
static volatile int count, stop;
static int deep(int n)
{
    volatile int k = n;
    if (n == 0) longjmp(j, 42);
    return deep(n - 1) + k;
}
static void out(int s)
{
    count++;
    siglongjmp(sj, s);
}
static void set(int s) { stop = 1; }
static void tick(int s)
{
    if (++count == 5) stop = 1;
}
static void by_longjmp(int s) { longjmp(j, 7); }
static __attribute__((noinline)) void forever(void) { for (volatile unsigned long n = 0;; n++); }
static void same_function(void)
{
    struct itimerval t = {.it_value = {0, 20000}};
    if (!sigsetjmp(sj, 1)) {
        setitimer(ITIMER_REAL, &t, 0);
        for (volatile unsigned long n = 0;; n++);
    }
}
int main(void)
{
    volatile int v = 1;
    int r = setjmp(j);
    if (!r) {
        v = 2;
        deep(50);
    }
    say("%d %d", r, v);
    r = setjmp(j);
    if (!r) longjmp(j, 0);
    say("%d", r);
    for (volatile int i = 0; i < 3; i++)
        if (setjmp(j) == 0) {
            longjmp(j, 1);
        } else say("round %d", i);
    jmp_buf a, b;
    volatile int where = 0;
    if (!setjmp(a)) {
        if (!setjmp(b)) {
            where = 1;
            longjmp(b, 1);
        }
        where += 10;
        longjmp(a, 1);
    }
    say("where %d", where);
    sigset_t o;
    signal(SIGUSR1, out);
    for (volatile int i = 0; i < 3; i++) {
        if (!sigsetjmp(sj, 1)) {
            raise(SIGUSR1);
            say("not reached");
        }
        sigprocmask(0, 0, &o);
        say("back %d blocked %d", count, sigismember(&o, SIGUSR1));
    }
    if (!sigsetjmp(sj, 0)) raise(SIGUSR1);
    sigprocmask(0, 0, &o);
    say("without mask: blocked %d", sigismember(&o, SIGUSR1));
    sigemptyset(&o);
    sigprocmask(SIG_SETMASK, &o, 0);
    signal(SIGALRM, out);
    count = 0;
    struct itimerval t = {.it_value = {0, 20000}};
    if (!sigsetjmp(sj, 1)) {
        setitimer(ITIMER_REAL, &t, 0);
        forever();
    }
    say("out of a computation %d", count);
    CHILD(same_function());
    if (!sigsetjmp(sj, 1)) {
        setitimer(ITIMER_REAL, &t, 0);
        pause();
        say("not reached");
    }
    say("out of a call %d", count);
    signal(SIGALRM, set);
    stop = 0;
    setitimer(ITIMER_REAL, &t, 0);
    while (!stop);
    say("stopped");
    t.it_interval.tv_usec = 10000;
    count = stop = 0;
    signal(SIGALRM, tick);
    setitimer(ITIMER_REAL, &t, 0);
    unsigned long x = 1;
    while (!stop) x = x * 3 + 1;
    t = (struct itimerval){0};
    setitimer(ITIMER_REAL, &t, 0);
    say("ticks %d", count >= 5);
    struct itimerval vt = {.it_value = {0, 20000}};
    stop = 0;
    signal(SIGVTALRM, set);
    TRY(setitimer(ITIMER_VIRTUAL, &vt, 0));
    while (!stop);
    say("virtual");
    stop = 0;
    signal(SIGPROF, set);
    TRY(setitimer(ITIMER_PROF, &vt, 0));
    while (!stop);
    say("prof");
    TRY(setitimer(9, &vt, 0));
    signal(SIGUSR2, by_longjmp);
    r = setjmp(j);
    if (!r) {
        raise(SIGUSR2);
    }
    say("longjmp from a handler %d", r);
    return 0;
}
