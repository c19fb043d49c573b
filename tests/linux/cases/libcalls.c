/* about: What the C library answers for Linux: schedulers, limits of paths that are not there, names of interfaces. */
/* calls: sched_getparam sched_getscheduler sched_setparam sched_setscheduler */
#include "../check.h"
#include <net/if.h>
#include <sys/param.h>
#include <sys/sysmacros.h>
int main(void)
{
    struct sched_param p = {.sched_priority = 7};
    TRY(sched_getscheduler(0));
    TRY(sched_getparam(0, &p));
    say("priority %d", p.sched_priority);
    TRY(sched_setscheduler(0, SCHED_BATCH, &p));
    TRY(sched_getscheduler(0));
    TRY(sched_setparam(0, &p));
    p.sched_priority = 3;
    TRY(sched_setparam(0, &p));
    TRY(sched_setscheduler(0, 77, &p));
    TRY(sched_getscheduler(-1));
    TRY(sched_getparam(999999999, &p));

    TRY(fpathconf(0, _PC_NAME_MAX));
    TRY(fpathconf(-1, _PC_NAME_MAX));
    TRY(fpathconf(99, _PC_NAME_MAX));
    TRY(pathconf(".", _PC_NAME_MAX));
    TRY(pathconf("nothing", _PC_NAME_MAX));
    TRY(pathconf(".", 12345));

    struct if_nameindex *names = if_nameindex();
    for (struct if_nameindex *n = names; n && n->if_index; n++)
        if (!strcmp(n->if_name, "lo")) say("lo is %d, %d", n->if_index == if_nametoindex("lo"), n->if_index > 0);
    say("there are names: %d", names != 0);
    if (names) if_freenameindex(names);

    int stopped = W_STOPCODE(SIGSTOP), ended = W_EXITCODE(3, 0);
    say("codes: %d %d %d", WIFSTOPPED(stopped) && WSTOPSIG(stopped) == SIGSTOP, WIFEXITED(ended), WEXITSTATUS(ended));
    say("no device: %d", NODEV == (dev_t)-1);
}
