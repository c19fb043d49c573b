/* _longjmp under its own name; the compiler lowers the call of longjmp. */
#include <setjmp.h>

_Noreturn void _longjmp(jmp_buf env, int value)
{
	longjmp(env, value);
}
