/* syscall() of a program. A variadic function could not tell an int from a long among its
 * arguments, and they differ in size here; so every argument is widened first. In C++ the
 * template does it, and leaves other functions of the name alone. */
#include <bits/syscall_call.h>

long __syscall_ret(unsigned long);

#ifdef __cplusplus
extern "C++" {
template<class A0 = int, class A1 = int, class A2 = int, class A3 = int, class A4 = int, class A5 = int>
inline __attribute__((__always_inline__))
long syscall(long n, A0 a = A0(), A1 b = A1(), A2 c = A2(), A3 d = A3(), A4 e = A4(), A5 f = A5())
{
	return __syscall_ret(__wali_call(n, (long)a, (long)b, (long)c, (long)d, (long)e, (long)f));
}
}
#else
#define syscall(...) __syscall_args(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define __syscall_args(n, a, b, c, d, e, f, ...) \
	__syscall_ret(__wali_call((n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))
#endif
