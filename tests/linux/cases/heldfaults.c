/* about: Signals that faults have, sent while they are blocked: pending, waited for, taken by sigsuspend;
 * and sent to a child that has just begun. */
#include "../check.h"

static const int FAULTS[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
enum { COUNT = sizeof FAULTS / sizeof *FAULTS };
static volatile int handled, code, under;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)context;
    sigset_t now;
    sigprocmask(SIG_BLOCK, 0, &now);
    handled = signal, code = info->si_code, under = sigismember(&now, SIGUSR2);
}

static void held(int signal)
{
    sigset_t set, pending;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    handled = 0;
    raise(signal);
    raise(signal);
    raise(SIGUSR1);
    sigpending(&pending);
    say("%d pending %d %d, handled %d", signal, sigismember(&pending, signal), sigismember(&pending, SIGUSR1), handled);
    struct timespec none = { 0, 0 };
    memset(&info, 0, sizeof info);
    int got = sigtimedwait(&set, &info, &none);
    say("first %d code %d", got == signal || got == SIGUSR1, info.si_code == SI_USER || info.si_code == SI_TKILL);
    got += sigtimedwait(&set, &info, &none);
    say("both %d", got == signal + SIGUSR1);
    TRY(sigtimedwait(&set, &info, &none));
    sigpending(&pending);
    say("none pending %d", !sigismember(&pending, signal));
    /* While it waits. */
    pid_t child = fork();
    if (!child) {
        usleep(20000);
        kill(getppid(), signal);
        _exit(0);
    }
    struct timespec long_enough = { 5, 0 };
    got = sigtimedwait(&set, &info, &long_enough);
    say("while waiting %d from the child %d", got, info.si_pid == child);
    waitpid(child, 0, 0);
    /* Let in by the mask of a wait, or when it is opened. */
    raise(signal);
    sigset_t open;
    sigemptyset(&open);
    sigaddset(&open, SIGUSR2);
    TRY(sigsuspend(&open));
    say("handled %d, under the mask of the wait %d", handled, under);
    handled = 0;
    raise(signal);
    sigprocmask(SIG_UNBLOCK, &set, 0);
    say("when opened %d code %d", handled, code == SI_TKILL);
}

static void to_children(int signal)
{
    int wrong = 0;
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (!child) {
            for (int t = 0; t < 400 && !handled; t++) usleep(5000);
            _exit(handled == signal ? 0 : 1);
        }
        if (i % 2) usleep(i * 10);
        kill(child, signal);
        int status;
        waitpid(child, &status, 0);
        wrong += !WIFEXITED(status) || WEXITSTATUS(status);
    }
    say("%d: lost by %d children", signal, wrong);
}

static void inherited(int signal)
{
    /* What a parent has pending is not the child's. */
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, 0);
    raise(signal);
    pid_t child = fork();
    if (!child) {
        sigpending(&pending);
        _exit(sigismember(&pending, signal));
    }
    int status;
    waitpid(child, &status, 0);
    say("the child has it pending %d", WEXITSTATUS(status));
    sigprocmask(SIG_UNBLOCK, &set, 0);
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &action, 0);
    for (int i = 0; i < COUNT; i++) sigaction(FAULTS[i], &action, 0);
    for (int i = 0; i < COUNT; i++) held(FAULTS[i]);
    for (int i = 0; i < COUNT; i++) inherited(FAULTS[i]);
    for (int i = 0; i < COUNT; i++) {
        handled = 0;
        to_children(FAULTS[i]);
    }
    return 0;
}
