/* Threads make, call and free callbacks of one type, and open a library, while others fork. */
#include <dlfcn.h>
#include <ffi_checked.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 2000 };

static int wrong, failed;
static ffi_cif cif;

static void compare(ffi_cif *cif, void *result, void **values, void *user)
{
	int sign = *(int *)user;
	*(ffi_sarg *)result = sign * (**(int **)values[0] - **(int **)values[1]);
}

static int one_round(int sign)
{
	int numbers[] = { 5, 1, 4 };
	void *code;
	ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
	if (!closure || ffi_prep_closure_loc(closure, &cif, compare, &sign, code) != FFI_OK) return 1;
	qsort(numbers, 3, sizeof *numbers, (int (*)(const void *, const void *))code);
	ffi_closure_free(closure);
	return sign > 0 ? numbers[0] != 1 || numbers[2] != 5 : numbers[0] != 5 || numbers[2] != 1;
}

static void *crowd(void *which)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (one_round((long)which & 1 ? 1 : -1)) __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
		if (!dlopen("libc.so.6", RTLD_NOW) || dlopen("absent.so", RTLD_NOW) || !dlerror())
			__atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
	}
	return 0;
}

int main(void)
{
	pthread_t threads[THREADS];
	ffi_type *types[] = { &ffi_type_pointer, &ffi_type_pointer };
	int status, left = 0;
	ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &ffi_type_sint, types);
	for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, crowd, (void *)i);
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();
		if (!child) {
			alarm(20);
			_exit(one_round(1) || !dlopen("libc.so.6", RTLD_NOW));
		}
		waitpid(child, &status, 0);
		if (status) failed = status;
	}
	for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
	/* Every place of the pool is free again. */
	for (int i = 0; i < 32; i++) {
		void *code;
		ffi_closure *closure = ffi_closure_alloc(sizeof *closure, &code);
		if (ffi_prep_closure_loc(closure, &cif, compare, &left, code) != FFI_OK) left++;
	}
	printf("wrong: %d\nchild: %d\nleft over: %d\n", wrong, failed, left);
	return 0;
}
