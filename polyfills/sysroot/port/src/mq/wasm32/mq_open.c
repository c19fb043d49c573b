/* struct mq_attr consists of longs, which have 64 bits in the interface. */
#include <mqueue.h>
#include <fcntl.h>
#include <stdarg.h>
#include "syscall.h"

mqd_t mq_open(const char *name, int flags, ...)
{
	mode_t mode = 0;
	long long wide[8] = { 0 }, *attributes = 0;
	if (*name == '/') name++;
	if (flags & O_CREAT) {
		va_list ap;
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		const struct mq_attr *given = va_arg(ap, const struct mq_attr *);
		va_end(ap);
		if (given) {
			wide[0] = given->mq_flags;
			wide[1] = given->mq_maxmsg;
			wide[2] = given->mq_msgsize;
			wide[3] = given->mq_curmsgs;
			attributes = wide;
		}
	}
	return syscall(SYS_mq_open, name, flags, mode, attributes);
}
