/* about: Structures with anything in the padding after their fields, given to functions of the C library and to
 * system calls themselves. */
/* calls: clock_nanosleep futex mq_timedreceive mq_timedsend nanosleep ppoll pselect6
 * recvmmsg rt_sigtimedwait semtimedop timer_settime timerfd_settime utimensat */
#include "../check.h"
#include <mqueue.h>
#include <sys/sem.h>
static struct timespec *at(long long seconds, long nanoseconds)
{
    static struct timespec times[4];
    static int next;
    struct timespec *t = &times[next++ % 4];
    memset(t, 0xa5, sizeof *t);
    t->tv_sec = seconds;
    t->tv_nsec = nanoseconds;
    return t;
}
static struct itimerspec *every(int nanoseconds)
{
    static struct itimerspec i;
    memset(&i, 0xa5, sizeof i);
    i.it_interval.tv_sec = i.it_value.tv_sec = 0;
    i.it_interval.tv_nsec = 0;
    i.it_value.tv_nsec = nanoseconds;
    return &i;
}
int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    TRY(nanosleep(at(0, 1000), 0));
    TRY(syscall(SYS_nanosleep, at(0, 1000), 0));
    TRY(syscall(SYS_nanosleep, at(0, 1000000000), 0));
    TRY(clock_nanosleep(CLOCK_MONOTONIC, 0, at(0, 1000), 0));
    TRY(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, at(0, 1000), 0));
    int word = 1;
    TRY(syscall(SYS_futex, &word, 0, 1, at(0, 1000), 0, 0));
    TRY(syscall(SYS_futex, &word, 9, 1, at(0, 1000), 0, -1));
    TRY(syscall(SYS_futex, &word, 3, 0, 5, &word, 0));
    TRY(ppoll(0, 0, at(0, 1000), 0));
    TRY(syscall(SYS_ppoll, 0, 0, at(0, 1000), 0, 8));
    TRY(pselect(0, 0, 0, 0, at(0, 1000), 0));
    TRY(syscall(SYS_pselect6, 0, 0, 0, 0, at(0, 1000), 0));
    TRY(sigtimedwait(&set, 0, at(0, 1000)));
    TRY(syscall(SYS_rt_sigtimedwait, &set, 0, at(0, 1000), 8));
    timer_t timer;
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    TRY(timer_create(CLOCK_MONOTONIC, &none, &timer));
    TRY(timer_settime(timer, 0, every(1000), 0));
    TRY(syscall(SYS_timer_settime, 77, 0, every(1000), 0));
    int t = timerfd_create(CLOCK_MONOTONIC, 0);
    TRY(timerfd_settime(t, 0, every(1000), 0));
    TRY(syscall(SYS_timerfd_settime, t, 0, every(1000), 0));
    uint64_t times;
    TRY(read(t, &times, 8));
    put("f", "");
    struct timespec both[2];
    both[0] = *at(1000, 5);
    both[1] = *at(2000, UTIME_OMIT);
    TRY(utimensat(AT_FDCWD, "f", both, 0));
    struct stat s;
    TRY(stat("f", &s));
    say("%ld %ld %d", (long)s.st_atime, s.st_atim.tv_nsec, s.st_mtime > 2000);
    memset(both, 0xa5, sizeof both);
    both[0].tv_sec = 3000, both[0].tv_nsec = 6;
    both[1].tv_sec = 4000, both[1].tv_nsec = 7;
    TRY(syscall(SYS_utimensat, AT_FDCWD, "f", both, 0));
    TRY(stat("f", &s));
    say("%ld %ld %ld %ld", (long)s.st_atime, s.st_atim.tv_nsec, (long)s.st_mtime, s.st_mtim.tv_nsec);
    int sem = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf down = {0, -1, 0};
    TRY(semtimedop(sem, &down, 1, at(0, 1000)));
    TRY(syscall(SYS_semtimedop, sem, &down, 1, at(0, 1000)));
    semctl(sem, 0, IPC_RMID);
    int pair[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    struct mmsghdr messages[1];
    char room[8];
    struct iovec v = {room, sizeof room};
    memset(messages, 0xa5, sizeof messages);
    struct msghdr *m = &messages[0].msg_hdr;
    m->msg_name = 0;
    m->msg_namelen = 0;
    m->msg_iov = &v;
    m->msg_iovlen = 1;
    m->msg_control = 0;
    m->msg_controllen = 0;
    TRY(sendmsg(pair[0], m, 0));
    TRY(recvmmsg(pair[1], messages, 1, 0, at(1, 0)));
    TRY(recvmsg(pair[1], m, MSG_DONTWAIT));
    struct mq_attr attributes;
    memset(&attributes, 0xa5, sizeof attributes);
    attributes.mq_flags = 0;
    attributes.mq_maxmsg = 1;
    attributes.mq_msgsize = 8;
    attributes.mq_curmsgs = 0;
    mq_unlink("/padding");
    mqd_t q = TRY(mq_open("/padding", O_CREAT | O_RDWR, 0600, &attributes) >= 0) ? mq_open("/padding", O_RDWR) : -1;
    mq_unlink("/padding");
    TRY(mq_getattr(q, &attributes));
    say("%ld %ld %ld %ld", attributes.mq_flags, attributes.mq_maxmsg, attributes.mq_msgsize, attributes.mq_curmsgs);
    TRY(mq_timedreceive(q, room, 8, 0, at(1, 0)));
    TRY(mq_timedsend(q, "one", 3, 0, at(1, 0)));
    TRY(syscall(SYS_mq_timedsend, q, "two", 3, 0, at(1, 0)));
    TRY(syscall(SYS_mq_timedreceive, q, room, 8, 0, at(1, 0)));
    return 0;
}
