/* about: fork, exit statuses, wait4, waitid, zombies, orphans, WNOHANG, stopping and continuing. */
/* calls: exit_group fork getpid getppid wait4 waitid */
#include "../check.h"
static int global = 1;
static void at_exit(void) { say("atexit %d", global); }
static void info(const char *what, siginfo_t *i)
{
    say("%s: signo %d code %d status %d pid %d uid %d", what, i->si_signo, i->si_code, i->si_status,
        i->si_pid > 0, i->si_uid);
}
int main(void)
{
    int s = 0;
    siginfo_t i;
    struct rusage u;
    TRY(wait(&s));
    TRY(waitpid(-1, &s, WNOHANG));
    TRY(waitpid(1, &s, 0));
    TRY(waitpid(getpid(), &s, 0));
    pid_t p = fork();
    if (!p) {
        global = 2;
        _exit(300);
    }
    TRY(waitpid(p, &s, 0) == p);
    say_status("300", s);
    say("global %d", global);
    TRY(waitpid(p, &s, 0));
    p = fork();
    if (!p) {
        pause();
        _exit(0);
    }
    TRY(waitpid(p, &s, WNOHANG));
    kill(p, SIGTERM);
    TRY(wait4(p, &s, 0, &u) == p);
    say_status("term", s);
    p = fork();
    if (!p) {
        for (;;) pause();
    }
    kill(p, SIGSTOP);
    TRY(waitpid(p, &s, WUNTRACED) == p);
    say_status("stop", s);
    kill(p, SIGCONT);
    TRY(waitpid(p, &s, WCONTINUED) == p);
    say_status("cont", s);
    kill(p, SIGKILL);
    waitpid(p, &s, 0);
    say_status("kill", s);
    p = fork();
    if (!p) _exit(5);
    memset(&i, 0, sizeof i);
    TRY(waitid(P_PID, p, &i, WEXITED | WNOWAIT));
    info("nowait", &i);
    TRY(kill(p, 0));
    memset(&i, 0, sizeof i);
    TRY(waitid(P_PID, p, &i, WEXITED));
    info("again", &i);
    TRY(kill(p, 0));
    TRY(waitid(P_PID, p, &i, WEXITED));
    TRY(waitid(P_ALL, 0, &i, 0));
    TRY(waitid(99, 0, &i, WEXITED));
    p = fork();
    if (!p) {
        raise(SIGABRT);
        _exit(1);
    }
    memset(&i, 0, sizeof i);
    waitid(P_ALL, 0, &i, WEXITED);
    info("abort", &i);
    p = fork();
    if (!p)
        for (;;) pause();
    memset(&i, 1, sizeof i);
    TRY(waitid(P_PID, p, &i, WEXITED | WNOHANG));
    info("none", &i);
    kill(p, SIGKILL);
    waitpid(p, 0, 0);
    pid_t kids[5];
    for (int k = 0; k < 5; k++)
        if (!(kids[k] = fork())) _exit(k);
    int sum = 0, n = 0;
    while (wait(&s) > 0) {
        n++;
        sum += WEXITSTATUS(s);
    }
    say("kids %d sum %d %s", n, sum, name_of(errno));
    int q[2];
    pipe(q);
    p = fork();
    if (!p) {
        pid_t parent = getpid();
        if (!fork()) {
            while (getppid() == parent) pause_ms(10);
            write(q[1], "o", 1);
            _exit(0);
        }
        _exit(0);
    }
    waitpid(p, 0, 0);
    char c = 0;
    close(q[1]);
    TRY(read(q[0], &c, 1));
    say("orphan %c", c);
    TRY(prctl(PR_SET_CHILD_SUBREAPER, 1));
    p = fork();
    if (!p) {
        if (!fork()) {
            pause_ms(60);
            _exit(33);
        }
        _exit(0);
    }
    waitpid(p, 0, 0);
    TRY(wait(&s) > 0);
    say_status("adopted", s);
    signal(SIGCHLD, SIG_IGN);
    p = fork();
    if (!p) _exit(0);
    TRY(waitpid(p, &s, 0));
    signal(SIGCHLD, SIG_DFL);
    TRY(vfork() == 0 ? (_exit(0), 0) : 1);
    atexit(at_exit);
    p = fork();
    if (!p) {
        global = 3;
        exit(4);
    }
    waitpid(p, &s, 0);
    say_status("exit", s);
    TRY(getpid() == syscall(SYS_gettid));
    exit(21);
}
