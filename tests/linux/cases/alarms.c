/* about: alarm; clocks that nobody may set; a signal with a value for one thread. */
/* calls: alarm gettid pause rt_tgsigqueueinfo tkill */
#include "../check.h"
static volatile int value, from;
static void ring(int s) { value++; }
static void queued(int s, siginfo_t *i, void *c)
{
    value = i->si_value.sival_int;
    from = i->si_code;
}
/* siginfo_t of x86-64, whatever pointers are. */
struct info {
    int signal, error, code, pad;
    int pid, uid;
    long value;
    char rest[96];
};
int main(void)
{
    signal(SIGALRM, ring);
    TRY(syscall(SYS_alarm, 1000));
    TRY(syscall(SYS_alarm, 1));
    TRY(pause());
    say("rang %d", value);
    TRY(syscall(SYS_alarm, 0));
    struct timespec t = {1, 0};
    TRY(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &t));
    TRY(syscall(SYS_clock_settime, 999, &t));
    struct sigaction a = {.sa_sigaction = queued, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &a, 0);
    struct info i = {.signal = SIGUSR1, .code = SI_QUEUE, .pid = getpid(), .value = 44};
    TRY(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGUSR1, &i));
    say("value %d, code %d", value, from);
    i.value = 45;
    TRY(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &i));
    say("value %d, code %d", value, from);
    TRY(syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), 65, &i));
    TRY(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &i));
    TRY(syscall(SYS_rt_tgsigqueueinfo, 2000000000, 2000000000, SIGUSR1, &i));
    TRY(syscall(SYS_tkill, syscall(SYS_gettid), 0));
    return 0;
}
