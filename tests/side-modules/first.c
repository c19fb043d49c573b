/* A library with all that one may have: data, variables without a value, a table of functions, a constructor, memory of
   the program's, and output. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FIX
#define FIX 0
#endif

static int started;
static long long counts[4096];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *const names[] = {"none", "one", "two"};

__attribute__((constructor)) static void begin(void)
{
	started = 41;
}

int first_started(void)
{
	return started + 1 + FIX;
}

static int twice(int n) { return 2 * n; }
static int square(int n) { return n * n; }
static int (*const functions[])(int) = {twice, square};

int first_apply(int which, int n)
{
	return functions[which & 1](n);
}

/* The program's function. */
int first_call(int (*function)(int), int n)
{
	return function(n) + 1;
}

char *first_name(int n)
{
	char *copy = malloc(64);
	snprintf(copy, 64, "<%s>", n >= 0 && n < 3 ? names[n] : "many");
	return copy;
}

long long first_count(int which, long long by)
{
	pthread_mutex_lock(&lock);
	long long now = counts[which & 4095] += by;
	pthread_mutex_unlock(&lock);
	return now;
}

double first_half(double of, float and, long long more)
{
	return of / 2 + and + more;
}

/* The program's `errno`. */
int first_errno(void)
{
	return close(-1);
}

void first_print(const char *text)
{
	printf("first: %s\n", text);
	fprintf(stderr, "first: %s\n", text);
}

/* Computes, without a call, until the variable says something else. */
unsigned first_spin(volatile int *until)
{
	unsigned n = 1;
	while (!*until)
		n = n * 1664525 + 1013904223;
	return n | 1;
}

void first_trap(int *where)
{
	*where = 1;
	__builtin_trap();
}
#ifdef MORE
int first_more(void) { return 1; }
#endif
