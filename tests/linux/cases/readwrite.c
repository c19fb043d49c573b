/* about: read, write, pread, pwrite: results, contents, ends, errors. */
/* calls: fstat lseek open pread64 pwrite64 read stat write */
#include "../check.h"
int main(void)
{
    char b[64] = {0};
    int f = open("f", O_CREAT | O_RDWR, 0600), r = open("f", O_RDONLY);
    TRY(write(f, "0123456789", 10));
    TRY(pwrite(f, "AB", 2, 3));
    TRY(pwrite(f, "Z", 1, 15));
    TRY(pwrite(f, "Z", 1, -1));
    TRY(pread(f, b, 64, 0));
    for (int i = 0; i < 16; i++) say("%d: %d", i, b[i]);
    TRY(pread(f, b, 4, 100));
    TRY(pread(f, b, 4, -5));
    TRY(read(f, b, 4));
    TRY(lseek(f, 0, SEEK_CUR));
    TRY(write(r, "x", 1));
    TRY(read(r, b, 0));
    TRY(write(f, b, 0));
    TRY(read(99, b, 0));
    TRY(read(open(".", O_RDONLY), b, 4));
    TRY(read(r, b, 3));
    say("%.3s", b);
    TRY(read(r, b, 64));
    TRY(read(r, b, 64));
    int p[2];
    TRY(pipe(p));
    TRY(pread(p[0], b, 1, 0));
    TRY(pwrite(p[1], b, 1, 0));
    TRY(read(p[1], b, 1));
    TRY(write(p[0], b, 1));
    char in[16] = {0};
    TRY(read(0, in, 4));
    say("stdin %s", in);
    TRY(read(0, in, 16));
    TRY(read(0, in, 16));
    int a = open("f", O_WRONLY | O_APPEND);
    TRY(pwrite(a, "end", 3, 0));
    struct stat s;
    fstat(a, &s);
    say("size %ld", (long)s.st_size);
    TRY(write(2, "to stderr\n", 10));
    return 0;
}
