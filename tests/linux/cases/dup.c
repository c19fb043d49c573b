/* about: dup, dup2, dup3, fcntl on descriptors and flags, close-on-exec, close_range. */
/* calls: close close_range dup dup2 dup3 fcntl memfd_create pipe2 */
#include "../check.h"
int main(void)
{
    int f = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    say("first %d", f);
    TRY(dup(f));
    TRY(dup(-1));
    TRY(dup(99));
    TRY(dup2(f, 20));
    TRY(fcntl(20, F_GETFD));
    TRY(dup2(f, f));
    TRY(dup2(99, 20));
    TRY(dup2(99, 99));
    TRY(dup2(f, -1));
    TRY(fcntl(20, F_GETFD));
    TRY(dup3(f, 21, O_CLOEXEC));
    TRY(fcntl(21, F_GETFD));
    TRY(dup3(f, f, 0));
    TRY(dup3(f, 22, 1));
    TRY(fcntl(f, F_DUPFD, 30));
    TRY(fcntl(f, F_DUPFD_CLOEXEC, 30));
    TRY(fcntl(31, F_GETFD));
    TRY(fcntl(f, F_DUPFD, -1));
    TRY(fcntl(f, F_SETFD, 0));
    TRY(fcntl(f, F_GETFD));
    TRY(fcntl(f, F_GETFL) & O_ACCMODE);
    TRY(fcntl(f, F_SETFL, O_APPEND | O_NONBLOCK));
    say("%o", fcntl(20, F_GETFL) & (O_APPEND | O_NONBLOCK));
    TRY(fcntl(f, 12345));
    TRY(fcntl(-1, F_GETFD));
    TRY(fcntl(99, F_GETFL));
    write(20, "abc", 3);
    TRY(lseek(f, 0, SEEK_CUR));
    TRY(syscall(SYS_close_range, 20L, 29L, 0L));
    TRY(fcntl(20, F_GETFD));
    TRY(fcntl(30, F_GETFD));
    TRY(syscall(SYS_close_range, 30L, 30L, 4L));
    TRY(fcntl(30, F_GETFD));
    TRY(syscall(SYS_close_range, 9L, 3L, 0L));
    TRY(syscall(SYS_close_range, 500L, 0xffffffffL, 0L));
    TRY(syscall(SYS_close_range, 3L, 4L, 64L));
    TRY(syscall(SYS_close_range, 970L, 980L, 64L));
    TRY(dup2(f, 23));
    TRY(syscall(SYS_close_range, 22L, 24L, 2L)); /* CLOSE_RANGE_UNSHARE, with nobody */
    TRY(fcntl(23, F_GETFD));
    int p[2];
    TRY(pipe2(p, O_CLOEXEC | O_NONBLOCK));
    TRY(fcntl(p[0], F_GETFD));
    TRY(fcntl(p[1], F_GETFL) & O_NONBLOCK);
    TRY(pipe2(p, 1));
    TRY(fcntl(p[0], F_GETPIPE_SZ));
    TRY(fcntl(p[0], F_SETPIPE_SZ, 8192));
    TRY(fcntl(f, F_GETPIPE_SZ));
    int m = TRY(syscall(SYS_memfd_create, "m", 3L) >= 0);
    m = syscall(SYS_memfd_create, "m", 3L);
    TRY(ftruncate(m, 100));
    TRY(fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK));
    TRY(ftruncate(m, 50));
    TRY(ftruncate(m, 150));
    TRY(fcntl(m, F_GET_SEALS));
    TRY(fcntl(f, F_SETOWN, getpid()));
    TRY(fcntl(f, F_GETOWN) == getpid());
    return 0;
}
