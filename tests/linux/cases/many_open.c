/* about: As many.c, for a program that imports no call that duplicates: what the vkernel itself calls to
 * make room must be allowed all the same. */
/* flags: -pthread */
#include "../check.h"
static int open_more(int n)
{
    int got = 0, bad = 0;
    for (; got < n; got++) {
        int fd = open("/dev/null", O_RDONLY);
        if (fd < 0) break;
        bad += lseek(fd, 0, SEEK_CUR) != 0;
    }
    if (bad) say("%d cannot be used", bad);
    return got;
}
static void *body(void *n) { return (void *)(intptr_t)open_more((int)(intptr_t)n); }
static void by_threads(void)
{
    pthread_t t[3];
    int sum = 0;
    for (int i = 0; i < 3; i++) pthread_create(t + i, 0, body, (void *)700);
    for (int i = 0; i < 3; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (int)(intptr_t)r;
    }
    say("by threads %d", sum);
}
static void limit(long soft)
{
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = soft;
    TRY(setrlimit(RLIMIT_NOFILE, &l));
}
static void raised_by_threads(void)
{
    limit(100);
    pthread_t t;
    pthread_create(&t, 0, body, (void *)50);
    pthread_join(t, 0);
    limit(3000);
    by_threads();
    limit(100);
    say("no more %d", open_more(1));
}
int main(void)
{
    CHILD(say("opened %d", open_more(3000)));
    CHILD(by_threads());
    CHILD(raised_by_threads());
    return 0;
}
