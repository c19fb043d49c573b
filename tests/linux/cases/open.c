/* about: open, openat, creat, openat2: flags, modes, errors, lowest numbers. */
/* calls: openat openat2 umask */
#include "../check.h"
struct open_how {
    uint64_t flags, mode, resolve;
};
#define RESOLVE_NO_SYMLINKS 4
#define RESOLVE_BENEATH 8
int main(void)
{
    umask(022);
    TRY(open("none", O_RDONLY));
    int a = TRY(open("a", O_CREAT | O_EXCL | O_RDWR, 0640));
    TRY(open("a", O_CREAT | O_EXCL | O_RDWR, 0640));
    TRY(write(a, "hello", 5));
    int b = TRY(open("a", O_WRONLY | O_APPEND));
    TRY(write(b, "!", 1));
    TRY(read(b, &a + 1, 1));
    show("a");
    close(b);
    TRY(open("a", O_RDONLY | O_DIRECTORY));
    TRY(open(".", O_WRONLY));
    TRY(open(".", O_RDWR));
    TRY(open("a/b", O_RDONLY));
    TRY(open("", O_RDONLY));
    TRY(open("none/x", O_CREAT | O_WRONLY, 0600));
    TRY(mkdir("d", 0755));
    int d = TRY(open("d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    TRY(fcntl(d, F_GETFD));
    int e = TRY(openat(d, "e", O_CREAT | O_WRONLY, 0777));
    TRY(openat(a, "e", O_RDONLY));
    TRY(openat(d, "../a", O_RDONLY));
    TRY(openat(-1, "a", O_RDONLY));
    TRY(openat(-1, "/w/a", O_RDONLY));
    TRY(openat(77, "a", O_RDONLY));
    TRY(symlink("a", "l"));
    TRY(symlink("loop", "loop"));
    TRY(open("l", O_RDONLY | O_NOFOLLOW));
    TRY(open("loop", O_RDONLY));
    int p = TRY(open("l", O_PATH | O_NOFOLLOW));
    TRY(read(p, &a + 1, 1));
    TRY(fcntl(p, F_GETFL) & O_PATH);
    int t = TRY(open(".", O_TMPFILE | O_RDWR, 0600));
    TRY(write(t, "xyz", 3));
    struct stat s;
    TRY(fstat(t, &s));
    say("tmpfile %o %ld links %ld", s.st_mode, (long)s.st_size, (long)s.st_nlink);
    TRY(open("a", O_RDWR | O_TRUNC));
    show("a");
    TRY(creat("c", 0666));
    TRY(stat("c", &s));
    say("c %o", s.st_mode);
    int f = TRY(open("a", O_RDWR | O_NONBLOCK | O_APPEND | O_SYNC));
    say("flags %o", fcntl(f, F_GETFL) & ~O_LARGEFILE & ~0100000);
    TRY(mkfifo("fifo", 0600));
    TRY(open("fifo", O_WRONLY | O_NONBLOCK));
    TRY(open("fifo", O_RDONLY | O_NONBLOCK));
    TRY(open("fifo", O_WRONLY | O_NONBLOCK));
    TRY(open("a/", O_RDONLY));
    TRY(open("new/", O_CREAT | O_WRONLY, 0600));
    TRY(open("a", 3));
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS};
    TRY(syscall(SYS_openat2, AT_FDCWD, "l", &how, sizeof how));
    how.resolve = RESOLVE_BENEATH;
    TRY(syscall(SYS_openat2, d, "../a", &how, sizeof how));
    TRY(syscall(SYS_openat2, d, "e", &how, sizeof how));
    how.resolve = 1 << 20;
    TRY(syscall(SYS_openat2, d, "e", &how, sizeof how));
    TRY(syscall(SYS_openat2, d, "e", &how, 3L));
    TRY(close(e));
    TRY(close(e));
    TRY(close(-1));
    return 7;
}
