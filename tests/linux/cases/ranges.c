/* about: Ranges of memory at their edges: not at a page, empty, with holes, beyond the end; flags of mmap
 * and mremap; lengths of iovec. */
#include "../check.h"
#include <sys/uio.h>

static void locked(void)
{
    char line[200];
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "VmLck", 5)) say("%ld KiB locked", atol(line + 6));
    fclose(status);
}

static void edges(char *p)
{
    unsigned char v[8];
    TRY(mincore(p, 0, v));
    TRY(mincore(p + 1, 0, v));
    TRY(msync(p + 1, 0, MS_SYNC));
    TRY(msync(p, 0, MS_SYNC));
    TRY(msync(p, 4096, MS_SYNC | MS_ASYNC));
    TRY(msync(p, 4096, 64));
    TRY(madvise(p + 1, 0, MADV_NORMAL));
    TRY(madvise(p, 0, MADV_NORMAL));
    TRY(madvise(p, 4096, 12345));
    TRY(mprotect(p, 0, PROT_READ));
    TRY(mprotect(p, 4096, 0x1000));
    TRY(munmap(p, 0));
    TRY(mlock(p + 16, 1));
    TRY(munlock(p + 16, 1));
    TRY(syscall(SYS_mlock2, p + 5, 10L, 0L));
    TRY(munlock(p + 5, 10));
    TRY(mlock(p + 4090, 10));
    locked();
    TRY(msync(p, 4096, MS_INVALIDATE));
    TRY(munlock(p, 8192));
    TRY(mlock(p, 0));
    locked();
}

static void holes(void)
{
    unsigned char v[64];
    char *p = mmap(0, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p + 2 * 4096, 4096);
    memset(p, 7, 2 * 4096);
    memset(p + 3 * 4096, 7, 2 * 4096);
    TRY(mincore(p, 5 * 4096, v));
    TRY(msync(p, 5 * 4096, MS_SYNC));
    TRY(mlock(p, 5 * 4096));
    locked();
    TRY(munlock(p, 5 * 4096));
    locked();
    TRY(mprotect(p + 2 * 4096, 4096, PROT_READ));
    TRY(mprotect(p, 5 * 4096, PROT_READ));
    /* What comes before the hole has changed, what comes after it has not. */
    TRY(read(open("/dev/zero", O_RDONLY), p, 1));
    TRY(read(open("/dev/zero", O_RDONLY), p + 4 * 4096, 1));
    mprotect(p, 2 * 4096, PROT_READ | PROT_WRITE);
    TRY(madvise(p, 5 * 4096, MADV_DONTNEED));
    say("%d %d %d", p[0], p[4096], p[4 * 4096]);
    TRY(mremap(p + 2 * 4096, 4096, 8192, 0) == MAP_FAILED);
    TRY(mremap(p, 5 * 4096, 6 * 4096, MREMAP_MAYMOVE) == MAP_FAILED);
    TRY(munmap(p, 5 * 4096));
    TRY(mlock(p, 4096));
}

static void flags(void)
{
    int f = open("f", O_CREAT | O_RDWR, 0600);
    ftruncate(f, 8192);
    enum { VALIDATE = 3 };
    TRY(mmap(0, 4096, PROT_READ, VALIDATE | 1 << 7 | 1 << 10, f, 0) == MAP_FAILED);
    TRY(mmap(0, 4096, PROT_READ, VALIDATE, f, 0) == MAP_FAILED);
    TRY(mmap(0, 4096, PROT_READ, VALIDATE | 0x80000 /* MAP_SYNC */, f, 0) == MAP_FAILED);
    TRY(mmap(0, 4096, PROT_READ, VALIDATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    TRY(mmap(0, 4096, PROT_READ, MAP_SHARED | 1 << 7 | 1 << 10, f, 0) == MAP_FAILED);
    locked();
    char *p = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
    locked();
    munmap(p, 65536);
    locked();
    p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(p, "moved");
    TRY(mremap(p, 8192, 4096, MREMAP_MAYMOVE | 4 /* MREMAP_DONTUNMAP */, 0) == MAP_FAILED);
    TRY(mremap(p, 8192, 8192, 4, 0) == MAP_FAILED);
    char *q = mremap(p, 8192, 8192, MREMAP_MAYMOVE | 4, 0);
    say("%d, %s, then '%s'", p != q, q, p);
    p[8191] = 1;
}

static void vectors(void)
{
    char b[64];
    int f = open("v", O_CREAT | O_RDWR, 0600), p[2];
    TRY(write(f, "0123456789abcdef", 16));
    pipe(p);
    struct iovec negative = { b, -1 }, second[2] = { { b, 8 }, { b, -1 } };
    TRY(preadv(f, &negative, 1, 0));
    TRY(preadv(f, second, 2, 0));
    TRY(readv(f, &negative, 1));
    TRY(writev(p[1], second, 2));
    TRY(preadv(f, second, -1, 0));
    TRY(preadv(f, second, 1, -1));
    struct msghdr m = { .msg_iov = second, .msg_iovlen = 2 };
    int pair[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    TRY(sendmsg(pair[0], &m, 0));
    TRY(recvmsg(pair[1], &m, MSG_DONTWAIT));
}

int main(void)
{
    edges(mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    holes();
    flags();
    vectors();
    return 0;
}
