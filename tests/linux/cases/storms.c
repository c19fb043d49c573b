/* about: Signals faster than they can be handled: none that is queued is lost, and nothing else breaks. */
/* flags: -pthread */
#include "../check.h"
static volatile int counted, deep, deepest;
static __thread volatile int mine;
static void count(int s) { counted++; }
static void queued(int s, siginfo_t *i, void *c)
{
    counted++;
    /* In order. */
    if (i->si_value.sival_int != counted) deepest = -1;
}
static void again(int s)
{
    if (++deep > deepest) deepest = deep;
    if (deep < 200) raise(s);
    deep--;
}
static void own(int s) { mine++; }
static void from_a_child(void)
{
    struct sigaction a = {.sa_sigaction = queued, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN + 5, &a, 0);
    pid_t parent = getpid(), p = fork();
    if (!p) {
        for (int i = 1; i <= 5000; i++)
            while (sigqueue(parent, SIGRTMIN + 5, (union sigval){.sival_int = i})) sched_yield();
        _exit(0);
    }
    volatile unsigned long x = 1;
    for (;;) {
        int s = 0;
        for (int i = 0; i < 100; i++) x = x * 3 + getppid() * 0;
        if (waitpid(p, &s, WNOHANG) == p) break;
    }
    for (int i = 0; i < 1000 && counted < 5000; i++) pause_ms(1);
    say("queued %d, in order %d", counted, deepest == 0);
}
/* Neither one that cannot be caught nor one that faults cause. */
static int is_plain(int s)
{
    return s != SIGKILL && s != SIGSTOP && s != SIGCHLD && s != SIGILL && s != SIGTRAP && s != SIGBUS
        && s != SIGFPE && s != SIGSEGV && s != SIGSYS;
}
static void of_all_kinds(void)
{
    for (int s = 1; s < 32; s++)
        if (is_plain(s)) signal(s, count);
    pid_t parent = getpid(), p = fork();
    if (!p) {
        for (int i = 0; i < 20000; i++) {
            int s = 1 + i % 31;
            if (is_plain(s)) kill(parent, s);
        }
        _exit(0);
    }
    int s = 0;
    while (waitpid(p, &s, 0) != p) ;
    say("all kinds %d", counted > 22);
}
/* Those that faults cause, but sent: while the process computes, and while it waits. */
static void of_faults(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    for (int i = 0; i < 6; i++) signal(faults[i], count);
    pid_t parent = getpid(), p = fork();
    if (!p) {
        for (int i = 0; i < 30000; i++) kill(parent, faults[i < 10000 ? 0 : i % 6]);
        _exit(0);
    }
    volatile unsigned long x = 1;
    int s = 0;
    while (waitpid(p, &s, counted & 1 ? WNOHANG : 0) != p)
        for (int i = 0; i < 100; i++) x = x * 3 + 1;
    say("faults that were none %d", counted > 0);
}
static void nested(void)
{
    struct sigaction a = {.sa_handler = again, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR1, &a, 0);
    raise(SIGUSR1);
    say("nested %d", deepest);
}
static void endless(int s) { raise(s); }
static void nested_for_ever(void)
{
    struct sigaction a = {.sa_handler = endless, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR1, &a, 0);
    raise(SIGUSR1);
    say("not reached");
}
static void from_a_timer(void)
{
    struct sigaction a = {.sa_handler = count};
    struct itimerval t = {{0, 50}, {0, 50}}, none = {0};
    int q[2];
    char c = 0;
    sigaction(SIGALRM, &a, 0);
    pipe(q);
    setitimer(ITIMER_REAL, &t, 0);
    for (int i = 0; i < 3000; i++) {
        while (write(q[1], &c, 1) != 1) ;
        while (read(q[0], &c, 1) != 1) ;
    }
    while (counted < 100) ;
    setitimer(ITIMER_REAL, &none, 0);
    say("a timer %d", counted >= 100);
}
static void *body(void *stop)
{
    volatile unsigned long x = 1;
    while (!__atomic_load_n((int *)stop, __ATOMIC_SEQ_CST)) x = x * 3 + 1;
    /* Those that are on their way. */
    sched_yield();
    return (void *)(intptr_t)mine;
}
static void at_threads(void)
{
    pthread_t t[4];
    int stop = 0, sum = 0;
    struct sigaction a = {.sa_handler = own};
    sigaction(SIGRTMIN + 6, &a, 0);
    for (int i = 0; i < 4; i++) pthread_create(t + i, 0, body, &stop);
    for (int n = 0; n < 500; n++)
        for (int i = 0; i < 4; i++)
            while (pthread_kill(t[i], SIGRTMIN + 6) == EAGAIN) sched_yield();
    __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 4; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (int)(intptr_t)r;
    }
    say("at threads %d", sum);
}
int main(void)
{
    CHILD(from_a_child());
    CHILD(of_all_kinds());
    CHILD(of_faults());
    CHILD(nested());
    CHILD(nested_for_ever());
    CHILD(from_a_timer());
    CHILD(at_threads());
    return 0;
}
