#include <errno.h>
#include "syscall.h"

long __syscall_error(long r)
{
	errno = -r;
	return -1;
}

/* For programs that call syscall (bits/syscall_long.h). */
#undef __syscall_ret
long __syscall_ret(unsigned long long r)
{
	return __syscall_result(r);
}
