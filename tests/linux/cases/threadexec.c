/* about: execve of a process with several threads: the others are gone, the process stays the same one,
 * whichever thread calls. */
/* flags: -pthread */
#include "../check.h"
static int lock[2];
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long spun;
static void *sleeps(void *x) { for (;;) pause(); }
static void *reads(void *x)
{
    char c;
    for (;;) read(lock[0], &c, 1);
}
static void *spins(void *x) { for (;;) spun++; }
static void *locks(void *x)
{
    pthread_mutex_lock(&held);
    return 0;
}
static void *writes(void *x)
{
    /* Much that is said after the exec would show a thread that lives on. */
    pause_ms(300);
    for (;;) say("still here");
}
static void *calls(void *x)
{
    char id[16], parent[16];
    snprintf(id, 16, "%d", getpid());
    snprintf(parent, 16, "%d", getppid());
    execl("/bin/threadexec", "threadexec", "told", id, parent, (char *)0);
    say("failed %s", name_of(errno));
    _exit(1);
}
static void start(int n)
{
    pthread_t t;
    void *(*all[])(void *) = {sleeps, reads, locks, writes, spins, spins, sleeps, reads};
    pthread_mutex_lock(&held);
    pipe2(lock, O_CLOEXEC);
    for (int i = 0; i < n; i++)
        if (pthread_create(&t, 0, all[i], 0)) say("no thread");
    pause_ms(50);
}
static void from_first(void) { start(8); calls(0); }
static void from_other(void)
{
    pthread_t t;
    start(8);
    pthread_create(&t, 0, calls, 0);
    pthread_join(t, 0);
    say("the first thread goes on");
}
static void first_is_gone(void)
{
    pthread_t t;
    start(4);
    pthread_create(&t, 0, calls, 0);
    pthread_exit(0);
}
/* The child of one of several threads has one thread, and it is its first. */
static void *forks(void *x)
{
    int s;
    pid_t p = fork();
    if (!p) calls(0);
    waitpid(p, &s, 0);
    say_status("forked by a thread", s);
    p = fork();
    if (!p) {
        pthread_t t;
        pthread_create(&t, 0, calls, 0);
        pthread_exit(0);
    }
    waitpid(p, &s, 0);
    say_status("with another thread, its first gone", s);
    p = fork();
    if (!p) pthread_exit(0);
    waitpid(p, &s, 0);
    say_status("forked and gone", s);
    return 0;
}
static void from_forked(void)
{
    pthread_t t;
    start(2);
    pthread_create(&t, 0, forks, 0);
    TRY0(pthread_join(t, 0));
}
static void *fails(void *x)
{
    TRY(execl("/bin/none", "none", (char *)0));
    return 0;
}
static void failed(void)
{
    pthread_t t;
    start(2);
    TRY(execl("/bin/none", "none", (char *)0));
    pthread_create(&t, 0, fails, 0);
    TRY0(pthread_join(t, 0));
    say("threads go on");
}
static void both(void)
{
    pthread_t t[4];
    start(2);
    for (int i = 0; i < 4; i++) pthread_create(t + i, 0, calls, 0);
    calls(0);
}
static void on(int s) {}
static int told(char **argv)
{
    pause_ms(400);
    say("the same %d, its parent's %d", atoi(argv[2]) == getpid(), atoi(argv[3]) == getppid());
    say("one thread %d", syscall(SYS_gettid) == getpid());
    DIR *d = opendir("/proc/self/task");
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    say("tasks %d", n);
    for (int fd = 3; fd < 6; fd++) say("fd %d %s", fd, fcntl(fd, F_GETFD) < 0 ? "closed" : "open");
    sigset_t m;
    sigprocmask(0, 0, &m);
    say("blocked %d %d", sigismember(&m, SIGUSR1), sigismember(&m, SIGUSR2));
    pthread_t t;
    void *r = 0;
    TRY0(pthread_create(&t, 0, locks, 0));
    TRY0(pthread_join(t, &r));
    return 7;
}
int main(int argc, char **argv)
{
    if (argc > 3) return told(argv);
    signal(SIGUSR1, on);
    sigset_t m;
    sigemptyset(&m);
    sigaddset(&m, SIGUSR2);
    sigprocmask(SIG_BLOCK, &m, 0);
    CHILD(from_first());
    CHILD(from_other());
    CHILD(first_is_gone());
    CHILD(failed());
    CHILD(both());
    CHILD(from_forked());
    return 0;
}
