/* about: Timers that call functions in threads. */
/* flags: -pthread */
#include "../check.h"
static volatile int called;
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static void fn(union sigval v)
{
    pthread_mutex_lock(&m);
    called += v.sival_int;
    pthread_cond_signal(&c);
    pthread_mutex_unlock(&m);
}
static volatile int hit[2];
static pthread_t who;
static void on(int s) { hit[s == SIGUSR2] = pthread_equal(pthread_self(), who) ? 1 : 2; }
static void *wait_for(void *x)
{
    while (!hit[0]) pause_ms(2);
    return 0;
}
static void *compute(void *x)
{
    volatile unsigned long n = 0;
    while (!hit[1]) n++;
    return 0;
}
static void *mask(void *x)
{
    sigset_t s;
    pthread_sigmask(0, 0, &s);
    say("inherited %d", sigismember(&s, SIGHUP));
    return 0;
}
/* A signal that C libraries keep for themselves once there are threads. */
static void *nothing(void *x) { return 0; }
static void sends_itself_33(void)
{
    pthread_t t;
    /* Whoever started this may have had it ignored. */
    char action[64] = {0};
    syscall(SYS_rt_sigaction, 33, action, 0, 8);
    pthread_create(&t, 0, nothing, 0);
    pthread_join(t, 0);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), 33);
}
int main(void)
{
    /* Before there are threads here. */
    CHILD(sends_itself_33());
    struct sigevent e = {.sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 6};
    e.sigev_notify_function = fn;
    timer_t t;
    TRY(timer_create(CLOCK_MONOTONIC, &e, &t));
    struct itimerspec s = {{0}, {0, 5000000}};
    TRY(timer_settime(t, 0, &s, 0));
    pthread_mutex_lock(&m);
    while (!called) pthread_cond_wait(&c, &m);
    pthread_mutex_unlock(&m);
    say("called %d", called);
    TRY(timer_delete(t));
    signal(SIGUSR1, on);
    signal(SIGUSR2, on);
    TRY0(pthread_create(&who, 0, wait_for, 0));
    TRY0(pthread_kill(who, SIGUSR1));
    pthread_join(who, 0);
    say("the right thread %d", hit[0]);
    TRY0(pthread_create(&who, 0, compute, 0));
    pause_ms(20);
    TRY0(pthread_kill(who, SIGUSR2));
    pthread_join(who, 0);
    say("in a computation %d", hit[1]);
    sigset_t h;
    sigemptyset(&h);
    sigaddset(&h, SIGHUP);
    TRY0(pthread_sigmask(SIG_BLOCK, &h, 0));
    pthread_create(&who, 0, mask, 0);
    pthread_join(who, 0);
    TRY0(pthread_kill(pthread_self(), 0));
    TRY0(pthread_kill(pthread_self(), 99));
    raise(SIGHUP);
    int got;
    TRY0(sigwait(&h, &got));
    say("%d", got);
    TRY0(pthread_sigmask(99, &h, 0));
    return 0;
}
