/* about: Stacks: as large as the limit says, for programs that are started when it has been changed too; threads
 * have more than a few pages. */
/* calls: prlimit64 */
/* flags: -pthread */
#include "../check.h"
/* Each frame is needed by those above it. */
static __attribute__((noinline)) long down(long frames, volatile char *below)
{
    volatile char frame[1024];
    frame[0] = below[0];
    long rest = frames > 1 ? down(frames - 1, frame) : 0;
    return rest + frame[0];
}
static long deep(long frames)
{
    volatile char one = 1;
    return down(frames, &one);
}
static void *in_a_thread(void *argument)
{
    return (void *)(deep(900) + (long)argument);
}
static void limits(const char *when)
{
    struct rlimit r;
    getrlimit(RLIMIT_STACK, &r);
    say("%s: %lld %d", when, (long long)r.rlim_cur, r.rlim_max >= r.rlim_cur);
}
int main(int argc, char **argv)
{
    if (argc > 1) {
        limits(argv[1]);
        say("%ld frames", deep(atol(argv[1])));
        return 0;
    }
    struct rlimit r;
    getrlimit(RLIMIT_STACK, &r);
    r.rlim_cur = 8 << 20;
    TRY(setrlimit(RLIMIT_STACK, &r));
    limits("set");
    say("%ld frames", deep(7000));
    pthread_t thread;
    void *result;
    TRY0(pthread_create(&thread, 0, in_a_thread, (void *)5));
    TRY0(pthread_join(thread, &result));
    say("%ld", (long)result);
    static const struct { int mib; const char *frames; } runs[] = {
        {8, "7000"}, {8, "9000"}, {32, "9000"}, {32, "28000"}, {32, "33000"}, {4, "3000"}, {4, "5000"}};
    for (unsigned i = 0; i < sizeof runs / sizeof *runs; i++) {
        pid_t child = fork();
        if (!child) {
            dup2(open("/dev/null", O_WRONLY), 2);
            r.rlim_cur = runs[i].mib << 20;
            setrlimit(RLIMIT_STACK, &r);
            execl("/bin/stack", "stack", runs[i].frames, (char *)0);
            _exit(98);
        }
        int status;
        waitpid(child, &status, 0);
        say_status(runs[i].frames, status);
    }
    r.rlim_cur = r.rlim_max;
    r.rlim_max = 16 << 20;
    r.rlim_cur = 32 << 20;
    TRY(setrlimit(RLIMIT_STACK, &r));
    return 0;
}
