/* about: mprotect and mremap. */
/* calls: mprotect mremap */
#include "../check.h"
#define RW (PROT_READ | PROT_WRITE)
static char *map(int n) { return mmap(0, n * 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
int main(void)
{
    char *a = map(4);
    TRY(mprotect(a, 4096, PROT_READ));
    TRY(read(0, a, 1));
    TRY(mprotect(a, 4096, RW));
    TRY(syscall(SYS_mprotect, a + 1, 4096L, RW));
    TRY(mprotect(a, 0, RW));
    munmap(a + 8192, 4096);
    TRY(mprotect(a, 16384, RW));
    TRY(mprotect(a, 4096, 0x100));
    char *hole = map(3);
    munmap(hole + 4096, 4096);
    strcpy(hole, "kept");
    char *b = TRYP(mremap(hole, 4096, 4096, 0));
    TRY(b == hole);
    b = TRYP(mremap(hole, 4096, 8192, 0));
    say("%d", b == hole);
    b = TRYP(mremap(hole, 8192, 12288, 0));
    b = TRYP(mremap(hole, 8192, 40960, MREMAP_MAYMOVE));
    say("%s %d", b, b[40000]);
    b[39000] = 5;
    b = TRYP(mremap(b, 40960, 4096, 0));
    say("%s", b);
    TRYP(mremap(b + 1, 4096, 8192, MREMAP_MAYMOVE));
    TRYP(mremap(b, 4096, 0, MREMAP_MAYMOVE));
    TRYP(mremap(b, 4096, 8192, 64));
    TRYP(mremap(b, 4096, 8192, MREMAP_FIXED, a));
    char *t = map(2);
    char *c = TRYP(mremap(b, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, t));
    say("%d %s", c == t, c);
    TRYP(mremap(t, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, t + 4096));
    TRYP(mremap(b, 4096, 8192, MREMAP_MAYMOVE));
    int f = open("f", O_CREAT | O_RDWR, 0600);
    ftruncate(f, 12288);
    pwrite(f, "end", 3, 8192);
    char *m = mmap(0, 4096, RW, MAP_SHARED, f, 0);
    char *n = TRYP(mremap(m, 4096, 12288, MREMAP_MAYMOVE));
    if (n) {
        say("%s", n + 8192);
        n[0] = 'n';
        char x;
        pread(f, &x, 1, 0);
        say("%c", x);
    }
    char *s = mmap(0, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s[0] = 's';
    char *s2 = TRYP(mremap(s, 4096, 4096, MREMAP_MAYMOVE));
    say("%c", s2[0]);
    void *big = TRYP(realloc(malloc(300000), 900000));
    free(big);
    return 0;
}
