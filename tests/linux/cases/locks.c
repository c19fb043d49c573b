/* about: flock, record locks, open-file-description locks. */
/* calls: flock */
#include "../check.h"
static void in_child(void (*f)(int), int fd)
{
    pid_t p = fork();
    if (!p) {
        f(fd);
        _exit(0);
    }
    int s;
    waitpid(p, &s, 0);
}
static struct flock lk(int type, long start, long len)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return l;
}
static void other(int fd)
{
    struct flock l = lk(F_WRLCK, 0, 5);
    TRY(fcntl(fd, F_SETLK, &l));
    l = lk(F_WRLCK, 0, 100);
    TRY(fcntl(fd, F_GETLK, &l));
    say("type %d start %ld len %ld parent %d", l.l_type, (long)l.l_start, (long)l.l_len,
        l.l_pid == getppid());
    l = lk(F_WRLCK, 20, 5);
    TRY(fcntl(fd, F_SETLK, &l));
    l = lk(F_RDLCK, 12, 2);
    TRY(fcntl(fd, F_SETLK, &l));
}
static void flocked(int fd)
{
    int g = open("f", O_RDWR);
    TRY(flock(g, LOCK_EX | LOCK_NB));
    TRY(flock(g, LOCK_SH | LOCK_NB));
}
static void nothing(int s) {}
int main(void)
{
    int f = open("f", O_CREAT | O_RDWR, 0600), g = open("f", O_RDWR);
    struct flock l = lk(F_WRLCK, 2, 8);
    TRY(fcntl(f, F_SETLK, &l));
    l = lk(F_RDLCK, 10, 5);
    TRY(fcntl(f, F_SETLK, &l));
    in_child(other, f);
    l = lk(F_WRLCK, 0, 1);
    TRY(fcntl(g, F_OFD_SETLK, &l));
    l = lk(F_WRLCK, 0, 1);
    TRY(fcntl(f, F_OFD_SETLK, &l));
    l = lk(F_RDLCK, 0, 1);
    TRY(fcntl(f, F_OFD_GETLK, &l));
    say("%d %d", l.l_type, l.l_pid);
    close(g);
    l = lk(F_WRLCK, 0, 1);
    TRY(fcntl(f, F_SETLK, &l));
    in_child(other, f);
    l = lk(9, 0, 1);
    TRY(fcntl(f, F_SETLK, &l));
    l = lk(F_RDLCK, -5, 1);
    TRY(fcntl(f, F_SETLK, &l));
    l = lk(F_RDLCK, 0, 1);
    TRY(fcntl(open("f", O_WRONLY), F_SETLK, &l));
    TRY(fcntl(99, F_SETLK, &l));
    g = open("f", O_RDWR);
    TRY(flock(f, LOCK_EX));
    TRY(flock(g, LOCK_SH | LOCK_NB));
    in_child(flocked, 0);
    TRY(flock(f, LOCK_SH));
    TRY(flock(g, LOCK_SH | LOCK_NB));
    in_child(flocked, 0);
    TRY(flock(f, LOCK_UN));
    TRY(flock(g, LOCK_UN));
    TRY(flock(f, 77));
    TRY(flock(-1, LOCK_SH));
    /* A wait ended by a signal. */
    pid_t p = fork();
    if (!p) {
        struct flock w = lk(F_WRLCK, 50, 1);
        fcntl(f, F_SETLK, &w);
        kill(getppid(), SIGCONT);
        pause_ms(400);
        _exit(0);
    }
    pause_ms(150);
    struct sigaction a = {.sa_handler = nothing};
    sigaction(SIGALRM, &a, 0);
    struct itimerval t = {.it_value = {0, 50000}};
    setitimer(ITIMER_REAL, &t, 0);
    l = lk(F_WRLCK, 50, 1);
    TRY(fcntl(f, F_SETLKW, &l));
    l = lk(F_WRLCK, 50, 1);
    TRY(fcntl(f, F_SETLKW, &l));
    waitpid(p, 0, 0);
    TRY(lockf(f, F_TLOCK, 1));
    return 0;
}
