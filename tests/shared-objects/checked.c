/* Calls that cannot be, and callbacks without end: errors, and never a trap. */
#include <ffi_checked.h>
#include <stdio.h>
#include <stdlib.h>

static double one(int a) { return a * 2; }
static void nothing(void) { puts("called"); }
static void (*volatile functions[])(void) = { (void (*)(void))one, nothing };

static void compare(ffi_cif *cif, void *result, void **values, void *user) { *(ffi_sarg *)result = 0; }
static void half(ffi_cif *cif, void *result, void **values, void *user) { *(double *)result = *(float *)values[0] / 2; }

static void tried(ffi_cif *cif, void (*function)(void), void **values, int shown)
{
	double result = 0;
	char text[200];
	int status = ffi_call_checked(cif, function, &result, values);
	printf("%d %g\n", status, result);
	ffi_explain(cif, function, text, sizeof text);
	if (shown) puts(text);
}

int main(int count, char **arguments)
{
	ffi_cif cif, pointers, floats;
	ffi_type *of_one[] = { &ffi_type_sint }, *of_compare[] = { &ffi_type_pointer, &ffi_type_pointer };
	ffi_type *of_half[] = { &ffi_type_float };
	int a = 21, n = 0, status = FFI_OK;
	float f = 5;
	void *to_one[] = { &a }, *to_half[] = { &f }, *null = 0, *to_compare[] = { &null, &null };
	ffi_closure *closures[100];
	void *code, *copy;
	char text[200];

	ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_double, of_one);
	tried(&cif, functions[0], to_one, 0);
	tried(&cif, functions[1], to_one, 0);
	ffi_explain(&cif, functions[1], text, sizeof text);
	puts(text + sizeof "the function at 0x");
	ffi_explain(&cif, functions[1], text, 8);
	puts(text);
	tried(&cif, 0, to_one, 0);
	tried(&cif, (void (*)(void))99999999, to_one, 1);
	tried(&cif, (void (*)(void))-1, to_one, 1);

	ffi_prep_cif(&pointers, FFI_DEFAULT_ABI, 2, &ffi_type_sint, of_compare);
	qsort(&a, 1, 1, (int (*)(const void *, const void *))functions[0]);
	while (n < 100 && status == FFI_OK) {
		closures[n] = ffi_closure_alloc(sizeof **closures, &code);
		status = ffi_prep_closure_loc(closures[n++], &pointers, compare, 0, code);
	}
	printf("all in use: %d after %d\n", status, n);
	ffi_closure_free(closures[0]);
	status = ffi_prep_closure_loc(closures[n - 1], &pointers, compare, 0, code);
	printf("again: %d, known: %d\n", status, ffi_closure_code(closures[n - 1]) == code);
	printf("called: %d\n", ffi_call_checked(&pointers, (void (*)(void))code, 0, to_compare));

	/* No pointer is ever called as this: only libffi can call it. */
	ffi_prep_cif(&floats, FFI_DEFAULT_ABI, 1, &ffi_type_double, of_half);
	ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
	copy = code;
	printf("prepared: %d\n", ffi_prep_closure_loc(closure, &floats, half, 0, code));
	tried(&floats, (void (*)(void))code, to_half, 0);
	tried(&cif, (void (*)(void))code, to_one, 0);
	ffi_closure_free(closure);
	tried(&floats, (void (*)(void))copy, to_half, 0);
	printf("not ours: %d\n", ffi_prep_closure_loc((ffi_closure *)&cif, &floats, half, 0, &cif));
	printf("too short: %d\n", ffi_closure_alloc(1, &code) != 0);
	printf("too long: %d\n", ffi_closure_alloc(-1, &code) != 0);
	fflush(stdout);
	if (count > 1) ffi_call(&cif, functions[1], 0, to_one);
	return 0;
}
