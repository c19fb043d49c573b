/* about: lseek with holes, truncate, ftruncate, fallocate. */
/* calls: fallocate ftruncate truncate */
#include "../check.h"
static void size(int f)
{
    struct stat s;
    fstat(f, &s);
    say("size %lld", (long long)s.st_size);
}
int main(void)
{
    int f = open("f", O_CREAT | O_RDWR, 0600);
    write(f, "0123456789", 10);
    TRY(lseek(f, 3, SEEK_SET));
    TRY(lseek(f, -1, SEEK_CUR));
    TRY(lseek(f, 0, SEEK_END));
    TRY(lseek(f, -20, SEEK_END));
    TRY(lseek(f, 0, 9));
    TRY(lseek(f, 5LL << 32, SEEK_SET));
    TRY(write(f, "x", 1));
    size(f);
    TRY(lseek(f, 1 << 20, SEEK_DATA));
    TRY(lseek(f, 0, SEEK_HOLE) > 0);
    TRY(lseek(f, 6LL << 32, SEEK_DATA));
    TRY(ftruncate(f, 4));
    size(f);
    TRY(ftruncate(f, 8));
    char b[16];
    TRY(pread(f, b, 16, 0));
    say("%d %d", b[3], b[6]);
    TRY(ftruncate(f, -1));
    TRY(truncate("f", 2));
    size(f);
    TRY(truncate("none", 2));
    TRY(truncate(".", 2));
    TRY(ftruncate(open("f", O_RDONLY), 1));
    TRY(fallocate(f, 0, 0, 10000));
    size(f);
    TRY(fallocate(f, FALLOC_FL_KEEP_SIZE, 10000, 10000));
    size(f);
    TRY(fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    TRY(fallocate(f, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    TRY(fallocate(f, 0, -1, 10));
    TRY(fallocate(f, 0, 0, 0));
    TRY0(posix_fallocate(f, 0, 20000));
    size(f);
    TRY0(posix_fadvise(f, 0, 0, POSIX_FADV_SEQUENTIAL));
    TRY0(posix_fadvise(f, 0, 0, 99));
    int p[2];
    pipe(p);
    TRY(lseek(p[0], 0, SEEK_CUR));
    TRY(ftruncate(p[1], 0));
    TRY(fallocate(p[1], 0, 0, 1));
    TRY(fsync(f));
    TRY(fdatasync(f));
    TRY(fsync(p[0]));
    TRY(fsync(99));
    return 0;
}
