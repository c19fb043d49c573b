/* about: Threads whose functions are declared without parameters, or give nothing back. */
/* flags: -pthread */
#include "../check.h"
#include <threads.h>
static _Atomic int ran;
static void *none() { ran++; return &ran; }
static void result(void *p) { ran += *(int *)p; }
static void neither() { ran += 10; }
static void *usual(void *p) { ran += 100; return p; }
static int c11(void *p) { return *(int *)p + 1; }
static int c11_none() { return 7; }
int main(void)
{
	int five = 5;
	void *(*volatile functions[])(void *) = { (void *(*)(void *))none, (void *(*)(void *))result,
		(void *(*)(void *))neither, usual };
	for (int i = 0; i < 4; i++) {
		pthread_t t;
		void *gave = 0;
		int error = pthread_create(&t, 0, functions[i], &five);
		pthread_join(t, &gave);
		/* What a function that gives nothing gives is not said. */
		say("%d: %d, ran %d%s", i, error, ran, i == 0 && gave == &ran ? ", gave its own" :
			i == 3 && gave == &five ? ", gave its argument" : "");
	}
	thrd_start_t volatile starts[] = { c11, (thrd_start_t)c11_none };
	for (int i = 0; i < 2; i++) {
		thrd_t t;
		int gave = 0;
		thrd_create(&t, starts[i], &five);
		thrd_join(t, &gave);
		say("c11 %d", gave);
	}
	return 0;
}
