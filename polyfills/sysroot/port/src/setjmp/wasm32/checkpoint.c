/* Called in every block of a function that calls setjmp: vkcc has the compiler put the calls there,
 * by its means of measuring coverage, whose name this is.
 *
 * Signals that arrive in a computation are handled at the safepoints that the vkernel's compiler puts
 * into it, which looks for them in loops. A handler that leaves by siglongjmp throws, and what is
 * thrown in the very function that called setjmp is caught there only if it comes out of a call that
 * the C compiler knew of. So the vkernel makes of these calls the safepoints of such a function. */
__attribute__((__import_module__("wali"), __import_name__("__signal_checkpoint")))
void __signal_checkpoint(void);

void __sanitizer_cov_trace_pc(void)
{
	__signal_checkpoint();
}
