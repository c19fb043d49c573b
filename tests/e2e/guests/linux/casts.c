/* Calls through pointers of another type: a result that nobody gives or takes, fewer and more
   arguments, wider and narrower ones. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int cleaned;
static void cleanup(char *what) { cleaned += (int)strlen(what); }
static int number(void) { return 42; }
static long wide(long value) { return value + 1; }
static int narrow(int value) { return value + 1; }
static int compare(const char **a, const char **b, void *unused) { (void)unused; return strcmp(*a, *b); }
static double half(double value) { return value / 2; }
static int many(int a, int b, int c, int d, int e, int f) { return a + b + c + d + e + f; }

/* The compiler must not see what is called. */
static void *volatile hidden;
#define CALL(type, function) (hidden = (void *)(function), (type)hidden)

int main(void) {
    int result = CALL(int (*)(char *, int), cleanup)("four", 5);
    (void)result;
    printf("%d\n", cleaned);
    printf("%d\n", CALL(int (*)(int, int), number)(1, 2));
    CALL(void (*)(void), number)();
    printf("%ld\n", CALL(long (*)(int), wide)(7));
    printf("%d\n", CALL(int (*)(long), narrow)(7));
    printf("%g\n", CALL(double (*)(double, int), half)(5, 1));
    printf("%d\n", CALL(int (*)(int, int, int, int, int, int, int), many)(1, 2, 3, 4, 5, 6, 7));
    const char *words[] = {"pear", "apple", "fig"};
    qsort(words, 3, sizeof *words, CALL(int (*)(const void *, const void *), compare));
    printf("%s %s %s\n", words[0], words[1], words[2]);
    return 0;
}
