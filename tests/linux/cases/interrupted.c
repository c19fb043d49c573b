/* flags: -pthread */
/* about: Handlers in the middle of computations: all that lives in registers is there afterwards, also of
 * functions whose handlers jump away, on small stacks, in threads, and in handlers themselves. */
#include "../check.h"
#include <pthread.h>
#include <setjmp.h>

typedef int vec __attribute__((vector_size(16)));
static volatile int calls, nested, deepest, stop;
static volatile double noise = 1;
static unsigned mix(unsigned x)
{
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ x << 5;
}
/* More values than there are registers of each kind, none of them in memory by the source. */
static unsigned compute(unsigned rounds)
{
    unsigned a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
    unsigned long long i = 9, j = 10, k = 11, l = 12;
    double p = 1, q = 2, r = 3, s = 4, t = 5;
    float u = 6, v = 7;
    vec w = {1, 2, 3, 4}, x = {5, 6, 7, 8}, y = {9, 10, 11, 12};
    while (rounds--) {
        a = mix(a + h), b ^= a, c += b * 5, d = mix(d ^ c), e -= d, f = f * 33 + e, g ^= f >> 3, h += g;
        i = i * 6364136223846793005u + a, j ^= i >> 7, k += j * c, l = (l ^ k) + (l >> 9);
        p = p * .5 + (a & 255), q = q * .25 + p, r = (r + q) * .5, s = s * .125 - r, t = (t + s) * .25;
        u = u * .5f + (b & 15), v = (v + u) * .25f;
        w = w * 3 + x, x ^= w, y += x * 7;
        /* A comparison lives across the next safepoint. */
        if (a > b) c ^= d;
        else g += e;
    }
    unsigned sum = a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ (unsigned)(i ^ j ^ k ^ l);
    double reals[] = {p, q, r, s, t, u, v};
    for (unsigned n = 0; n < sizeof reals / 4; n++) sum = mix(sum ^ ((unsigned *)reals)[n]);
    for (int n = 0; n < 4; n++) sum = mix(sum ^ w[n] ^ x[n] * 3 ^ y[n] * 5);
    return sum;
}
static volatile unsigned few = 20, many = 300;
static unsigned once, inside;
/* Computes too, so that nothing is left in any register. */
static void on(int s)
{
    calls++;
    for (int i = 0; i < 20; i++) noise = noise * 1.000001 + .5;
    if (compute(few) != inside) say("wrong in the handler");
}
static void every(int microseconds)
{
    struct itimerval t = {{0, microseconds}, {0, microseconds}};
    setitimer(ITIMER_REAL, &t, 0);
}
static int wrong(const char *what, int until)
{
    int n = 0, tries = 0;
    for (calls = 0; calls < until && tries < 1000000; tries++) n += compute(many) != once;
    say("%s: wrong %d, interrupted %d", what, n, calls >= until);
    return n;
}
/* Goes down and comes up again while handlers come: frames of all sizes. */
static unsigned down(unsigned n, unsigned x)
{
    volatile unsigned room[1 + n % 7];
    room[n % 7] = x;
    unsigned below = n ? down(n - 1, mix(x)) : x;
    for (int i = 0; i < 5; i++) below = mix(below + i);
    return below + room[n % 7];
}
static void on_nested(int s)
{
    int level = ++nested;
    if (level > deepest) deepest = level;
    if (compute(many) != once) say("wrong in a nested handler");
    nested--;
    calls++;
}
static jmp_buf back;
static volatile int jumping;
static void on_jump(int s)
{
    calls++;
    if (jumping) longjmp(back, 1);
}
/* Does not come back but by a jump over it. */
static void endless(unsigned x)
{
    for (;; x = mix(x)) if (!x) return;
}
static void deeper(int n)
{
    if (n) deeper(n - 1);
    endless(1 + n);
}
static int jumps(int count)
{
    volatile int n = 0;
    sigset_t m;
    sigemptyset(&m);
    sigaddset(&m, SIGALRM);
    while (n < count) {
        if (!setjmp(back)) {
            jumping = 1;
            deeper(n % 50);
        }
        jumping = 0;
        sigprocmask(SIG_UNBLOCK, &m, 0);
        n++;
    }
    return n;
}
static void *computes(void *p)
{
    long n = 0;
    while (!stop) n += compute(many) != once;
    return (void *)n;
}
int main(void)
{
    once = compute(many);
    inside = compute(few);
    struct sigaction a = {.sa_handler = on, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &a, 0);
    every(300);
    wrong("computing", 300);
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    TRY(sigaltstack(&alternate, 0));
    a.sa_flags = SA_RESTART | SA_ONSTACK;
    sigaction(SIGALRM, &a, 0);
    wrong("on another stack", 300);
    int n = 0;
    every(0);
    unsigned all = down(500, 7);
    every(300);
    for (calls = 0; calls < 200;) n += down(500, 7) != all;
    say("frames: wrong %d", n);
    every(0);

    a.sa_handler = on_nested;
    a.sa_flags = SA_RESTART | SA_NODEFER;
    sigaction(SIGALRM, &a, 0);
    sigaction(SIGUSR1, &a, 0);
    every(200);
    for (n = calls = 0; calls < 200;) {
        n += compute(many) != once;
        raise(SIGUSR1);
    }
    every(0);
    say("nested: wrong %d, left %d", n, nested);

    a.sa_handler = on_jump;
    a.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &a, 0);
    every(300);
    say("jumps %d", jumps(300));
    every(0);
    n = 0;
    for (int i = 0; i < 100; i++) n += compute(many) != once;
    say("after jumps: wrong %d", n);

    a.sa_handler = on;
    sigaction(SIGUSR1, &a, 0);
    pthread_t t[3];
    for (int i = 0; i < 3; i++) pthread_create(t + i, 0, computes, 0);
    for (int i = 0; i < 900; i++) {
        pthread_kill(t[i % 3], SIGUSR1);
        if (i % 10 == 0) usleep(100);
    }
    stop = 1;
    for (int i = 0; i < 3; i++) {
        void *r;
        pthread_join(t[i], &r);
        say("thread: wrong %ld", (long)r);
    }
    /* In the child of a fork that was interrupted, too. */
    every(300);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (!child) {
            n = 0;
            for (int k = 0; k < 20; k++) n += compute(many) != once;
            _exit(n);
        }
        int status;
        while (waitpid(child, &status, 0) < 0) {}
        if (status) say("child: %x", status);
    }
    every(0);
    say("end");
}
