/* about: mmap of private and shared memory without files and with; between processes; MAP_FIXED; errors. */
/* calls: madvise mincore mlock mmap msync munlock munmap */
#include "../check.h"
int main(void)
{
    char *a = TRYP(mmap(0, 10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    say("aligned %d zero %d", (int)((uintptr_t)a % 4096), a[0] + a[9999]);
    memset(a, 7, 10000);
    char *s = TRYP(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t p = fork();
    if (!p) {
        s[0] = 'c';
        a[0] = 'c';
        _exit(0);
    }
    waitpid(p, 0, 0);
    say("shared %c private %d", s[0], a[0]);
    TRYP(mmap(
        a + 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    say("%d %d %d", a[4095], a[4096], a[8192]);
    TRYP(mmap(a, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | 0x100000, -1, 0));
    TRYP(mmap(a + 1, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    TRYP(mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    TRYP(mmap(0, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0));
    TRYP(mmap(0, 4096, PROT_READ, MAP_PRIVATE, -1, 0));
    TRYP(mmap(0, 4096, PROT_READ, MAP_PRIVATE, 99, 0));
    int f = open("f", O_CREAT | O_RDWR, 0600);
    ftruncate(f, 8192);
    pwrite(f, "file", 4, 0);
    pwrite(f, "second", 6, 4096);
    char *m = TRYP(mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0));
    say("%s %s", m, m + 4096);
    memcpy(m, "MAPD", 4);
    char b[8] = "";
    pread(f, b, 4, 0);
    say("%s", b);
    pwrite(f, "w", 1, 1);
    say("%.4s", m);
    char *v = TRYP(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, f, 4096));
    v[0] = 'P';
    pread(f, b, 4, 4096);
    say("%.4s %.4s", b, v);
    p = fork();
    if (!p) {
        m[2] = '#';
        v[1] = '#';
        _exit(0);
    }
    waitpid(p, 0, 0);
    say("%.4s %.4s", m, v);
    TRY(msync(m, 8192, MS_SYNC));
    TRY(msync(m + 1, 1, MS_SYNC));
    TRY(msync(m, 4096, MS_SYNC | MS_ASYNC));
    TRY(msync(m, 0, MS_SYNC));
    TRYP(mmap(0, 4096, PROT_READ, MAP_SHARED, f, 100));
    int r = open("f", O_RDONLY), w = open("f", O_WRONLY);
    TRYP(mmap(0, 4096, PROT_WRITE, MAP_SHARED, r, 0));
    TRYP(mmap(0, 4096, PROT_WRITE, MAP_PRIVATE, r, 0));
    TRYP(mmap(0, 4096, PROT_READ, MAP_PRIVATE, w, 0));
    TRYP(mmap(0, 4096, PROT_READ, MAP_SHARED, open(".", O_RDONLY), 0));
    char *c = TRYP(mmap(0, 4096, PROT_READ, MAP_PRIVATE, r, 0));
    close(r);
    say("%.1s", c);
    TRY(munmap(a + 4096, 4096));
    say("%d %d", a[0], a[8192]);
    TRY(munmap(a + 1, 4096));
    TRY(munmap(a, 0));
    TRY(munmap(a + 4096, 4096));
    TRY(madvise(a, 4096, MADV_DONTNEED));
    say("%d", a[0]);
    TRY(madvise(a, 4096, 9999));
    TRY(madvise(a + 3, 4096, MADV_NORMAL));
    TRY(madvise(a, 12288, MADV_NORMAL));
    TRY(madvise(m, 8192, MADV_WILLNEED));
    unsigned char vec[2];
    a[0] = 1;
    TRY(mincore(a, 4096, (void *)vec));
    say("%d", vec[0] & 1);
    TRY(mincore(a + 4096, 4096, (void *)vec));
    TRY(mincore(a + 1, 4096, (void *)vec));
    TRY(mlock(a, 4096));
    TRY(munlock(a, 4096));
    int z = open("/dev/zero", O_RDWR);
    char *n = TRYP(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, z, 0));
    say("%d", n ? n[5] : -1);
    int mf = syscall(SYS_memfd_create, "m", 0L);
    ftruncate(mf, 4096);
    char *x = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mf, 0),
         *y = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mf, 0);
    strcpy(x, "aliased");
    say("%s", y);
    return 0;
}
