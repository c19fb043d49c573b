/* about: Calls that C libraries make no more, because later ones do the same: programs that were compiled
 * long ago, or that make system calls themselves, still do. And forms of later calls that no library
 * function leads to. */
/* calls: creat faccessat2 fchmodat2 futimesat getdents gettimeofday inotify_init lremovexattr mkdirat
 * mknodat nanosleep select time utime utimes */
#include "../check.h"
#include <utime.h>
struct entry {
    uint64_t ino, off;
    unsigned short len;
    char name[];
};
int main(void)
{
    struct stat s;
    umask(022);
    int f = TRY(syscall(SYS_creat, "made", 0666) >= 0);
    TRY(stat("made", &s));
    say("%o %ld", s.st_mode, (long)s.st_size);
    put("made", "text");
    TRY(syscall(SYS_creat, "made", 0) >= 0);
    TRY(stat("made", &s));
    say("emptied %ld", (long)s.st_size);
    TRY(syscall(SYS_creat, "none/made", 0));
    TRY(syscall(SYS_creat, "/", 0));
    TRY(syscall(SYS_mkdirat, AT_FDCWD, "folder", 0777));
    int folder = open("folder", O_RDONLY | O_DIRECTORY);
    TRY(syscall(SYS_mkdirat, folder, "inner", 0700));
    TRY(syscall(SYS_mkdirat, folder, "inner", 0700));
    TRY(syscall(SYS_mkdirat, -1, "inner", 0700));
    TRY(syscall(SYS_mknodat, folder, "pipe", S_IFIFO | 0600, 0));
    TRY(syscall(SYS_mknodat, folder, "plain", S_IFREG | 0640, 0));
    TRY(syscall(SYS_mknodat, folder, "pipe", S_IFIFO | 0600, 0));
    TRY(syscall(SYS_mknodat, 99, "pipe", S_IFIFO | 0600, 0));
    TRY(fstatat(folder, "pipe", &s, 0));
    say("%o", s.st_mode);
    /* Every name once, in whatever order. */
    static char room[4096];
    char names[3] = "";
    long n = syscall(SYS_getdents, folder, room, sizeof room);
    for (long at = 0; at < n; at += ((struct entry *)(room + at))->len) {
        struct entry *e = (void *)(room + at);
        names[0] += !strcmp(e->name, "inner");
        names[1] += !strcmp(e->name, "pipe");
        names[2] += !strcmp(e->name, "plain");
    }
    say("names %d %d %d", names[0], names[1], names[2]);
    TRY(syscall(SYS_getdents, folder, room, sizeof room));
    TRY(syscall(SYS_getdents, f, room, sizeof room));
    lseek(folder, 0, SEEK_SET);
    TRY(syscall(SYS_getdents, folder, room, 8));
    int64_t times[2] = {1000, 2000};
    TRY(syscall(SYS_utime, "made", times));
    TRY(stat("made", &s));
    say("%ld %ld", (long)s.st_atime, (long)s.st_mtime);
    TRY(syscall(SYS_utime, "none", 0));
    struct timeval both[2] = {{3000, 5}, {4000, 6}}, wrong[2] = {{0, 2000000}, {0}};
    TRY(syscall(SYS_utimes, "made", both));
    TRY(stat("made", &s));
    say("%ld %ld", (long)s.st_atime, (long)s.st_mtim.tv_nsec);
    TRY(syscall(SYS_futimesat, folder, "plain", both));
    TRY(fstatat(folder, "plain", &s, 0));
    say("%ld %ld", (long)s.st_mtime, (long)s.st_mtim.tv_nsec);
    TRY(syscall(SYS_futimesat, folder, "plain", wrong));
    TRY(syscall(SYS_futimesat, 99, "plain", both));
    TRY(syscall(SYS_renameat, folder, "plain", AT_FDCWD, "moved"));
    TRY(syscall(SYS_unlinkat, folder, "inner", AT_REMOVEDIR));
    TRY(syscall(SYS_inotify_init) >= 0);
    TRY(syscall(SYS_eventfd, 3) >= 0);
    TRY(syscall(SYS_epoll_create, 1) >= 0);
    TRY(syscall(SYS_epoll_create, 0));
    sigset_t none;
    sigemptyset(&none);
    TRY(syscall(SYS_signalfd, -1, &none, 8) >= 0);
    TRY(syscall(SYS_signalfd, f, &none, 8));
    TRY(syscall(SYS_faccessat2, folder, "pipe", R_OK, AT_EACCESS));
    TRY(syscall(SYS_faccessat2, folder, "pipe", X_OK, AT_SYMLINK_NOFOLLOW));
    TRY(syscall(SYS_faccessat2, folder, "pipe", R_OK, 1));
    TRY(symlink("none", "dangling"));
    TRY(syscall(452 /* fchmodat2 */, folder, "pipe", 0606, 0));
    TRY(fstatat(folder, "pipe", &s, 0));
    say("%o", s.st_mode);
    TRY(syscall(452, AT_FDCWD, "dangling", 0606, 0));
    TRY(syscall(452, folder, "pipe", 0606, 1));
    TRY(setxattr("made", "trusted.x", "v", 1, 0));
    TRY(syscall(SYS_lremovexattr, "made", "trusted.x"));
    TRY(syscall(SYS_lremovexattr, "made", "trusted.x"));
    TRY(syscall(SYS_lremovexattr, "none", "trusted.x"));
    int64_t seconds = -1;
    TRY(syscall(SYS_time, &seconds) == seconds);
    TRY(llabs(seconds - time(0)) < 5);
    TRY(syscall(SYS_time, (int64_t *)16));
    struct timeval now;
    TRY(syscall(SYS_gettimeofday, &now, 0));
    TRY(llabs(now.tv_sec - time(0)) < 5);
    struct timespec some = {0, 1000}, rest = {0}, none_such = {0, 1000000000};
    TRY(syscall(SYS_nanosleep, &some, &rest));
    TRY(syscall(SYS_nanosleep, &none_such, &rest));
    int ends[2];
    TRY(pipe(ends));
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(ends[0], &readable);
    struct timeval wait = {0, 1000};
    TRY(syscall(SYS_select, ends[0] + 1, &readable, 0, 0, &wait));
    TRY(write(ends[1], "x", 1));
    FD_SET(ends[0], &readable);
    wait = (struct timeval){5, 0};
    TRY(syscall(SYS_select, ends[0] + 1, &readable, 0, 0, &wait));
    return 0;
}
