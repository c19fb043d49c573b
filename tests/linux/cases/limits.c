/* about: Limits: getrlimit, setrlimit, prlimit; their effect. */
/* calls: getrlimit prlimit64 setrlimit */
#include "../check.h"
static struct rlimit lim(long c, long m) { return (struct rlimit){c, m}; }
static void file_size(void)
{
    struct rlimit l = lim(10, 10);
    setrlimit(RLIMIT_FSIZE, &l);
    int f = open("big", O_CREAT | O_RDWR, 0600);
    TRY(write(f, "0123456789abc", 13));
    TRY(write(f, "x", 1));
    say("not reached");
}
static void file_ignored(void)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit l = lim(10, 10);
    setrlimit(RLIMIT_FSIZE, &l);
    int f = open("big", O_CREAT | O_TRUNC | O_RDWR, 0600);
    TRY(write(f, "0123456789abc", 13));
    TRY(write(f, "x", 1));
    TRY(ftruncate(f, 50));
}
static void cpu(void)
{
    struct rlimit l = lim(1, 2);
    setrlimit(RLIMIT_CPU, &l);
    for (volatile unsigned n = 0;; n++);
}
static void files(void)
{
    struct rlimit l = lim(32, 32);
    TRY(setrlimit(RLIMIT_NOFILE, &l));
    int n = 0, f;
    while ((f = open("f", O_CREAT | O_RDONLY, 0600)) >= 0) n = f;
    say("last %d %s", n, name_of(errno));
    int p[2];
    TRY(pipe(p));
    TRY(dup(0));
    TRY(dup2(0, 31));
    TRY(dup2(0, 32));
    TRY(fcntl(0, F_DUPFD, 32));
    TRY(fcntl(0, F_DUPFD, 10));
    TRY(socket(AF_UNIX, SOCK_STREAM, 0));
    TRY(epoll_create1(0));
    close(20);
    TRY(open("f", O_RDONLY));
    l = lim(64, 64);
    say("raise as root %d", setrlimit(RLIMIT_NOFILE, &l) == 0);
}
static void many(void)
{
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = 600;
    TRY(setrlimit(RLIMIT_NOFILE, &l));
    int n = 0;
    while (dup(0) >= 0) n++;
    say("dups %d %s", n + 3, name_of(errno));
    pid_t p = fork();
    if (!p) _exit(1);
    TRY(waitpid(p, 0, 0) == p);
}
/* Little address space: what is mapped stays, and nothing else is. */
static void memory(int resource)
{
    enum { MEGABYTE = 1 << 20 };
    struct rlimit l = lim(512 * MEGABYTE, 600 * MEGABYTE), o;
    TRY(setrlimit(resource, &l));
    TRY(prlimit(0, resource, 0, &o));
    say("%ld %ld", (long)o.rlim_cur / MEGABYTE, (long)o.rlim_max / MEGABYTE);
    TRYP(mmap(0, MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    TRYP(mmap(0, 700 * MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    l = lim(700, 600);
    TRY(setrlimit(resource, &l));
    l = lim(4096, 600 * MEGABYTE);
    TRY(setrlimit(resource, &l));
    TRYP(mmap(0, MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    TRYP(malloc(64 * MEGABYTE));
    for (int i = 0; i < 200; i++) {
        int f = open("small", O_CREAT | O_RDWR, 0600);
        if (f < 0 || rename("small", "other")) say("files %s", name_of(errno));
        close(f);
    }
    CHILD(TRY(getrlimit(resource, &o)));
    pause_ms(1);
    l = lim(600 * MEGABYTE, 600 * MEGABYTE);
    TRY(setrlimit(resource, &l));
    TRYP(mmap(0, MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
/* The limit counts all processes of the user on the machine: a user of this run's own. */
static void processes(void)
{
    unsigned user;
    TRY(getrandom(&user, sizeof user, 0));
    user = 100000 + user % 1000000000;
    setgid(user);
    setuid(user);
    TRY(getuid() == user);
    struct rlimit l = lim(8, 8);
    TRY(setrlimit(RLIMIT_NPROC, &l));
    int n = 0;
    pid_t k[50];
    while (n < 50 && (k[n] = fork()) >= 0) {
        if (!k[n]) {
            pause();
            _exit(0);
        }
        n++;
    }
    say("children %d %s", n, name_of(errno));
    for (int i = 0; i < n; i++) {
        kill(k[i], SIGKILL);
        waitpid(k[i], 0, 0);
    }
}
static void raised(void)
{
	struct rlimit l, now;
	getrlimit(RLIMIT_NOFILE, &l);
	rlim_t hard = l.rlim_max;
	l.rlim_cur = 100;
	TRY(setrlimit(RLIMIT_NOFILE, &l));
	l.rlim_cur = hard;
	TRY(setrlimit(RLIMIT_NOFILE, &l));
	getrlimit(RLIMIT_NOFILE, &now);
	say("to the hard limit %d", now.rlim_cur == hard);
	TRY(fcntl(0, F_DUPFD, 2000));
	l.rlim_cur = 1024;
	TRY(setrlimit(RLIMIT_NOFILE, &l));
	int n = 0, f;
	while ((f = dup(0)) >= 0) n++;
	say("all %d, %s", n, name_of(errno));
}
int main(void)
{
    struct rlimit l;
    TRY(getrlimit(99, &l));
    TRY(setrlimit(99, &l));
    l = lim(5, 3);
    TRY(setrlimit(RLIMIT_FSIZE, &l));
    TRY(getrlimit(RLIMIT_CORE, &l));
    say("%ld", (long)l.rlim_cur);
    TRY(getrlimit(RLIMIT_FSIZE, &l));
    say("%d", l.rlim_cur == RLIM_INFINITY);
    l = lim(100000, 200000);
    struct rlimit o;
    TRY(prlimit(0, RLIMIT_FSIZE, &l, &o));
    say("%d", o.rlim_max == RLIM_INFINITY);
    TRY(prlimit(0, RLIMIT_FSIZE, 0, &o));
    say("%ld %ld", (long)o.rlim_cur, (long)o.rlim_max);
    CHILD(file_size());
    CHILD(file_ignored());
    CHILD(cpu());
    CHILD(files());
    CHILD(many());
    CHILD(raised());
    CHILD(memory(RLIMIT_AS));
    CHILD(memory(RLIMIT_DATA));
    CHILD(processes());
    TRY(getrlimit(RLIMIT_NOFILE, &l));
    say("%d", l.rlim_cur <= l.rlim_max);
    TRY(getdtablesize() == l.rlim_cur);
    TRY(sysconf(_SC_OPEN_MAX) == l.rlim_cur);
    return 0;
}
