/* sigsetjmp is a macro (setjmp must be called in the function that is returned to) which calls
 * this to keep the mask; siglongjmp restores it. */
#include <setjmp.h>
#include <signal.h>
#include "syscall.h"

void __sigsetjmp_save(sigjmp_buf env, int save)
{
	env->__fl = !!save;
	if (save) __syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, env->__ss, _NSIG/8);
}
