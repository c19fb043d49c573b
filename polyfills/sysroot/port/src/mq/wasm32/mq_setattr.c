/* See mq_open.c. mq_getattr is made of this. */
#include <mqueue.h>
#include "syscall.h"

int mq_setattr(mqd_t q, const struct mq_attr *restrict new, struct mq_attr *restrict old)
{
	long long set[8] = { 0 }, was[8];
	if (new) set[0] = new->mq_flags;
	int r = syscall(SYS_mq_getsetattr, q, new ? set : 0, old ? was : 0);
	if (!r && old)
		*old = (struct mq_attr){ .mq_flags = was[0], .mq_maxmsg = was[1], .mq_msgsize = was[2], .mq_curmsgs = was[3] };
	return r;
}
