/* about: POSIX message queues: order, limits, waiting, being told, and what a child has of them. */
/* calls: mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink */
#include "../check.h"
#include <mqueue.h>
static volatile int told;
static void tell(int s, siginfo_t *i, void *c)
{
	(void)c;
	told = s == SIGUSR1 && i->si_code == SI_MESGQ && i->si_value.sival_int == 42;
}
int main(void)
{
	struct mq_attr a = { .mq_maxmsg = 4, .mq_msgsize = 16 };
	mqd_t q = mq_open("/queue", O_CREAT | O_EXCL | O_RDWR, 0600, &a);
	say("open %d", q >= 0);
	TRY(mq_open("/queue", O_CREAT | O_EXCL | O_RDWR, 0600, &a));
	TRY(mq_open("/none", O_RDWR));
	TRY(mq_open("/a/b", O_CREAT | O_RDWR, 0600, &a));
	struct mq_attr bad = { .mq_maxmsg = -1, .mq_msgsize = 16 };
	TRY(mq_open("/bad", O_CREAT | O_RDWR, 0600, &bad));
	TRY(mq_send(q, "low", 3, 1));
	TRY(mq_send(q, "high", 4, 9));
	TRY(mq_send(q, "too long for this queue", 23, 1));
	TRY(mq_getattr(q, &a));
	say("%d of %d, %d bytes, flags %d", (int)a.mq_curmsgs, (int)a.mq_maxmsg, (int)a.mq_msgsize, (int)a.mq_flags);
	char b[17] = "";
	unsigned p;
	TRY(mq_receive(q, b, 3, &p));
	TRY(mq_receive(q, b, 16, &p));
	say("%.4s %u", b, p);
	TRY(mq_receive(q, b, 16, 0));
	say("%.3s", b);
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_nsec += 20000000;
	if (now.tv_nsec >= 1000000000) now.tv_sec++, now.tv_nsec -= 1000000000;
	TRY(mq_timedreceive(q, b, 16, 0, &now));
	struct sigaction s = { .sa_sigaction = tell, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &s, 0);
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42 };
	TRY(mq_notify(q, &e));
	CHILD(TRY(mq_notify(q, &e)));
	CHILD(mq_send(q, "from a child", 12, 3));
	for (int i = 0; !told && i < 1000; i++) usleep(1000);
	say("told %d", told);
	TRY(mq_receive(q, b, 16, &p));
	say("%.12s %u", b, p);
	TRY(mq_notify(q, &e));
	TRY(mq_notify(q, 0));
	a.mq_flags = O_NONBLOCK;
	TRY(mq_setattr(q, &a, 0));
	TRY(mq_receive(q, b, 16, &p));
	struct pollfd f = { .fd = q, .events = POLLIN | POLLOUT };
	TRY(poll(&f, 1, 0));
	say("%x", f.revents);
	TRY(mq_unlink("/queue"));
	TRY(mq_unlink("/queue"));
	TRY(mq_send(q, "still there", 11, 0));
	TRY(mq_close(q));
	TRY(mq_close(q));
	return 0;
}
