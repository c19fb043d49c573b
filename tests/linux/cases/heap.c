/* flags: -pthread */
/* about: Memory given up and taken again, in sizes that are mapped anew each time: what calloc gives is
 * zero, nobody's block is written by another, also by several threads and in children that they fork. */
#include "../check.h"
enum { BLOCKS = 40, ROUNDS = 3000 };
static unsigned next(unsigned *seed) { return *seed = *seed * 1664525 + 1013904223; }
static int holds(const unsigned char *at, size_t len, int byte)
{
    for (size_t i = 0; i < len; i++)
        if (at[i] != byte) return 0;
    return 1;
}
/* How many faults were found. */
static int churn(unsigned seed, int rounds)
{
    struct { unsigned char *at; size_t len; int byte; } blocks[BLOCKS] = {0};
    int faults = 0;
    for (int round = 0; round < rounds; round++) {
        int i = next(&seed) >> 16, zero = i & 1;
        i = (i >> 1) % BLOCKS;
        if (blocks[i].at) {
            faults += !holds(blocks[i].at, blocks[i].len, blocks[i].byte);
            free(blocks[i].at);
        }
        size_t len = 1 + (next(&seed) >> 8) % (round % 4 ? 9000 : 140000);
        blocks[i].at = zero ? calloc(1, len) : malloc(len);
        if (!blocks[i].at) return -1;
        if (zero) faults += !holds(blocks[i].at, len, 0);
        blocks[i].len = len;
        blocks[i].byte = 1 + round % 250;
        memset(blocks[i].at, blocks[i].byte, len);
        if (round % 16 == 0) {
            size_t more = len + next(&seed) % 5000;
            unsigned char *moved = realloc(blocks[i].at, more);
            if (!moved) return -1;
            faults += !holds(moved, len, blocks[i].byte);
            blocks[i].at = moved;
        }
    }
    for (int i = 0; i < BLOCKS; i++) free(blocks[i].at);
    return faults;
}
static void *threaded(void *seed) { return (void *)(long)churn((int)(long)seed, ROUNDS); }
static void *forking(void *seed)
{
    int failed = 0;
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        if (!child) _exit(churn((int)(long)seed + i, 300) != 0);
        int status = -1;
        waitpid(child, &status, 0);
        failed += status != 0;
    }
    return (void *)(long)failed;
}
int main(void)
{
    say("alone: %d", churn(1, ROUNDS));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, i < 3 ? threaded : forking, (void *)(long)(i + 2))) say("no thread");
    for (int i = 0; i < 4; i++) {
        void *faults;
        pthread_join(threads[i], &faults);
        say("thread %d: %d", i, (int)(long)faults);
    }
    say("afterwards: %d", churn(9, ROUNDS));
}
