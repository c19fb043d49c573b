/* Calls and callbacks of libffi, for WebAssembly.
 *
 * A call through a pointer names the function's type, and no code can be made when the program runs. So the
 * compiler driver looks at a program that has this object in it: the functions that pointers can name are those
 * in its table, whose types are known when it is linked. For each type it makes a function that calls
 * (__ffi_invoke), and for each type that the program itself calls through pointers a pool of functions that
 * pass on what they are called with (__ffi_pools). polyfills/vkcc/src/calls.rs writes them.
 *
 * Invariants: nothing is called before its type has been tested. A pool's function belongs to one closure at a
 * time. A closure whose type the program never calls through a pointer needs no function: only ffi_call can
 * call it, which knows closures by their address. */
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ffi.h>
#include <ffi_common.h>
#include <ffi_checked.h>

/* A parameter or a result of WebAssembly's. */
union slot {
	int32_t i;
	int64_t l;
	float f;
	double d;
};

/* The functions of one type that can be closures: the pointers, and whose each is. */
struct pool {
	void *const *functions;
	ffi_closure **closures;
	unsigned count;
};

/* The compiler driver's; a program that it has not seen has none. */
extern const unsigned __ffi_type_count __attribute__((weak, visibility("hidden")));
extern const char *const __ffi_types[] __attribute__((weak, visibility("hidden")));
extern const struct pool __ffi_pools[] __attribute__((weak, visibility("hidden")));
int __ffi_invoke(int, void *, union slot *) __attribute__((weak, visibility("hidden")));
int __ffi_is(int, void *) __attribute__((weak, visibility("hidden")));

/* Called by the functions of pools. */
void __ffi_enter(ffi_closure *const *, union slot *) __attribute__((visibility("hidden")));

/* As many parameters a call can have. A function of WebAssembly has at most 1000; of a closure that is none only
 * this file knows. */
#define MOST_PARAMETERS 4000

/* How C passes a value. */
enum passing { NOT, I32, I64, F32, F64, TWO_I64, POINTER };

/* A structure with one member is passed as the member. */
static const ffi_type *unwrapped(const ffi_type *type)
{
	while (type->type == FFI_TYPE_STRUCT && type->elements[0] && !type->elements[1]
		&& type->elements[0]->size == type->size)
		type = type->elements[0];
	return type;
}

static enum passing passing(const ffi_type *type)
{
	switch (unwrapped(type)->type) {
	case FFI_TYPE_VOID: return NOT;
	case FFI_TYPE_UINT64:
	case FFI_TYPE_SINT64: return I64;
	case FFI_TYPE_FLOAT: return F32;
	case FFI_TYPE_DOUBLE: return F64;
	case FFI_TYPE_LONGDOUBLE: return TWO_I64;
	case FFI_TYPE_STRUCT:
	case FFI_TYPE_COMPLEX: return POINTER;
	default: return I32;
	}
}

/* A result of these is written to where a first parameter points. */
static int is_written(enum passing result)
{
	return result == TWO_I64 || result == POINTER;
}

/* The type of a function as a text: a letter for the result, and one for each parameter. */
static int signature(const ffi_cif *cif, char *text, size_t size)
{
	static const char letters[] = { [NOT] = 'v', [I32] = 'i', [I64] = 'I', [F32] = 'f', [F64] = 'F' };
	size_t at = 0;
	enum passing result = passing(cif->rtype);
	if (is_written(result)) {
		text[at++] = 'v';
		text[at++] = 'i';
	} else {
		text[at++] = letters[result];
	}
	for (unsigned i = 0; i < cif->fixed; i++) {
		enum passing how = passing(cif->arg_types[i]);
		if (at + 4 > size) return 0;
		if (how == TWO_I64) text[at++] = 'I';
		if (how != NOT) text[at++] = how == TWO_I64 ? 'I' : how == POINTER ? 'i' : letters[how];
	}
	if (cif->variadic) text[at++] = 'i';
	text[at] = 0;
	return 1;
}

static int find_type(const char *text)
{
	int from = 0, to = &__ffi_type_count ? __ffi_type_count : 0;
	while (from < to) {
		int middle = from + (to - from) / 2, order = strcmp(text, __ffi_types[middle]);
		if (!order) return middle;
		if (order < 0) to = middle;
		else from = middle + 1;
	}
	return -1;
}

static ffi_status prepare(ffi_cif *cif, unsigned fixed, int variadic)
{
	char text[MOST_PARAMETERS + 8];
	cif->fixed = fixed;
	cif->variadic = variadic;
	cif->bytes = 0;
	cif->type = signature(cif, text, sizeof text) ? find_type(text) : -1;
	return FFI_OK;
}

ffi_status ffi_prep_cif_machdep(ffi_cif *cif)
{
	return prepare(cif, cif->nargs, 0);
}

ffi_status ffi_prep_cif_machdep_var(ffi_cif *cif, unsigned fixed, unsigned all)
{
	return prepare(cif, fixed, 1);
}

/* How much the values behind `...` take, one after the other, each where its alignment has it. */
static size_t place(const ffi_type *type, size_t *end)
{
	const ffi_type *passed = unwrapped(type);
	int by_pointer = passing(type) == POINTER;
	size_t size = by_pointer ? sizeof(void *) : passed->size;
	size_t alignment = by_pointer ? sizeof(void *) : passed->alignment;
	if (alignment < sizeof(int)) alignment = sizeof(int);
	if (size < sizeof(int)) size = sizeof(int);
	size_t at = FFI_ALIGN(*end, alignment);
	*end = at + size;
	return at;
}

static int32_t widened(const ffi_type *type, const void *value)
{
	switch (type->type) {
	case FFI_TYPE_UINT8: return *(const uint8_t *)value;
	case FFI_TYPE_SINT8: return *(const int8_t *)value;
	case FFI_TYPE_UINT16: return *(const uint16_t *)value;
	case FFI_TYPE_SINT16: return *(const int16_t *)value;
	default: return *(const int32_t *)value;
	}
}

/* Puts a value where WebAssembly's parameters are; how many it takes. */
static unsigned put(union slot *slot, const ffi_type *type, void *value)
{
	switch (passing(type)) {
	case NOT: return 0;
	case I32: slot->i = widened(unwrapped(type), value); return 1;
	case POINTER: slot->i = (intptr_t)value; return 1;
	case TWO_I64: memcpy(slot, value, 16); return 2;
	case F32: memcpy(&slot->f, value, sizeof slot->f); return 1;
	case I64:
	case F64: memcpy(slot, value, 8); return 1;
	}
	return 0;
}

/* Puts a result where libffi's callers expect it: whole numbers as wide as ffi_arg, structures as they are. */
static void give(const ffi_type *type, const union slot *slot, void *result)
{
	enum passing how = passing(type);
	if (how == NOT || !result) return;
	if (how != I32 || type->type == FFI_TYPE_STRUCT) {
		memcpy(result, slot, type->size);
		return;
	}
	int32_t value = widened(type, slot);
	memcpy(result, &value, sizeof value);
}

/* Our side of a closure. */
struct cell {
	struct cell *next, **before;
	void **told; /* where ffi_closure_alloc put the address */
	ffi_closure **slot; /* in its pool, if it has a place there */
	int prepared;
	ffi_closure closure; /* last: the caller's may be longer */
};

/* All closures. */
static struct cell *cells;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }
static void watch_forks(void) { pthread_atfork(before_fork, after_fork, after_fork); }

/* What stands for the function until it is known, and always if there need be none: an address that nothing
 * else has. */
static void *stand_in(struct cell *cell)
{
	return &cell->closure.user_data;
}

static struct cell *cell_of(const void *closure)
{
	struct cell *cell = cells;
	while (cell && &cell->closure != closure) cell = cell->next;
	return cell;
}

static size_t table_size(void)
{
	size_t size;
	__asm__("table.size __indirect_function_table\n\tlocal.set %0" : "=r"(size));
	return size;
}

/* The closure that a pointer stands for which is no function's, if it is of the call's type. */
static ffi_closure *closure_at(void *pointer, const ffi_cif *cif)
{
	char asked[MOST_PARAMETERS + 8], has[MOST_PARAMETERS + 8];
	ffi_closure *found = 0;
	pthread_mutex_lock(&lock);
	for (struct cell *cell = cells; cell; cell = cell->next) {
		if (stand_in(cell) == pointer && cell->prepared) found = &cell->closure;
	}
	pthread_mutex_unlock(&lock);
	if (!found || !signature(cif, asked, sizeof asked) || !signature(found->cif, has, sizeof has)) return 0;
	return strcmp(asked, has) ? 0 : found;
}

/* Calls a function whose parameters are right and whose result is not: elsewhere a result that nobody wants is
 * left in its register, and one that is not there is whatever the register held; here it is 0. */
static int invoke_for_another_result(const ffi_cif *cif, void *pointer, union slot *slots)
{
	char text[MOST_PARAMETERS + 8];
	if (is_written(passing(cif->rtype)) || !signature(cif, text, sizeof text)) return 0;
	for (const char *other = *text == 'v' ? "iIfF" : *text == 'i' ? "vI" : ""; *other; other++) {
		*text = *other;
		int type = find_type(text);
		if (type < 0 || !__ffi_invoke(type, pointer, slots)) continue;
		if (*other == 'v') slots[0].l = 0;
		return 1;
	}
	return 0;
}

/* Calls a function with `...` of which the caller does not know it, because it has nothing to give for that: elsewhere
 * such a call is like any other. `count` slots are filled. */
static int invoke_without_rest(const ffi_cif *cif, void *pointer, union slot *slots, unsigned count)
{
	char text[MOST_PARAMETERS + 8];
	if (cif->variadic || !signature(cif, text, sizeof text - 1)) return 0;
	strcat(text, "i");
	int type = find_type(text);
	slots[count].i = 0;
	return type >= 0 && __ffi_invoke(type, pointer, slots);
}

int ffi_call_checked(ffi_cif *cif, void (*function)(void), void *result, void **values)
{
	void *pointer = (void *)function;
	ffi_closure *closure = 0;
	if ((size_t)pointer >= table_size()) {
		closure = closure_at(pointer, cif);
		if (!closure) return FFI_BAD_FUNCTION;
	}

	enum passing how = passing(cif->rtype);
	union slot *slots = alloca((2 * cif->fixed + 3) * sizeof *slots);
	unsigned at = 0;
	if (is_written(how)) slots[at++].i = (intptr_t)(result ? result : alloca(FFI_ALIGN(cif->rtype->size, 16)));
	void **given = alloca((cif->nargs + 1) * sizeof *given);
	for (unsigned i = 0; i < cif->nargs; i++) {
		size_t size = cif->arg_types[i]->size;
		/* The function may write to its own copy. */
		int copied = passing(cif->arg_types[i]) == POINTER;
		given[i] = copied ? memcpy(alloca(FFI_ALIGN(size, 16)), values[i], size) : values[i];
	}
	for (unsigned i = 0; i < cif->fixed; i++) at += put(&slots[at], cif->arg_types[i], given[i]);
	if (cif->variadic) {
		size_t end = 0;
		for (unsigned i = cif->fixed; i < cif->nargs; i++) place(cif->arg_types[i], &end);
		char *rest = end ? alloca(FFI_ALIGN(end, 16)) : 0;
		end = 0;
		for (unsigned i = cif->fixed; i < cif->nargs; i++) {
			union slot value[2];
			char *to = rest + place(cif->arg_types[i], &end);
			put(value, cif->arg_types[i], given[i]);
			memcpy(to, value, rest + end - to);
		}
		slots[at++].i = (intptr_t)rest;
	}
	if (closure) __ffi_enter(&closure, slots);
	else if ((cif->type < 0 || !__ffi_invoke(cif->type, pointer, slots))
		&& !invoke_for_another_result(cif, pointer, slots)
		&& !invoke_without_rest(cif, pointer, slots, at)) return FFI_BAD_FUNCTION;
	if (!is_written(how)) give(cif->rtype, slots, result);
	return FFI_OK;
}

void ffi_call(ffi_cif *cif, void (*function)(void), void *result, void **values)
{
	char text[512];
	if (ffi_call_checked(cif, function, result, values) == FFI_OK) return;
	ffi_explain(cif, function, text, sizeof text);
	fprintf(stderr, "libffi: %s\n", text);
	abort();
}

/* A type in words. */
static void words(const char *signature, char *text, size_t size)
{
	static const char *const names[128] = { ['i'] = "i32", ['I'] = "i64", ['f'] = "f32", ['F'] = "f64", ['v'] = "nothing" };
	size_t at = snprintf(text, size, "(");
	for (const char *c = signature + 1; *c && at < size; c++)
		at += snprintf(text + at, size - at, "%s%s", c == signature + 1 ? "" : ", ", names[(unsigned char)*c]);
	if (at < size) snprintf(text + at, size - at, ") -> %s", names[(unsigned char)*signature]);
}

void ffi_explain(ffi_cif *cif, void (*function)(void), char *text, size_t size)
{
	char called[MOST_PARAMETERS + 8], as[200], is[200];
	void *pointer = (void *)function;
	if (!signature(cif, called, sizeof called)) {
		snprintf(text, size, "no function has so many parameters");
		return;
	}
	words(called, as, sizeof as);
	if (!&__ffi_type_count) {
		snprintf(text, size, "the program was not linked for calls by libffi");
		return;
	}
	if ((size_t)pointer < table_size()) for (unsigned type = 0; type < __ffi_type_count; type++) {
		if (!__ffi_is(type, pointer)) continue;
		words(__ffi_types[type], is, sizeof is);
		snprintf(text, size, "the function at %p is called as %s, but it is %s", pointer, as, is);
		return;
	}
	snprintf(text, size, "there is no function at %p, which is called as %s", pointer, as);
}

void *ffi_closure_alloc(size_t size, void **code)
{
	pthread_once(&once, watch_forks);
	if (!code || size < sizeof(ffi_closure) || size > SIZE_MAX - sizeof(struct cell)) return 0;
	struct cell *cell = calloc(1, offsetof(struct cell, closure) + size);
	if (!cell) return 0;
	cell->told = code;
	*code = stand_in(cell);
	pthread_mutex_lock(&lock);
	cell->next = cells;
	cell->before = &cells;
	if (cells) cells->before = &cell->next;
	cells = cell;
	pthread_mutex_unlock(&lock);
	return &cell->closure;
}

/* Gives a closure's place in a pool back. */
static void leave(struct cell *cell)
{
	if (cell->slot) __atomic_store_n(cell->slot, 0, __ATOMIC_SEQ_CST);
	cell->slot = 0;
}

void ffi_closure_free(void *closure)
{
	pthread_mutex_lock(&lock);
	struct cell *cell = cell_of(closure);
	if (cell) {
		leave(cell);
		*cell->before = cell->next;
		if (cell->next) cell->next->before = cell->before;
	}
	pthread_mutex_unlock(&lock);
	free(cell);
}

void *ffi_closure_code(void *closure)
{
	return ((ffi_closure *)closure)->ftramp;
}

/* A function of the type for the closure, if any must be; 0 if all are in use. */
static int enter_pool(struct cell *cell, int type)
{
	cell->closure.ftramp = stand_in(cell);
	if (type < 0 || !__ffi_pools[type].count) return 1;
	const struct pool *pool = &__ffi_pools[type];
	for (unsigned i = 0; i < pool->count; i++) {
		if (pool->closures[i]) continue;
		cell->slot = &pool->closures[i];
		__atomic_store_n(cell->slot, &cell->closure, __ATOMIC_SEQ_CST);
		cell->closure.ftramp = pool->functions[i];
		return 1;
	}
	return 0;
}

ffi_status ffi_prep_closure_loc(ffi_closure *closure, ffi_cif *cif,
	void (*function)(ffi_cif *, void *, void **, void *), void *user_data, void *code)
{
	if (cif->abi != FFI_WASM32) return FFI_BAD_ABI;
	ffi_status status = FFI_OK;
	pthread_mutex_lock(&lock);
	struct cell *cell = cell_of(closure);
	if (!cell) {
		status = FFI_BAD_ABI;
	} else {
		leave(cell);
		void *before = cell->prepared ? closure->ftramp : stand_in(cell);
		closure->cif = cif;
		closure->fun = function;
		closure->user_data = user_data;
		cell->prepared = enter_pool(cell, cif->type);
		if (!cell->prepared) status = (ffi_status)FFI_NO_CLOSURE;
		/* Only now is it known what the function is. */
		if (*cell->told == before) *cell->told = closure->ftramp;
	}
	pthread_mutex_unlock(&lock);
	return status;
}

void __ffi_enter(ffi_closure *const *from, union slot *slots)
{
	const ffi_closure *closure = __atomic_load_n(from, __ATOMIC_SEQ_CST);
	if (!closure) {
		fputs("libffi: a callback is called that has been freed\n", stderr);
		abort();
	}
	ffi_cif *cif = closure->cif;
	void **values = alloca((cif->nargs + 1) * sizeof *values);
	union slot result[2] __attribute__((aligned(16))) = { { .l = 0 }, { .l = 0 } };
	enum passing how = passing(cif->rtype);
	unsigned at = is_written(how);
	void *to = at ? (void *)(intptr_t)slots[0].i : result;
	for (unsigned i = 0; i < cif->fixed; i++) {
		enum passing how = passing(cif->arg_types[i]);
		values[i] = how == POINTER ? (void *)(intptr_t)slots[at].i : &slots[at];
		at += how == NOT ? 0 : how == TWO_I64 ? 2 : 1;
	}
	if (cif->variadic) {
		char *rest = (char *)(intptr_t)slots[at].i;
		size_t end = 0;
		for (unsigned i = cif->fixed; i < cif->nargs; i++) {
			char *value = rest + place(cif->arg_types[i], &end);
			values[i] = passing(cif->arg_types[i]) == POINTER ? *(void **)value : value;
		}
	}
	closure->fun(cif, to, values, closure->user_data);
	switch (is_written(how) ? NOT : how) {
	case I32: slots[0].i = widened(unwrapped(cif->rtype), result); break;
	case NOT: break;
	default: slots[0] = result[0]; break;
	}
}
