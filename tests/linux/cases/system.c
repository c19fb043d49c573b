/* about: Identity and the machine: uname, sysinfo, ids, groups, prctl, getrandom, sysconf. */
/* calls: getrandom prctl sysinfo uname */
#include "../check.h"
int main(void)
{
    struct utsname u;
    TRY(uname(&u));
    /* The machine is the vkernel's own: programs choose machine code by it. */
    int known = !strcmp(u.machine, "x86_64") || !strcmp(u.machine, "wasm32");
    say("%s %d %d", u.sysname, known, u.release[0] >= '3');
    struct sysinfo i;
    TRY(sysinfo(&i));
    /* The unit of a long of 32 bits is as many bytes as it needs to be. */
    int64_t pages = (int64_t)i.totalram * i.mem_unit / getpagesize() - sysconf(_SC_PHYS_PAGES);
    say("%d %d %d unit %d", i.uptime > 0, i.totalram > 0, i.procs > 0, i.mem_unit >= 1);
    say("pages %d", pages == 0);
    TRY(sysconf(_SC_PAGESIZE));
    TRY(sysconf(_SC_NPROCESSORS_ONLN));
    TRY(sysconf(_SC_CLK_TCK));
    TRY(getpagesize());
    TRY(getuid());
    TRY(geteuid());
    TRY(getgid());
    TRY(getegid());
    uid_t a, b, c;
    TRY(getresuid(&a, &b, &c));
    say("%d %d %d", a, b, c);
    gid_t g[40];
    int n = TRY(getgroups(40, g) >= 0);
    (void)n;
    gid_t s[3] = {5, 6, 7};
    TRY(setgroups(3, s));
    TRY(getgroups(0, 0));
    TRY(getgroups(1, g));
    TRY(getgroups(40, g));
    say("%d %d %d", g[0], g[1], g[2]);
    char name[32] = "";
    TRY(prctl(PR_SET_NAME, "a-long-name-for-a-thread"));
    TRY(prctl(PR_GET_NAME, name));
    say("%s", name);
    TRY(prctl(PR_GET_DUMPABLE));
    TRY(prctl(PR_SET_DUMPABLE, 0));
    TRY(prctl(PR_GET_DUMPABLE));
    TRY(prctl(PR_SET_DUMPABLE, 1));
    TRY(prctl(PR_SET_DUMPABLE, 7));
    TRY(prctl(PR_SET_PDEATHSIG, SIGTERM));
    int d;
    TRY(prctl(PR_GET_PDEATHSIG, &d));
    say("%d", d);
    TRY(prctl(99999));
    TRY(prctl(PR_GET_CHILD_SUBREAPER, &d));
    say("%d", d);
    TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0, 0, 0));
    TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    TRY(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 1));
    TRY(prctl(PR_CAP_AMBIENT, 99, 0, 0, 0));
    TRY(prctl(PR_CAPBSET_READ, 0, 0, 0, 0));
    TRY(prctl(PR_CAPBSET_READ, 77, 0, 0, 0));
    TRY(prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
    unsigned char r[300] = {0};
    TRY(getrandom(r, 300, 0));
    int sum = 0;
    for (int k = 0; k < 300; k++) sum |= r[k];
    say("%d", sum == 255);
    TRY(getrandom(r, 5, 99));
    TRY(getentropy(r, 256));
    TRY(getentropy(r, 257));
    TRY(getrandom(r, 0, GRND_NONBLOCK));
    char h[65];
    TRY(gethostname(h, 65));
    TRY(getpid() > 0);
    TRY(getppid() >= 0);
    TRY(syscall(SYS_gettid) == getpid());
    TRY(syscall(9999));
    unsigned cpu;
    TRY(syscall(SYS_getcpu, &cpu, 0, 0));
    TRY(acct(0) == 0 || 1);
    TRY(pathconf("/", _PC_NAME_MAX));
    TRY(sysconf(_SC_ARG_MAX) > 0);
    TRY(sysconf(9999));
    return 0;
}
