/* Makes the system calls that it is told on standard input, and says on standard output what came of
 * them. What they are is chosen by the test (`tests/e2e/src/sequences`), which looks at this process
 * from outside while it waits for the next command.
 *
 * calls.h is made by the test from the table of calls: `make(index, arguments)`.
 *
 * A command is a letter and three unused bytes, the length of what follows, and that:
 *   P address bytes       puts bytes into memory; no answer
 *   C operation           one call; its result
 *   F count operations    the first is a call that forks: the child makes the others and then waits;
 *                         the result
 *   T rounds, for each thread count and operations
 *                         so often, all threads at the same time; for each operation its last result
 *                         and how often it succeeded
 * All answers begin with a letter. Nothing here uses memory from the second quarter of the address
 * space on, where the test maps and unmaps what it likes. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "calls.h"

#define THREADS 4
#define MOST 16

/* Index of an operation that stores a value of 4 or 8 bytes. */
#define STORE (-1)

struct operation {
	int32_t index, unused;
	int64_t a[6];
};

static _Alignas(4096) unsigned char room[65536];

/* What handlers were called with. */
static struct seen {
	uint32_t count;
	unsigned char info[128];
} seen[65];

static void with_info(int signal, siginfo_t *info, void *context)
{
	(void)context;
	seen[signal].count++;
	memcpy(seen[signal].info, info, 128);
}

static void plain(int signal) { seen[signal].count++; }

static void fetch(void *to, unsigned len)
{
	for (unsigned char *at = to; len;) {
		long long got = call_read(0, (unsigned)at, len);
		if (got == -4 || got == -11) continue;
		if (got <= 0) call_exit_group(0);
		at += got, len -= got;
	}
}

static void say(const void *from, unsigned len)
{
	for (const unsigned char *at = from; len;) {
		long long got = call_write(1, (unsigned)at, len);
		if (got == -4 || got == -11) continue;
		if (got <= 0) call_exit_group(0);
		at += got, len -= got;
	}
}

static int64_t perform(const struct operation *o)
{
	if (o->index != STORE) return make(o->index, o->a);
	uint64_t value = o->a[1];
	memcpy((void *)(unsigned)o->a[0], &value, o->a[2] == 4 ? 4 : 8);
	return 0;
}

static void answer(char letter, int64_t result)
{
	unsigned char text[9] = { letter };
	memcpy(text + 1, &result, 8);
	say(text, sizeof text);
}

static struct {
	struct operation operations[MOST];
	struct { int64_t last, succeeded; } results[MOST];
	uint32_t count;
#ifdef _REENTRANT
	sem_t begin;
	int id;
#endif
} work[THREADS];
static volatile uint32_t rounds;

/* Ticks of the clock that the test has set, 20 ms each, after which no thread begins another call. */
#define LONGEST 50

static int ticks(void) { return *(volatile uint32_t *)&seen[SIGALRM].count; }

static void toil(int me)
{
	int begin = ticks();
	for (uint32_t round = 0; round < rounds; round++)
		for (uint32_t i = 0; i < work[me].count; i++) {
			if (!rounds || ticks() - begin > LONGEST) return;
			int64_t result = perform(&work[me].operations[i]);
			work[me].results[i].last = result;
			work[me].results[i].succeeded += result >= 0;
		}
}

#ifdef _REENTRANT
static sem_t end;

static void *body(void *argument)
{
	int me = (int)(intptr_t)argument;
	work[me].id = call_gettid();
	for (;;) {
		while (sem_wait(&work[me].begin)) {}
		toil(me);
		sem_post(&end);
	}
}
#endif

#ifdef _REENTRANT
/* Waits for the others, and interrupts those that wait for something else. */
static void gather(void)
{
	for (int done = 1, ticked = 0; done < THREADS;) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 20000000;
		if (until.tv_nsec >= 1000000000) until.tv_nsec -= 1000000000, until.tv_sec++;
		if (!sem_timedwait(&end, &until)) {
			done++;
			continue;
		}
		if (++ticked < LONGEST) continue;
		rounds = 0;
		for (int t = 1; t < THREADS; t++) call_tkill(work[t].id, SIGALRM);
	}
}
#endif

static void together(void)
{
	uint32_t times;
	fetch(&times, 4);
	rounds = times;
	for (int t = 0; t < THREADS; t++) {
		fetch(&work[t].count, 4);
		if (work[t].count > MOST) call_exit_group(99);
		fetch(work[t].operations, work[t].count * sizeof(struct operation));
		memset(work[t].results, 0, sizeof work[t].results);
	}
#ifdef _REENTRANT
	for (int t = 1; t < THREADS; t++) sem_post(&work[t].begin);
	toil(0);
	gather();
#else
	for (int t = 0; t < THREADS; t++) toil(t);
#endif
	say("t", 1);
	for (int t = 0; t < THREADS; t++) say(work[t].results, work[t].count * 16);
}

static void family(void)
{
	uint32_t count;
	struct operation operations[MOST];
	fetch(&count, 4);
	if (!count || count > MOST) call_exit_group(99);
	fetch(operations, count * sizeof *operations);
	int64_t result = perform(operations);
	if (result == 0) {
		for (uint32_t i = 1; i < count; i++) perform(operations + i);
		for (;;) call_pause();
	}
	answer('c', result);
}

int main(void)
{
#ifdef _REENTRANT
	sem_init(&end, 0, 0);
	for (int t = 1; t < THREADS; t++) {
		pthread_t thread;
		sem_init(&work[t].begin, 0, 0);
		if (pthread_create(&thread, 0, body, (void *)(intptr_t)t)) return 98;
	}
#endif
	uint32_t hello[] = { (unsigned)room, sizeof room, (unsigned)seen, (unsigned)with_info,
		(unsigned)plain, (unsigned)getpid() };
	say("h", 1);
	say(hello, sizeof hello);
	for (;;) {
		uint32_t head[2], address;
		struct operation one;
		fetch(head, sizeof head);
		switch ((char)head[0]) {
		case 'P':
			fetch(&address, 4);
			fetch((void *)address, head[1] - 4);
			break;
		case 'C':
			fetch(&one, sizeof one);
			answer('c', perform(&one));
			break;
		case 'F': family(); break;
		case 'T': together(); break;
		default: call_exit_group(97);
		}
	}
}
