/* Calls the function of a thread whatever its type is.
 *
 * A call through a pointer traps where the function has another type. C programs of old declare such
 * functions without parameters, or as giving nothing back; elsewhere that works, since arguments are in
 * registers. What the function does not give is null. */
#include "pthread_impl.h"

#define IS(type, fn) __builtin_wasm_test_function_pointer_signature((type *)(fn))

typedef void *usual(void *);
typedef void *without_parameters(void);
typedef void without_result(void *);
typedef void with_neither(void);

__attribute__((__target__("gc")))
hidden void *__call_start(usual *fn, void *arg)
{
	if (IS(without_parameters, fn)) return ((without_parameters *)fn)();
	if (IS(without_result, fn)) {
		((without_result *)fn)(arg);
		return 0;
	}
	if (IS(with_neither, fn)) {
		((with_neither *)fn)();
		return 0;
	}
	return fn(arg);
}
