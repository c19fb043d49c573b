/* What the compiler's lowering of setjmp and longjmp calls (LLVM, WebAssemblyLowerEmscriptenEHSjLj).
 *
 * A function that calls setjmp gets a catch around every call after it; longjmp throws. A jmp_buf
 * says which invocation of which function it belongs to, by an address in that function's frame,
 * and which of its calls of setjmp filled it, by a label that is never 0. */
#include <setjmp.h>
#include <stdint.h>

struct state {
	void *invocation;
	uint32_t label;
	/* What longjmp throws a pointer to; the catch reads both words. */
	struct { void *env; int value; } thrown;
};

_Static_assert(sizeof(struct state) <= sizeof(__jmp_buf), "jmp_buf is too small");

void __wasm_setjmp(void *env, uint32_t label, void *invocation)
{
	struct state *s = env;
	s->invocation = invocation;
	s->label = label;
}

uint32_t __wasm_setjmp_test(void *env, void *invocation)
{
	struct state *s = env;
	return s->invocation == invocation ? s->label : 0;
}

_Noreturn void __wasm_longjmp(void *env, int value)
{
	struct state *s = env;
	s->thrown.env = env;
	s->thrown.value = value ? value : 1;
	/* Tag 1 is the compiler's __c_longjmp. */
	__builtin_wasm_throw(1, &s->thrown);
}
