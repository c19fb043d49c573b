/* about: Scheduling: parameters, policies, priorities and the processors to run on. The C libraries offer
 * some of it only as ENOSYS, so the calls are made themselves. */
/* calls: getcpu getpriority sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam
 * sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setparam sched_setscheduler sched_yield
 * setpriority */
#include "../check.h"
int main(void)
{
    int p[8] = {0};
    struct timespec t;
    for (long policy = -1; policy < 8; policy++)
        say("policy %ld: %ld to %ld", policy, syscall(SYS_sched_get_priority_min, policy),
            syscall(SYS_sched_get_priority_max, policy));
    TRY(syscall(SYS_sched_getscheduler, 0));
    TRY(syscall(SYS_sched_getscheduler, -1));
    TRY(syscall(SYS_sched_getparam, 0, p));
    say("priority %d", p[0]);
    TRY(syscall(SYS_sched_getparam, 0, 0));
    TRY(syscall(SYS_sched_setparam, 0, p));
    p[0] = 5;
    TRY(syscall(SYS_sched_setparam, 0, p));
    TRY(syscall(SYS_sched_setparam, 2000000000, p));
    p[0] = 0;
    TRY(syscall(SYS_sched_setscheduler, 0, 3 /* SCHED_BATCH */, p));
    TRY(syscall(SYS_sched_getscheduler, 0));
    TRY(syscall(SYS_sched_setscheduler, 0, 0, p));
    TRY(syscall(SYS_sched_setscheduler, 0, 77, p));
    TRY(syscall(SYS_sched_rr_get_interval, 0, &t));
    say("interval %d", t.tv_sec == 0 && t.tv_nsec >= 0);
    TRY(syscall(SYS_sched_rr_get_interval, -1, &t));
    unsigned long set[16] = {0}, one[16] = {0};
    TRY(syscall(SYS_sched_getaffinity, 0, sizeof set, set) > 0);
    for (int i = 0; i < 16 * 64; i++)
        if (set[i / 64] >> i % 64 & 1) {
            one[i / 64] = 1ul << i % 64;
            break;
        }
    TRY(syscall(SYS_sched_setaffinity, 0, sizeof one, one));
    unsigned long now[16] = {0};
    TRY(syscall(SYS_sched_getaffinity, 0, sizeof now, now) > 0);
    say("the one %d", !memcmp(now, one, sizeof one));
    unsigned cpu = 0;
    TRY(syscall(SYS_getcpu, &cpu, 0, 0));
    say("there %d", (int)(one[cpu / 64] >> cpu % 64 & 1));
    TRY(syscall(SYS_sched_setaffinity, 0, sizeof set, set));
    memset(one, 0, sizeof one);
    TRY(syscall(SYS_sched_setaffinity, 0, sizeof one, one));
    TRY(syscall(SYS_sched_setaffinity, 0, 0, one));
    TRY(syscall(SYS_sched_yield));
    TRY(setpriority(PRIO_PROCESS, 0, 4));
    TRY(getpriority(PRIO_PROCESS, 0));
    TRY(getpriority(PRIO_PGRP, 0));
    return 0;
}
