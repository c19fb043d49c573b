/* A program that uses both: in threads, in a child, in a signal's handler, and after execve. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef SNAPSHOT
#include <vkernel/snapshot.h>
#endif

int first_started(void);
int first_apply(int which, int n);
int first_call(int (*function)(int), int n);
char *first_name(int n);
long long first_count(int which, long long by);
double first_half(double of, float and, long long more);
int first_errno(void);
void first_print(const char *text);
unsigned first_spin(volatile int *until);
void first_trap(int *where);
int second_sum(int n);

static volatile int rung;
static void ring(int signal) { rung = signal; }
static int minus(int n) { return -n; }

static void *count(void *unused)
{
	for (int n = 0; n < 1000; n++)
		first_count(7, 1);
	volatile int stop = 1;
	return (void *)(long)(first_apply(1, 12) + (first_spin(&stop) & 1));
}

static int look(const char *where)
{
	printf("%s: %d %d %d %d %s %g %d\n", where, first_started(), first_apply(0, 21), first_apply(1, 5),
	       first_call(minus, 5), first_name(2), first_half(3, 0.5f, 10), second_sum(10));
	errno = 0;
	printf("errno %d %d\n", first_errno(), errno == EBADF);

	pthread_t threads[4];
	long sum = 0;
	for (int at = 0; at < 4; at++)
		pthread_create(&threads[at], 0, count, 0);
	for (int at = 0; at < 4; at++) {
		void *result;
		pthread_join(threads[at], &result);
		sum += (long)result;
	}
	printf("threads %ld %lld\n", sum, first_count(7, 0));
	fflush(stdout);

	pid_t child = fork();
	if (child == 0)
		_exit(first_count(7, 5) == 4005 ? first_apply(0, 11) : 1);
	int status;
	waitpid(child, &status, 0);
	printf("child %d %lld\n", WEXITSTATUS(status), first_count(7, 0));

	signal(SIGALRM, ring);
	rung = 0;
	struct itimerval soon = {{0, 0}, {0, 20000}};
	setitimer(ITIMER_REAL, &soon, 0);
	printf("spun %u\n", first_spin(&rung) & 1);
	first_print("hello");
	fflush(stdout);
	return 0;
}

#ifdef SNAPSHOT
int vkernel_resume(int argc, char **argv, char **envp)
{
	printf("resumed with %lld\n", first_count(9, 0));
	return look("warm");
}
#endif

int main(int argc, char **argv)
{
#ifdef SNAPSHOT
	first_count(9, 99);
	vkernel_snapshot();
#endif
	if (argc > 1 && !strcmp(argv[1], "trap"))
		first_trap(malloc(4));
	if (argc > 1 && !strcmp(argv[1], "version"))
		return printf("%d\n", first_started()) < 0;
	if (look(argv[0]))
		return 1;
	if (argc > 1) {
		execl(argv[1], argv[1], (char *)0);
		perror(argv[1]);
		return 1;
	}
	return 0;
}
