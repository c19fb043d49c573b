/* about: Process groups, sessions, kill. */
/* calls: getpgid getsid setpgid setsid tgkill */
#include "../check.h"
static int n;
static void on(int s) { n++; }
int main(void)
{
    int s;
    TRY(setpgid(0, 0));
    TRY(getpgrp() == getpid());
    TRY(getpgid(0) == getpid());
    TRY(getpgid(999999));
    TRY(setpgid(999999, 0));
    TRY(setpgid(0, -1));
    TRY(getsid(0) > 0 || 1);
    pid_t a = fork();
    if (!a) {
        setpgid(0, 0);
        for (;;) pause();
    }
    setpgid(a, a);
    pid_t b = fork();
    if (!b) {
        for (;;) pause();
    }
    TRY(setpgid(b, a));
    TRY(getpgid(b) == a);
    TRY(kill(-a, SIGTERM));
    TRY(waitpid(-a, &s, 0) > 0);
    say_status("a", s);
    TRY(waitpid(-a, &s, 0) > 0);
    TRY(waitpid(-a, &s, 0));
    TRY(kill(-a, 0));
    TRY(kill(999999, 0));
    TRY(kill(getpid(), 65));
    TRY(kill(getpid(), -1));
    TRY(kill(getpid(), 0));
    TRY(setsid());
    a = fork();
    if (!a) {
        TRY(setsid() == getpid());
        TRY(getsid(0) == getpid());
        TRY(setpgid(0, 0));
        TRY(open("/dev/tty", O_RDWR));
        TRY(tcgetpgrp(0));
        _exit(0);
    }
    waitpid(a, &s, 0);
    say_status("session", s);
    signal(SIGUSR1, on);
    a = fork();
    if (!a) {
        TRY(kill(0, SIGUSR1));
        say("child %d", n);
        _exit(n);
    }
    waitpid(a, &s, 0);
    while (!n) pause_ms(5);
    say("parent %d", n);
    say_status("child", s);
    TRY(raise(SIGUSR1));
    say("%d", n);
    TRY(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1));
    say("%d", n);
    TRY(syscall(SYS_tgkill, getpid(), 1, SIGUSR1));
    TRY(syscall(SYS_tkill, -1, SIGUSR1));
    TRY(syscall(SYS_tgkill, -1, 1, 0));
    TRY(getpriority(PRIO_PROCESS, 0));
    TRY(nice(3));
    TRY(setpriority(PRIO_PROCESS, 999999, 1));
    TRY(getpriority(9, 0));
    TRY(sched_yield());
    TRY(syscall(SYS_sched_getscheduler, 0));
    TRY(sched_get_priority_max(SCHED_FIFO));
    cpu_set_t c;
    TRY(sched_getaffinity(0, sizeof c, &c));
    TRY(CPU_COUNT(&c) > 0);
    return 0;
}
