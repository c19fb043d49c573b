/* about: sigaction: flags, siginfo, nesting, what is remembered. */
/* calls: kill rt_sigaction rt_sigqueueinfo sigaltstack */
#include "../check.h"
static volatile int depth, order;
static void plain(int s) { say("plain %d", s); }
static void full(int s, siginfo_t *i, void *c)
{
    ucontext_t *u = c;
    say("full %d code %d pid %d uid %d ctx %d", s, i->si_code, i->si_pid == getpid(), i->si_uid,
        u != 0);
}
static void nested(int s)
{
    int d = ++depth;
    say("in %d", d);
    if (d < 3) raise(s);
    say("out %d", d);
}
static void other(int s)
{
    say("other in");
    raise(SIGUSR2);
    say("other out");
}
static void value(int s, siginfo_t *i, void *c)
{
    say("value %d code %d %d", s - SIGRTMIN, i->si_code, i->si_value.sival_int);
}
static void child(int s, siginfo_t *i, void *c)
{
    say("chld code %d status %d", i->si_code, i->si_status);
}
static volatile char *low, *high;
static char alt[65536];
static void on_stack(int s)
{
    volatile char here;
    say("on the alternate stack %d", &here >= alt && &here < alt + sizeof alt);
    stack_t t;
    sigaltstack(0, &t);
    say("flags %d", t.ss_flags);
    errno = 0;
    stack_t n = {alt, 0, sizeof alt};
    TRY(sigaltstack(&n, 0));
}
static void set(int s, void *f, int flags, int masked)
{
    struct sigaction a = {0};
    a.sa_sigaction = f;
    a.sa_flags = flags;
    sigemptyset(&a.sa_mask);
    if (masked) sigaddset(&a.sa_mask, masked);
    if (sigaction(s, &a, 0)) say("sigaction %d: %s", s, name_of(errno));
}
int main(void)
{
    struct sigaction o;
    sigset_t now;
    set(SIGUSR1, plain, 0, 0);
    raise(SIGUSR1);
    set(SIGUSR1, full, SA_SIGINFO, 0);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    set(SIGUSR1, nested, SA_NODEFER, 0);
    raise(SIGUSR1);
    depth = 0;
    set(SIGUSR1, nested, 0, 0);
    raise(SIGUSR1);
    set(SIGUSR1, plain, SA_RESETHAND, 0);
    raise(SIGUSR1);
    sigaction(SIGUSR1, 0, &o);
    say("reset %d", o.sa_handler == SIG_DFL);
    set(SIGUSR1, other, 0, SIGUSR2);
    set(SIGUSR2, plain, 0, 0);
    raise(SIGUSR1);
    set(SIGUSR1, other, 0, 0);
    raise(SIGUSR1);
    set(SIGUSR1, full, SA_SIGINFO | SA_RESTART | SA_NODEFER, SIGHUP);
    sigaction(SIGUSR1, 0, &o);
    say("flags %x mask %d %d", (int)o.sa_flags & ~0x04000000, sigismember(&o.sa_mask, SIGHUP),
        sigismember(&o.sa_mask, SIGUSR2));
    set(SIGRTMIN + 2, value, SA_SIGINFO, 0);
    union sigval v = {.sival_int = 4711};
    TRY(sigqueue(getpid(), SIGRTMIN + 2, v));
    TRY(sigqueue(getpid(), 70, v));
    TRY(sigqueue(999999, SIGRTMIN, v));
    set(SIGCHLD, child, SA_SIGINFO, 0);
    pid_t p = fork();
    if (!p) _exit(9);
    while (waitpid(p, 0, 0) < 0);
    p = fork();
    if (!p) pause();
    kill(p, SIGKILL);
    while (waitpid(p, 0, 0) < 0);
    set(SIGCHLD, child, SA_SIGINFO | SA_NOCLDSTOP, 0);
    p = fork();
    if (!p)
        for (;;) pause();
    kill(p, SIGSTOP);
    waitpid(p, 0, WUNTRACED);
    say("stopped quietly");
    kill(p, SIGKILL);
    while (waitpid(p, 0, 0) < 0);
    set(SIGCHLD, SIG_DFL, SA_NOCLDWAIT, 0);
    p = fork();
    if (!p) _exit(0);
    TRY(waitpid(p, 0, 0));
    TRY(sigaction(SIGKILL, &o, 0));
    TRY(sigaction(SIGSTOP, &o, 0));
    TRY(sigaction(0, &o, 0));
    TRY(sigaction(65, &o, 0));
    TRY(sigaction(SIGKILL, 0, &o));
    stack_t st = {alt, 0, sizeof alt}, old;
    TRY(sigaltstack(&st, &old));
    say("%d", old.ss_flags);
    set(SIGUSR1, on_stack, SA_ONSTACK, 0);
    raise(SIGUSR1);
    st.ss_size = 100;
    TRY(sigaltstack(&st, 0));
    st.ss_size = sizeof alt;
    st.ss_flags = 77;
    TRY(sigaltstack(&st, 0));
    st.ss_flags = SS_DISABLE;
    TRY(sigaltstack(&st, &old));
    say("%d %d", old.ss_flags, old.ss_size == sizeof alt);
    set(SIGUSR1, SIG_IGN, 0, 0);
    raise(SIGUSR1);
    say("ignored");
    sigprocmask(0, 0, &now);
    say("mask %d%d%d", sigismember(&now, SIGUSR1), sigismember(&now, SIGUSR2),
        sigismember(&now, SIGCHLD));
    set(SIGSEGV, full, SA_SIGINFO, 0);
    raise(SIGSEGV);
    set(SIGFPE, plain, 0, 0);
    kill(getpid(), SIGFPE);
    set(SIGABRT, plain, 0, 0);
    raise(SIGABRT);
    set(SIGCONT, plain, 0, 0);
    raise(SIGCONT);
    TRYP(signal(SIGKILL, plain));
    say("%d", signal(SIGHUP, plain) == SIG_DFL);
    say("%d", signal(SIGHUP, SIG_IGN) == plain);
    raise(SIGUSR2);
    set(SIGUSR2, SIG_DFL, 0, 0);
    raise(SIGUSR2);
    return 1;
}
