/* about: Faults of the program itself: the signal by which it ends. */
#include "../check.h"
static volatile int zero;
static char *page(int protection)
{
    return mmap(0, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void none(void)
{
    volatile char *p = page(PROT_NONE);
    (void)*p;
}
static void read_only(void)
{
    volatile char *p = page(PROT_READ);
    *p = 1;
}
static void protected(void)
{
    volatile char *p = page(PROT_READ | PROT_WRITE);
    *p = 1;
    mprotect((void *)p, 4096, PROT_READ);
    *p = 2;
}
static void unmapped(void)
{
    volatile char *p = page(PROT_READ);
    munmap((void *)p, 4096);
    (void)*p;
}
static void again(void)
{
    volatile char *p = page(PROT_NONE);
    mprotect((void *)p, 4096, PROT_READ | PROT_WRITE);
    *p = 3;
    say("fine %d", *p);
}
static void past_file(void)
{
    int f = open("f", O_CREAT | O_RDWR, 0600);
    write(f, "x", 1);
    volatile char *p = mmap(0, 8192, PROT_READ, MAP_SHARED, f, 0);
    (void)p[5];
    say("in the page");
    (void)p[4096];
}
static void divide(void) { say("%d", 7 / zero); }
static void least(void)
{
    volatile int least = INT_MIN, minus = zero - 1;
    say("%d", least / minus);
}
static void trap(void) { __builtin_trap(); }
static void do_abort(void) { abort(); }
static int deeper(int n)
{
    volatile char room[1000];
    room[n % 1000] = n;
    return n < 0 ? 0 : deeper(n + 1) + room[n % 1000];
}
static void deep(void) { say("%d", deeper(1)); }
static void null(void)
{
    volatile char *volatile p = 0;
    p[zero] = 1;
}
static void after(void)
{
    signal(SIGSEGV, SIG_IGN);
    kill(getpid(), SIGSEGV);
    say("ignored");
}
static void sent(void) { kill(getpid(), SIGSEGV); }
static void blocked(void)
{
    sigset_t s;
    sigfillset(&s);
    sigprocmask(SIG_SETMASK, &s, 0);
    volatile char *p = page(PROT_NONE);
    (void)*p;
}
int main(void)
{
    CHILD(none());
    CHILD(read_only());
    CHILD(protected());
    CHILD(unmapped());
    CHILD(again());
    CHILD(past_file());
    CHILD(divide());
    CHILD(least());
    CHILD(trap());
    CHILD(do_abort());
    CHILD(deep());
    CHILD(null());
    CHILD(after());
    CHILD(sent());
    CHILD(blocked());
    return 0;
}
