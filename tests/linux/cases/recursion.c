/* about: Recursion: as deep as the stack allows, and deeper, in the first thread and in others. */
/* flags: -pthread */
#include "../check.h"
static __attribute__((noinline)) int deep(volatile int *n, int most)
{
    volatile char room[64];
    room[0] = 1;
    if (++*n == most) return 0;
    return deep(n, most) + room[0];
}
static __attribute__((noinline)) int by_pointer(int (*f)(volatile int *, int), int most)
{
    volatile int n = 0;
    return f(&n, most);
}
static void some(void) { say("%d", by_pointer(deep, 20000)); }
static void too_much(void) { say("%d", by_pointer(deep, -1)); }
static void *body(void *most)
{
    say("%d", by_pointer(deep, (int)(intptr_t)most));
    return 0;
}
static void in_a_thread(void)
{
    pthread_t t;
    pthread_create(&t, 0, body, (void *)500);
    pthread_join(t, 0);
}
static void too_much_in_a_thread(void)
{
    pthread_t t;
    pthread_create(&t, 0, body, (void *)-1);
    pthread_join(t, 0);
    say("not reached");
}
static void large_frames(void)
{
    volatile char room[4 << 20];
    memset((char *)room, 1, sizeof room);
    say("%d", room[12345]);
}
static int comparisons, depth;
static int compare(const void *a, const void *b)
{
    comparisons++;
    if (depth < 50) {
        int v[] = {3, 1, 2};
        depth++;
        qsort(v, 3, sizeof *v, compare);
        depth--;
    }
    return *(int *)a - *(int *)b;
}
static void through_the_library(void)
{
    int v[] = {2, 1};
    depth = 44;
    qsort(v, 2, sizeof *v, compare);
    say("%d %d", v[0], comparisons > 50);
}
int main(void)
{
    CHILD(some());
    CHILD(too_much());
    CHILD(in_a_thread());
    CHILD(too_much_in_a_thread());
    CHILD(large_frames());
    CHILD(through_the_library());
    say("alive");
    return 0;
}
