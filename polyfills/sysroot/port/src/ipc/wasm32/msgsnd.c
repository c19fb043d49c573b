/* A message begins with a long, which has 64 bits in the interface and 32 in the program: messages are copied. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include "syscall.h"

struct wide {
	long long type;
	char text[];
};

int msgsnd(int q, const void *m, size_t len, int flag)
{
	const struct { long type; char text[]; } *message = m;
	if (len > 0x7fffffff) {
		errno = EINVAL;
		return -1;
	}
	struct wide *wide = malloc(sizeof *wide + len);
	if (!wide) return -1;
	wide->type = message->type;
	memcpy(wide->text, message->text, len);
	int r;
	pthread_cleanup_push(free, wide);
	r = syscall_cp(SYS_msgsnd, q, wide, len, flag);
	pthread_cleanup_pop(1);
	return r;
}
