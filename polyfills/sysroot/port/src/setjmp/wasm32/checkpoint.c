/* Called in every block of a function that calls setjmp: vkcc has the compiler put the calls there,
 * by its means of measuring coverage, whose name this is.
 *
 * Signals that arrive in a computation are handled at the next check of compiled code. A handler
 * that leaves by siglongjmp throws, and what is thrown at a check of the very function that called
 * setjmp would not be caught there: only its calls are. So the vkernel lets the check in this
 * function, at its beginning, be the one where the handler is called. */
void __sanitizer_cov_trace_pc(void)
{
}
