/* System calls as imports: bits/syscall_call.h is generated and folds to one import wherever the
 * number is a constant, so that a program imports what it uses and nothing more. */
#include <bits/syscall_call.h>

#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

/* The arguments of a call, widened by their own types: what is signed stays so, and a pointer gets an
 * upper half of zeros. The imports say which of them are 64 bits wide. */
#define __scc(x) ((long long)(x))
typedef long long syscall_arg_t;

static __inline __attribute__((__always_inline__)) long long __syscall0(long n)
{
	return __wali_call(n, 0, 0, 0, 0, 0, 0);
}

static __inline __attribute__((__always_inline__)) long long __syscall1(long n, long long a)
{
	return __wali_call(n, a, 0, 0, 0, 0, 0);
}

static __inline __attribute__((__always_inline__)) long long __syscall2(long n, long long a, long long b)
{
	return __wali_call(n, a, b, 0, 0, 0, 0);
}

static __inline __attribute__((__always_inline__)) long long __syscall3(long n, long long a, long long b, long long c)
{
	return __wali_call(n, a, b, c, 0, 0, 0);
}

static __inline __attribute__((__always_inline__)) long long __syscall4(long n, long long a, long long b, long long c, long long d)
{
	return __wali_call(n, a, b, c, d, 0, 0);
}

static __inline __attribute__((__always_inline__)) long long __syscall5(long n, long long a, long long b, long long c, long long d, long long e)
{
	return __wali_call(n, a, b, c, d, e, 0);
}

static __inline __attribute__((__always_inline__)) long long __syscall6(long n, long long a, long long b, long long c, long long d, long long e, long long f)
{
	return __wali_call(n, a, b, c, d, e, f);
}

/* Calls are short, and most succeed: the result is looked at in place. */
hidden long __syscall_error(long);

static __inline __attribute__((__always_inline__)) long long __syscall_result(unsigned long long r)
{
	return __builtin_expect(r > -4096ULL, 0) ? __syscall_error(r) : (long long)r;
}
#define __syscall_ret __syscall_result

/* Cancellation points are inlined for the same reason; thread/wasm32/pthread_cancel.c says how
 * they work, and __syscall_cp.c there holds the hooks of a program that cancels nothing. */
#define __SYSCALL_CP_INLINE
extern hidden volatile int __cp_wanted;
hidden long __cp_enter(long), __cp_interrupted(long);

static __inline __attribute__((__always_inline__)) long long __syscall_cp(long n, long long a, long long b, long long c, long long d, long long e, long long f)
{
	long long r;
	if (__builtin_expect(__cp_wanted, 0) && (r = __cp_enter(n))) return r;
	r = __wali_call(n, a, b, c, d, e, f);
	return r == -4 /* EINTR */ ? __cp_interrupted(n) : r;
}

#define IPC_64 0

/* Times have 64 bits under the old numbers, and what is passed is two 64-bit words: a struct timespec of the
 * program has padding after its nanoseconds. */
#undef SYS_futimesat
#define SYS_clock_gettime64 SYS_clock_gettime
#define SYS_clock_settime64 SYS_clock_settime
#define SYS_clock_adjtime64 SYS_clock_adjtime
#define SYS_clock_nanosleep_time64 SYS_clock_nanosleep
#define SYS_timer_gettime64 SYS_timer_gettime
#define SYS_timer_settime64 SYS_timer_settime
#define SYS_timerfd_gettime64 SYS_timerfd_gettime
#define SYS_timerfd_settime64 SYS_timerfd_settime
#define SYS_utimensat_time64 SYS_utimensat
#define SYS_pselect6_time64 SYS_pselect6
#define SYS_ppoll_time64 SYS_ppoll
#define SYS_recvmmsg_time64 SYS_recvmmsg
#define SYS_mq_timedsend_time64 SYS_mq_timedsend
#define SYS_mq_timedreceive_time64 SYS_mq_timedreceive
#define SYS_semtimedop_time64 SYS_semtimedop
#define SYS_rt_sigtimedwait_time64 SYS_rt_sigtimedwait
#define SYS_futex_time64 SYS_futex
#define SYS_sched_rr_get_interval_time64 SYS_sched_rr_get_interval
#define SYS_getrusage_time64 SYS_getrusage
#define SYS_wait4_time64 SYS_wait4
