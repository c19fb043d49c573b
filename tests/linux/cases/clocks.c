/* about: Clocks and sleeping. */
/* calls: clock_getres clock_gettime clock_nanosleep getrusage times */
#include "../check.h"
static int after(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec >= b.tv_nsec);
}
int main(void)
{
    clockid_t c[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
        CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
        CLOCK_BOOTTIME, 77};
    for (unsigned i = 0; i < sizeof c / sizeof *c; i++) {
        struct timespec a = {0}, b = {0}, r = {0};
        errno = 0;
        int x = clock_gettime(c[i], &a), y = clock_gettime(c[i], &b), z = clock_getres(c[i], &r);
        say("clock %d: %d %d %d %s order %d nsec %d res %ld", c[i], x, y, z, name_of(errno),
            after(b, a), a.tv_nsec >= 0 && a.tv_nsec < 1000000000, (long)r.tv_nsec);
    }
    struct timespec a, b, t = {0, 15000000}, bad = {0, 1000000000}, neg = {-1, 0};
    clock_gettime(CLOCK_MONOTONIC, &a);
    TRY(nanosleep(&t, 0));
    clock_gettime(CLOCK_MONOTONIC, &b);
    a.tv_nsec += 15000000;
    if (a.tv_nsec >= 1000000000) {
        a.tv_sec++;
        a.tv_nsec -= 1000000000;
    }
    say("slept %d", after(b, a));
    TRY(nanosleep(&bad, 0));
    TRY(nanosleep(&neg, 0));
    TRY0(clock_nanosleep(CLOCK_REALTIME, 0, &bad, 0));
    TRY0(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &a, 0));
    TRY0(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, 0));
    TRY0(clock_nanosleep(99, 0, &t, 0));
    TRY(usleep(1000));
    TRY(sleep(0));
    struct timeval v;
    TRY(gettimeofday(&v, 0));
    time_t n = time(0);
    say("%d", n - v.tv_sec <= 1);
    struct tms m;
    TRY(times(&m) != -1);
    say("%d", m.tms_cutime == 0);
    TRY(clock() >= 0);
    clockid_t id;
    TRY0(clock_getcpuclockid(0, &id));
    TRY(clock_gettime(id, &a));
    setenv("TZ", "UTC0", 1);
    time_t e = 1234567890;
    char s[64];
    strftime(s, 64, "%Y-%m-%d %H:%M:%S %j %a", gmtime(&e));
    say("%s", s);
    struct tm tm = *gmtime(&e);
    say("%ld", (long)mktime(&tm));
    e = -1;
    strftime(s, 64, "%F %T", gmtime(&e));
    say("%s", s);
    struct rusage u;
    TRY(getrusage(RUSAGE_SELF, &u));
    say("%d", u.ru_utime.tv_sec < 10);
    TRY(getrusage(RUSAGE_CHILDREN, &u));
    TRY(getrusage(RUSAGE_THREAD, &u));
    TRY(getrusage(99, &u));
    return 0;
}
