/* about: Masks, pending, suspend, timedwait, queues, signals across fork. */
/* calls: rt_sigpending rt_sigprocmask rt_sigsuspend rt_sigtimedwait */
#include "../check.h"
static void on(int s) { say("handler %d", s - (s >= 32 ? SIGRTMIN - 1000 : 0)); }
static void val(int s, siginfo_t *i, void *c) { say("queued %d", i->si_value.sival_int); }
static sigset_t of(int a, int b)
{
    sigset_t s;
    sigemptyset(&s);
    if (a) sigaddset(&s, a);
    if (b) sigaddset(&s, b);
    return s;
}
int main(void)
{
    sigset_t s = of(SIGUSR1, SIGUSR2), o, p;
    signal(SIGUSR1, on);
    signal(SIGUSR2, on);
    signal(SIGALRM, on);
    TRY(sigprocmask(SIG_BLOCK, &s, &o));
    say("%d", sigismember(&o, SIGUSR1));
    raise(SIGUSR1);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR2);
    sigpending(&p);
    say("pending %d %d %d", sigismember(&p, SIGUSR1), sigismember(&p, SIGUSR2),
        sigismember(&p, SIGHUP));
    pid_t c = fork();
    if (!c) {
        sigpending(&p);
        say("child pending %d", sigismember(&p, SIGUSR1));
        sigprocmask(0, 0, &o);
        say("child mask %d", sigismember(&o, SIGUSR1));
        _exit(0);
    }
    waitpid(c, 0, 0);
    sigset_t one = of(SIGUSR2, 0);
    TRY(sigsuspend(&one));
    say("after suspend");
    sigprocmask(0, 0, &o);
    say("mask %d %d", sigismember(&o, SIGUSR1), sigismember(&o, SIGUSR2));
    siginfo_t i;
    struct timespec t = {0, 20000000};
    s = of(SIGUSR2, 0);
    TRY(sigtimedwait(&s, &i, &t));
    say("code %d pid %d", i.si_code, i.si_pid == getpid());
    TRY(sigtimedwait(&s, &i, &t));
    t.tv_nsec = -1;
    TRY(sigtimedwait(&s, &i, &t));
    s = of(SIGRTMIN, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &s, 0);
    for (int k = 0; k < 4; k++)
        sigqueue(getpid(), SIGRTMIN + (k & 1), (union sigval){.sival_int = k});
    int got;
    for (int k = 0; k < 3; k++) {
        got = sigwaitinfo(&s, &i);
        say("%d value %d code %d", got - SIGRTMIN, i.si_value.sival_int, i.si_code);
    }
    TRY0(sigwait(&s, &got));
    struct sigaction a = {.sa_sigaction = val, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN, &a, 0);
    for (int k = 0; k < 12; k++) sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = k});
    s = of(SIGRTMIN, 0);
    TRY(sigprocmask(SIG_UNBLOCK, &s, 0));
    sigfillset(&s);
    TRY(sigprocmask(SIG_SETMASK, &s, 0));
    sigprocmask(0, 0, &o);
    say("kill %d stop %d term %d segv %d", sigismember(&o, SIGKILL), sigismember(&o, SIGSTOP),
        sigismember(&o, SIGTERM), sigismember(&o, SIGSEGV));
    TRY(sigprocmask(99, &s, 0));
    sigemptyset(&s);
    raise(SIGTERM);
    signal(SIGTERM, SIG_IGN);
    sigpending(&p);
    say("term pending %d", sigismember(&p, SIGTERM));
    TRY(sigprocmask(SIG_SETMASK, &s, 0));
    alarm(1);
    TRY(pause());
    TRY(alarm(10));
    TRY(alarm(0));
    TRY(alarm(0));
    c = fork();
    if (!c) {
        signal(SIGUSR1, SIG_DFL);
        s = of(SIGUSR1, 0);
        sigprocmask(SIG_BLOCK, &s, 0);
        kill(getpid(), SIGUSR1);
        sigprocmask(SIG_UNBLOCK, &s, 0);
        say("not reached");
        _exit(0);
    }
    int st;
    waitpid(c, &st, 0);
    say_status("unblocked", st);
    c = fork();
    if (!c) {
        s = of(SIGSEGV, 0);
        sigprocmask(SIG_BLOCK, &s, 0);
        signal(SIGSEGV, on);
        raise(SIGSEGV);
        say("segv is pending");
        sigprocmask(SIG_UNBLOCK, &s, 0);
        _exit(0);
    }
    waitpid(c, &st, 0);
    say_status("segv", st);
    return 0;
}
