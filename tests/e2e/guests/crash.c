/* Fails in the way that its argument names; each in a function of its own, for the report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile int sink;

__attribute__((noinline)) void crash_unreachable(void) { __builtin_trap(); }

__attribute__((noinline)) void crash_out_of_bounds(void) {
    /* volatile: the compiler must not know. */
    volatile unsigned long at = 0xfffffff0u;
    sink = *(volatile int *)at;
}

__attribute__((noinline)) int crash_recursion(int n) {
    volatile char frame[64];
    frame[0] = (char)n;
    return n < 0 ? 0 : crash_recursion(sink ? n : n + 1) + frame[0];
}

__attribute__((noinline)) void crash_divide(void) {
    volatile int seven = 7, zero = 0;
    sink = seven / zero;
}

__attribute__((noinline)) void crash_overflow(void) {
    volatile int least = -2147483647 - 1, minus = -1;
    sink = least / minus;
}

__attribute__((noinline)) void crash_conversion(void) {
    volatile double much = 1e30;
    sink = (int)much;
}

static void two(int a, int b) { sink = a + b; }

__attribute__((noinline)) void crash_call(void) {
    void (*volatile f)(int, int) = two;
    ((double (*)(void))(void (*)(void))f)();
}

__attribute__((noinline)) void crash_null_call(void) {
    void (*volatile f)(void) = 0;
    f();
}

/* Ends, but not in a small stack. */
__attribute__((noinline)) int deep(int n) { return n == 0 ? 0 : deep(n - 1) + (sink | 1); }

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    puts("before");
    fflush(stdout);
    if (!strcmp(how, "unreachable")) crash_unreachable();
    if (!strcmp(how, "out-of-bounds")) crash_out_of_bounds();
    if (!strcmp(how, "recursion")) sink = crash_recursion(0);
    if (!strcmp(how, "divide")) crash_divide();
    if (!strcmp(how, "overflow")) crash_overflow();
    if (!strcmp(how, "conversion")) crash_conversion();
    if (!strcmp(how, "call")) crash_call();
    if (!strcmp(how, "null-call")) crash_null_call();
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "deep")) {
        printf("%d\n", deep(20000));
        return 0;
    }
    puts("after");
    return 0;
}
