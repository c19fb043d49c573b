/* about: chmod, umask, access, chown, times, mknod. */
/* calls: chmod chown faccessat fchmod fchmodat fchown fchownat lchown mknod */
#include "../check.h"
static void mode(const char *p)
{
    struct stat s;
    if (lstat(p, &s)) say("%s: %s", p, name_of(errno));
    else say("%s: %o %d %d", p, s.st_mode, s.st_uid, s.st_gid);
}
int main(void)
{
    struct stat s;
    TRY(umask(0));
    TRY(umask(027));
    put("f", "f");
    mode("f");
    mkdir("d", 0777);
    mode("d");
    TRY(umask(0777) == 027);
    close(open("g", O_CREAT | O_WRONLY, 0666));
    mode("g");
    TRY(chmod("f", 04755));
    mode("f");
    TRY(chmod("f", 0170644));
    mode("f");
    TRY(chmod("none", 0));
    int f = open("f", O_RDONLY);
    TRY(fchmod(f, 0100));
    mode("f");
    TRY(fchmodat(AT_FDCWD, "f", 0600, 0));
    mode("f");
    symlink("f", "l");
    TRY(fchmodat(AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW));
    TRY(chown("f", 1000, 1001));
    mode("f");
    TRY(lchown("l", 5, -1));
    mode("l");
    TRY(fchown(f, -1, 7));
    mode("f");
    TRY(fchownat(AT_FDCWD, "l", 1, 2, 0));
    mode("f");
    TRY(fchownat(AT_FDCWD, "l", 1, 2, 0x8000));
    TRY(access("f", F_OK));
    TRY(access("f", X_OK));
    TRY(access("f", R_OK | W_OK));
    TRY(access("none", F_OK));
    TRY(access("f", 64));
    TRY(faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS));
    TRY(faccessat(AT_FDCWD, "l", R_OK, AT_SYMLINK_NOFOLLOW));
    struct timespec t[2] = {{100, 200}, {300, UTIME_OMIT}};
    TRY(utimensat(AT_FDCWD, "f", t, 0));
    stat("f", &s);
    say("%ld.%ld", (long)s.st_atim.tv_sec, (long)s.st_atim.tv_nsec);
    t[0].tv_nsec = 2000000000;
    TRY(utimensat(AT_FDCWD, "f", t, 0));
    t[0].tv_nsec = 0;
    t[1] = (struct timespec){-5, 7};
    TRY(futimens(f, t));
    stat("f", &s);
    say("%ld.%ld", (long)s.st_mtim.tv_sec, (long)s.st_mtim.tv_nsec);
    TRY(utimensat(AT_FDCWD, "none", 0, 0));
    TRY(utimensat(AT_FDCWD, "f", 0, 0));
    TRY(futimens(-1, 0));
    struct timeval v[2] = {{5, 6}, {7, 8}};
    TRY(utimes("f", v));
    stat("f", &s);
    say("%ld.%ld", (long)s.st_mtim.tv_sec, (long)s.st_mtim.tv_nsec);
    TRY(lutimes("l", v));
    umask(0);
    TRY(mknod("reg", S_IFREG | 0640, 0));
    mode("reg");
    TRY(mknod("fifo", S_IFIFO | 0640, 0));
    mode("fifo");
    TRY(mknod("bad", 0777777, 0));
    TRY(mkfifo("fifo", 0600));
    pid_t p = fork();
    if (!p) {
        TRY(setgid(1234));
        TRY(setuid(1234));
        TRY(getuid());
        TRY(geteuid());
        TRY(open("/w/f", O_RDONLY));
        TRY(access("/w/f", R_OK));
        TRY(chmod("/w/f", 0));
        TRY(chown("/w/f", 0, 0));
        TRY(mkdir("/w/x", 0700));
        TRY(unlink("/w/f"));
        TRY(setuid(0));
        TRY(kill(1, 0));
        _exit(0);
    }
    int status;
    waitpid(p, &status, 0);
    say_status("user", status);
    return 0;
}
