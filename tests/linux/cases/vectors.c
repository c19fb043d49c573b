/* about: readv, writev, preadv, pwritev and their second forms. */
/* calls: preadv preadv2 pwritev pwritev2 readv writev */
#include "../check.h"
int main(void)
{
    int f = open("f", O_CREAT | O_RDWR, 0600);
    struct iovec w[4] = {{"abc", 3}, {"", 0}, {"defg", 4}, {"h", 1}};
    TRY(writev(f, w, 4));
    char x[3] = "", y[10] = "";
    struct iovec r[2] = {{x, 2}, {y, 9}};
    TRY(preadv(f, r, 2, 1));
    say("%s %s", x, y);
    TRY(pwritev(f, w, 1, 20));
    TRY(lseek(f, 0, SEEK_SET));
    TRY(readv(f, r, 1));
    say("%s", x);
    TRY(readv(f, r, 0));
    TRY(readv(f, r, -1));
    TRY(readv(f, r, 1025));
    TRY(writev(f, w, 1025));
    static struct iovec many[1024];
    static char bytes[1024];
    for (int i = 0; i < 1024; i++) {
        bytes[i] = 'a' + i % 26;
        many[i] = (struct iovec){bytes + i, 1};
    }
    lseek(f, 0, SEEK_SET);
    TRY(writev(f, many, 1024));
    TRY(lseek(f, 0, SEEK_END));
    TRY(preadv2(f, r, 2, 0, 0));
    say("%.2s %.9s", x, y);
    TRY(preadv2(f, r, 1, -1, 0));
    TRY(pwritev2(f, w, 1, 0, RWF_APPEND));
    TRY(lseek(f, 0, SEEK_END));
    TRY(preadv2(f, r, 1, 0, 0x4000));
    TRY(preadv(f, r, 1, -2));
    int p[2];
    pipe(p);
    TRY(writev(p[1], w, 4));
    TRY(readv(p[0], r, 2));
    say("%.2s %.6s", x, y);
    TRY(preadv(p[0], r, 1, 0));
    TRY(readv(-1, r, 1));
    return 0;
}
