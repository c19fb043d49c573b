/* The interface's clock_t has 64 bits. */
#include <sys/times.h>
#include "syscall.h"

clock_t times(struct tms *tms)
{
	long long wide[4];
	long long now = __syscall(SYS_times, wide);
	if (tms) *tms = (struct tms){ wide[0], wide[1], wide[2], wide[3] };
	return now;
}
