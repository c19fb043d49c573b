/* syscall() of a program. A variadic function could not tell an int from a 64-bit number among its
 * arguments; so every argument is widened first. In C++ the template does it, and leaves other
 * functions of the name alone.
 *
 * Times that the vkernel reads are two 64-bit words, and a struct timespec of the program has padding
 * after its nanoseconds, with anything in it: they are copied first. What cannot be
 * read is left for the vkernel to refuse: that is what the signal mask's call finds first, before it
 * finds that its own first argument means nothing. */
#include <bits/syscall_call.h>

long __syscall_ret(unsigned long long);

struct __padded_time { long long s; long ns; int pad; };

/* Copies count times to copy, and gives its address in place of the program's. */
static __inline __attribute__((__always_inline__, __unused__))
long long __widen_times(long long address, int count, long long *copy)
{
	const struct __padded_time *times = (const struct __padded_time *)(unsigned long)address;
	if (!times) return 0;
	for (int i = 0; i < count * 2; i++)
		if (__wali_rt_sigprocmask(-1, (unsigned)address + 8 * i, 0, 8) == -14 /* EFAULT */) return address;
	for (int i = 0; i < count; i++) {
		copy[2*i] = times[i].s;
		copy[2*i+1] = times[i].ns;
	}
	return (unsigned long)copy;
}

static __inline __attribute__((__always_inline__, __unused__))
long long __program_call(long n, long long a, long long b, long long c, long long d, long long e, long long f)
{
	long long copy[4];
	switch (n) {
	case 35: /* nanosleep */
		a = __widen_times(a, 1, copy);
		break;
	case 227: /* clock_settime */
		b = __widen_times(b, 1, copy);
		break;
	case 128: /* rt_sigtimedwait */
	case 230: /* clock_nanosleep */
	case 271: /* ppoll */
		c = __widen_times(c, 1, copy);
		break;
	case 223: /* timer_settime */
	case 280: /* utimensat */
	case 286: /* timerfd_settime */
		c = __widen_times(c, 2, copy);
		break;
	case 220: /* semtimedop */
		d = __widen_times(d, 1, copy);
		break;
	case 202: /* futex, where its operation waits (0, 6, 9, 11, 13) */
		if (0x2a41 >> (b & 127) & 1) d = __widen_times(d, 1, copy);
		break;
	case 242: /* mq_timedsend */
	case 243: /* mq_timedreceive */
	case 270: /* pselect6 */
	case 299: /* recvmmsg */
		e = __widen_times(e, 1, copy);
		break;
	}
	return __wali_call(n, a, b, c, d, e, f);
}

#ifdef __cplusplus
extern "C++" {
template<class A0 = int, class A1 = int, class A2 = int, class A3 = int, class A4 = int, class A5 = int>
inline __attribute__((__always_inline__))
long syscall(long n, A0 a = A0(), A1 b = A1(), A2 c = A2(), A3 d = A3(), A4 e = A4(), A5 f = A5())
{
	return __syscall_ret(__program_call(n, (long long)a, (long long)b, (long long)c, (long long)d, (long long)e, (long long)f));
}
}
#else
#define syscall(...) __syscall_args(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define __syscall_args(n, a, b, c, d, e, f, ...) \
	__syscall_ret(__program_call((n), (long long)(a), (long long)(b), (long long)(c), (long long)(d), (long long)(e), (long long)(f)))
#endif
