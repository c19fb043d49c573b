/* Calls and callbacks by libffi. What it says is the same on other machines. */
#include <complex.h>
#include <ffi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct pair { int a; double b; };
struct one { struct { short x; } y; };

static double mixed(int a, double b, float c, long long d, signed char e, unsigned short f)
{
	printf("mixed(%d %g %g %lld %d %d)\n", a, b, c, d, e, f);
	return b + c;
}

static struct pair pairs(struct pair in, float f)
{
	in.a++;
	in.b *= f;
	return in;
}

static struct one ones(struct one in)
{
	in.y.x += 1000;
	return in;
}

static long double longest(long double x, int y) { return x * y; }
static _Complex double square(_Complex double z) { return z * z; }
static signed char narrow(int x) { return x; }

static int several(int n, ...)
{
	va_list list;
	double sum = 0;
	va_start(list, n);
	for (int i = 0; i < n; i++) sum += i & 1 ? va_arg(list, double) : va_arg(list, int);
	struct pair pair = va_arg(list, struct pair);
	struct one one = va_arg(list, struct one);
	long double last = va_arg(list, long double);
	va_end(list);
	printf("several: %g, %d %g, %d, %g\n", sum, pair.a, pair.b, one.y.x, (double)last);
	return sum;
}

static int no_more(int n, ...) { return 2 * n; }

static void (*volatile functions[])(void) = {
	(void (*)(void))mixed, (void (*)(void))pairs, (void (*)(void))ones, (void (*)(void))longest,
	(void (*)(void))square, (void (*)(void))several, (void (*)(void))narrow,
	(void (*)(void))no_more,
};

static void compare(ffi_cif *cif, void *result, void **values, void *user)
{
	*(ffi_sarg *)result = **(int **)values[0] - **(int **)values[1];
	++*(int *)user;
}

static void scale(ffi_cif *cif, void *result, void **values, void *user)
{
	struct pair *in = values[0];
	struct pair out = { in->a * *(int *)user, in->b * *(int *)user };
	*(struct pair *)result = out;
}

static struct pair apply(struct pair (*function)(struct pair), int times)
{
	struct pair pair = { 1, 0.5 };
	while (times--) pair = function(pair);
	return pair;
}

int main(void)
{
	ffi_type *members[] = { &ffi_type_sint, &ffi_type_double, 0 }, pair = { 0, 0, FFI_TYPE_STRUCT, members };
	ffi_type *inner[] = { &ffi_type_sshort, 0 }, in = { 0, 0, FFI_TYPE_STRUCT, inner };
	ffi_type *outer[] = { &in, 0 }, one = { 0, 0, FFI_TYPE_STRUCT, outer };
	ffi_cif cif;
	ffi_arg whole;
	int a = -3, three = 3, first = 1;
	double b = 2.5, d_result;
	float c = 1.25;
	long long d = 1LL << 40;
	signed char e = -7;
	unsigned short f = 65535;
	long double l = 1.5L, l_result;
	struct pair p = { 4, 5 }, p_result;
	struct one o = { { -5 } }, o_result[2] = { { { 7 } }, { { 8 } } };
	_Complex double z = 1 + 2 * I, z_result;

	ffi_type *of_mixed[] = { &ffi_type_sint, &ffi_type_double, &ffi_type_float, &ffi_type_sint64,
		&ffi_type_schar, &ffi_type_ushort };
	void *to_mixed[] = { &a, &b, &c, &d, &e, &f };
	printf("%d\n", ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 6, &ffi_type_double, of_mixed));
	ffi_call(&cif, functions[0], &d_result, to_mixed);
	printf("%g\n", d_result);

	ffi_type *of_pairs[] = { &pair, &ffi_type_float };
	void *to_pairs[] = { &p, &c };
	printf("%d\n", ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &pair, of_pairs));
	ffi_call(&cif, functions[1], &p_result, to_pairs);
	printf("%d %g, as it was: %d %g\n", p_result.a, p_result.b, p.a, p.b);

	ffi_type *of_ones[] = { &one };
	void *to_ones[] = { &o };
	printf("%d\n", ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &one, of_ones));
	ffi_call(&cif, functions[2], o_result, to_ones);
	printf("%d\n", o_result[0].y.x);

	ffi_type *of_longest[] = { &ffi_type_longdouble, &ffi_type_sint };
	void *to_longest[] = { &l, &a };
	ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &ffi_type_longdouble, of_longest);
	ffi_call(&cif, functions[3], &l_result, to_longest);
	printf("%Lg\n", l_result);

	ffi_type *of_square[] = { &ffi_type_complex_double };
	void *to_square[] = { &z };
	ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_complex_double, of_square);
	ffi_call(&cif, functions[4], &z_result, to_square);
	printf("%g %g\n", creal(z_result), cimag(z_result));

	ffi_type *of_several[] = { &ffi_type_sint, &ffi_type_sint, &ffi_type_double, &ffi_type_sint, &pair, &one,
		&ffi_type_longdouble };
	void *to_several[] = { &three, &first, &b, &a, &p, &o, &l };
	printf("%d\n", ffi_prep_cif_var(&cif, FFI_DEFAULT_ABI, 1, 7, &ffi_type_sint, of_several));
	ffi_call(&cif, functions[5], &whole, to_several);
	printf("%d\n", (int)whole);

	int wide = 0x1ff;
	ffi_type *of_narrow[] = { &ffi_type_sint };
	void *to_narrow[] = { &wide };
	ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_schar, of_narrow);
	ffi_call(&cif, functions[6], &whole, to_narrow);
	printf("%ld\n", (long)whole);

	ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_sint, of_narrow);
	ffi_call(&cif, functions[7], &whole, to_narrow);
	printf("%ld\n", (long)whole);

	int numbers[] = { 3, 1, 2, 9, -4 }, calls = 0, factor = 3;
	void *code, *other;
	ffi_type *of_compare[] = { &ffi_type_pointer, &ffi_type_pointer }, *of_scale[] = { &pair };
	ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
	ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &ffi_type_sint, of_compare);
	printf("%d\n", ffi_prep_closure_loc(closure, &cif, compare, &calls, code));
	qsort(numbers, 5, sizeof *numbers, (int (*)(const void *, const void *))code);
	for (int i = 0; i < 5; i++) printf("%d ", numbers[i]);
	printf("called: %d\n", calls > 4);
	int *x = &numbers[4], *y = &numbers[0];
	void *to_compare[] = { &x, &y };
	ffi_call(&cif, (void (*)(void))code, &whole, to_compare);
	printf("%d\n", (int)whole);

	ffi_cif of_pair;
	ffi_closure *second = ffi_closure_alloc(sizeof *second, &other);
	ffi_prep_cif(&of_pair, FFI_DEFAULT_ABI, 1, &pair, of_scale);
	printf("%d\n", ffi_prep_closure_loc(second, &of_pair, scale, &factor, other));
	p_result = apply((struct pair (*)(struct pair))other, 3);
	printf("%d %g\n", p_result.a, p_result.b);
	ffi_closure_free(second);
	ffi_closure_free(closure);
	return 0;
}
