/* System calls as imports: bits/syscall_call.h is generated and folds to one import wherever the
 * number is a constant, so that a program imports what it uses and nothing more. */
#include <bits/syscall_call.h>

#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

static __inline __attribute__((__always_inline__)) long __syscall0(long n)
{
	return __wali_call(n, 0, 0, 0, 0, 0, 0);
}

static __inline __attribute__((__always_inline__)) long __syscall1(long n, long a)
{
	return __wali_call(n, a, 0, 0, 0, 0, 0);
}

static __inline __attribute__((__always_inline__)) long __syscall2(long n, long a, long b)
{
	return __wali_call(n, a, b, 0, 0, 0, 0);
}

static __inline __attribute__((__always_inline__)) long __syscall3(long n, long a, long b, long c)
{
	return __wali_call(n, a, b, c, 0, 0, 0);
}

static __inline __attribute__((__always_inline__)) long __syscall4(long n, long a, long b, long c, long d)
{
	return __wali_call(n, a, b, c, d, 0, 0);
}

static __inline __attribute__((__always_inline__)) long __syscall5(long n, long a, long b, long c, long d, long e)
{
	return __wali_call(n, a, b, c, d, e, 0);
}

static __inline __attribute__((__always_inline__)) long __syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	return __wali_call(n, a, b, c, d, e, f);
}

/* Calls are short, and most succeed: the result is looked at in place. */
hidden long __syscall_error(long);

static __inline __attribute__((__always_inline__)) long __syscall_result(unsigned long r)
{
	return __builtin_expect(r > -4096UL, 0) ? __syscall_error(r) : (long)r;
}
#define __syscall_ret __syscall_result

/* Cancellation points are inlined for the same reason; thread/wasm32/pthread_cancel.c says how
 * they work, and __syscall_cp.c there holds the hooks of a program that cancels nothing. */
#define __SYSCALL_CP_INLINE
extern hidden volatile int __cp_wanted;
hidden long __cp_enter(long), __cp_interrupted(long);

static __inline __attribute__((__always_inline__)) long __syscall_cp(long n, long a, long b, long c, long d, long e, long f)
{
	long r;
	if (__builtin_expect(__cp_wanted, 0) && (r = __cp_enter(n))) return r;
	r = __wali_call(n, a, b, c, d, e, f);
	return r == -4 /* EINTR */ ? __cp_interrupted(n) : r;
}

#define IPC_64 0
