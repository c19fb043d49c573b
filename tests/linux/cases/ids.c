/* about: User and group ids, capabilities: what may be taken and what is gone afterwards. The calls are
 * made themselves: the C libraries change the ids of all threads at once, each in its own way. */
/* calls: capget capset getegid geteuid getgid getgroups getpgrp getresgid getresuid getuid setfsgid
 * setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid */
#include "../check.h"
struct header {
    unsigned version;
    int pid;
};
struct data {
    unsigned effective, permitted, inheritable;
};
static void ids(const char *when)
{
    uid_t u[3];
    gid_t g[3];
    TRY(syscall(SYS_getresuid, u, u + 1, u + 2));
    TRY(syscall(SYS_getresgid, g, g + 1, g + 2));
    say("%s: %d %d %d, %d %d %d", when, u[0], u[1], u[2], g[0], g[1], g[2]);
    say("%ld %ld %ld %ld", syscall(SYS_getuid), syscall(SYS_geteuid), syscall(SYS_getgid),
        syscall(SYS_getegid));
}
static void capable(void)
{
    struct header h = {0x20080522, 0};
    struct data d[2] = {{0}};
    TRY(syscall(SYS_capget, &h, d));
    say("dac_override %d", d[0].effective >> 1 & 1);
}
static void plain(void)
{
    TRY(syscall(SYS_setgid, 7));
    TRY(syscall(SYS_setuid, 6));
    ids("plain");
    TRY(syscall(SYS_setuid, 0));
    TRY(syscall(SYS_setgid, 0));
    TRY(open("/w/secret", O_RDONLY));
    capable();
}
static void swapped(void)
{
    TRY(syscall(SYS_setregid, 3, 4));
    TRY(syscall(SYS_setreuid, 1, 2));
    ids("swapped");
    TRY(syscall(SYS_setreuid, 2, 1));
    ids("and back");
    TRY(syscall(SYS_setreuid, 9, -1));
}
static void all_three(void)
{
    TRY(syscall(SYS_setresgid, 4, 5, 6));
    TRY(syscall(SYS_setresuid, 1, 2, 3));
    ids("all three");
    TRY(syscall(SYS_setresuid, 3, 3, -1));
    ids("saved");
    TRY(syscall(SYS_setresuid, -1, -1, 8));
    TRY(syscall(SYS_setresgid, 9, -1, -1));
}
static void of_files(void)
{
    chmod("/w", 0777);
    TRY(syscall(SYS_setfsgid, 12));
    TRY(syscall(SYS_setfsgid, -1));
    TRY(syscall(SYS_setfsuid, 11));
    TRY(syscall(SYS_setfsuid, -1));
    int fd = open("/w/theirs", O_CREAT | O_WRONLY, 0644);
    struct stat s;
    TRY(fstat(fd, &s));
    say("owner %d %d", s.st_uid, s.st_gid);
    TRY(open("/w/secret", O_RDONLY));
}
static void of_groups(void)
{
    gid_t g[2] = {21, 22}, got[4] = {0};
    TRY(syscall(SYS_setgroups, 2, g));
    TRY(syscall(SYS_getgroups, 4, got));
    say("%d %d", got[0], got[1]);
    TRY(syscall(SYS_setuid, 6));
    TRY(syscall(SYS_setgroups, 2, g));
}
static void given_up(void)
{
    struct header h = {0x20080522, 0};
    struct data d[2] = {{0}};
    TRY(syscall(SYS_capset, &h, d));
    capable();
    TRY(syscall(SYS_setuid, 6));
    TRY(syscall(SYS_setgroups, 0, 0));
    d[0].permitted = d[0].effective = 2;
    TRY(syscall(SYS_capset, &h, d));
    h.version = 1;
    TRY(syscall(SYS_capget, &h, d));
    say("version %x", h.version);
    TRY(syscall(SYS_capget, 0L, d));
}
int main(void)
{
    put("secret", "s");
    chmod("secret", 0600);
    ids("at first");
    capable();
    CHILD(plain());
    CHILD(swapped());
    CHILD(all_three());
    CHILD(of_files());
    CHILD(of_groups());
    CHILD(given_up());
    ids("in the end");
    TRY(syscall(SYS_getpgrp) == getpgrp());
    TRY(syscall(SYS_getpgid, 0) == getpgrp());
    return 0;
}
