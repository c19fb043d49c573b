/* A thread with a variable of its own. */
#include <pthread.h>
#include <stdio.h>

static _Thread_local int local = 7;

static void *body(void *arg)
{
	local += *(int *)arg;
	return (void *)(long)local;
}

int main(void)
{
	pthread_t thread;
	void *result;
	int add = 1;
	if (pthread_create(&thread, 0, body, &add) || pthread_join(thread, &result)) return 1;
	printf("%d %d\n", local, (int)(long)result);
	return 0;
}
