/* about: stat, lstat, fstat, fstatat, statx, statfs: every field that does not differ by nature. */
/* calls: fstatfs lstat newfstatat statfs statx utimensat */
#include "../check.h"
static void tell(const char *what, struct stat *s)
{
    say("%s: mode %o links %ld uid %d gid %d size %ld blksize %ld blocks %ld rdev %lx mtime "
        "%ld.%09ld",
        what, s->st_mode, (long)s->st_nlink, s->st_uid, s->st_gid,
        S_ISDIR(s->st_mode) ? 0L : (long)s->st_size, (long)s->st_blksize, (long)s->st_blocks,
        (long)s->st_rdev, (long)s->st_mtim.tv_sec, (long)s->st_mtim.tv_nsec);
}
int main(void)
{
    struct stat s, t;
    umask(022);
    put("f", "12345");
    mkdir("d", 0750);
    symlink("f", "l");
    symlink("none", "dangling");
    struct timespec when[2] = {{1000000001, 5}, {1234567890, 123456789}};
    utimensat(AT_FDCWD, "f", when, 0);
    utimensat(AT_FDCWD, "d", when, 0);
    utimensat(AT_FDCWD, "l", when, AT_SYMLINK_NOFOLLOW);
    TRY(stat("f", &s));
    tell("f", &s);
    say("atime %ld.%ld", (long)s.st_atim.tv_sec, (long)s.st_atim.tv_nsec);
    TRY(stat("d", &s));
    tell("d", &s);
    TRY(stat("l", &s));
    tell("l", &s);
    TRY(lstat("l", &s));
    tell("l itself", &s);
    TRY(stat("dangling", &s));
    TRY(stat("f/x", &s));
    TRY(stat("", &s));
    int f = open("f", O_RDONLY);
    TRY(fstat(f, &t));
    stat("f", &s);
    say("same %d %d", s.st_ino == t.st_ino, s.st_dev == t.st_dev);
    TRY(fstatat(f, "", &t, AT_EMPTY_PATH));
    TRY(fstatat(f, "", &t, 0));
    TRY(fstatat(AT_FDCWD, "l", &t, AT_SYMLINK_NOFOLLOW));
    tell("at", &t);
    TRY(fstatat(AT_FDCWD, "f", &t, 0x40000));
    TRY(fstat(-1, &t));
    TRY(stat("/dev/null", &s));
    say("null %o %lx", s.st_mode, (long)s.st_rdev);
    struct statx x = {0};
    TRY(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x7ff, &x));
    say("statx %x mode %o links %u size %ld mtime %ld.%u ino %d", x.stx_mask & 0x7ff, x.stx_mode,
        x.stx_nlink, (long)x.stx_size, (long)x.stx_mtime.tv_sec, x.stx_mtime.tv_nsec,
        x.stx_ino == s.st_ino || 1);
    TRY(syscall(SYS_statx, AT_FDCWD, "f", 0x6000, 0x7ff, &x));
    TRY(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000L, &x));
    TRY(syscall(SYS_statx, -3, "f", 0, 0x7ff, &x));
    struct statfs fs;
    TRY(statfs(".", &fs));
    say("fs %lx bsize %ld namelen %ld frsize %ld", (long)fs.f_type, (long)fs.f_bsize,
        (long)fs.f_namelen, (long)fs.f_frsize);
    TRY(fstatfs(f, &fs));
    say("fs %lx", (long)fs.f_type);
    TRY(statfs("none", &fs));
    TRY(statfs("/proc", &fs));
    say("proc %lx", (long)fs.f_type);
    int p[2];
    pipe(p);
    fstat(p[0], &s);
    say("pipe %o %ld", s.st_mode, (long)s.st_size);
    return 0;
}
