/* about: What programs take for granted of their types, on 32-bit and on 64-bit machines: a long is as wide as a
 * pointer. */
/* calls: prctl */
#include "../check.h"
static int thing;
static long address = (long)&thing;
static __attribute__((noinline)) size_t next_line(int more) { return more ? 3 : (size_t)-1; }
static __attribute__((noinline)) int sum(int n, ...)
{
    va_list args;
    long all = 0;
    va_start(args, n);
    while (n--) all += va_arg(args, long);
    va_end(args);
    return all;
}
static __attribute__((noinline)) void earlier(void)
{
    volatile char work[400];
    memset((void *)work, 0x5a, sizeof work);
}
int main(int argc, char **argv)
{
    say("%d %d %d", sizeof(long) == sizeof(void *), sizeof(long) == sizeof(size_t),
        sizeof(pthread_t) == sizeof(long));
    say("%d", (int *)address == &thing);
    /* A printf of a size with the letter for longs, and of an int after it. */
    char line[100];
    sprintf(line, "%lu bytes, %d files", strlen("hello"), 7);
    say("%s", line);
    struct { size_t n; int guard; } read = {0, 5};
    say("%d", sscanf("34 6", "%lu %d", &read.n, &read.guard));
    say("%zu %d", read.n, read.guard);
    long n = next_line(argc > 5);
    say("%s", n < 0 ? "end" : "a line of 4294967295 bytes");
    say("%d", sum(3, (size_t)1, (size_t)2, (size_t)3));
    /* Arguments that are ints, where a long is read. */
    earlier();
    TRY(prctl(PR_SET_PDEATHSIG, 15));
    earlier();
    TRY(prctl(PR_SET_DUMPABLE, 1));
    earlier();
    TRY(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    long bits = LONG_MAX;
    int width = 1;
    while (bits >>= 1) width++;
    say("%d", width + 1 == (int)(8 * sizeof(long)));
    say("%d %d", sizeof(fd_mask) * 8 == NFDBITS, (int)sizeof(fd_set));
    /* Files and times are wide nevertheless. */
    struct stat s = {.st_size = 1LL << 40, .st_mtime = 1LL << 40};
    say("%lld %lld", (long long)s.st_size, (long long)s.st_mtime);
    struct rlimit r = {.rlim_cur = 1ULL << 40};
    say("%llu", (unsigned long long)r.rlim_cur);
    return 0;
}
