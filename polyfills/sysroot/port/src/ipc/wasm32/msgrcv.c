/* See msgsnd.c. */
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

ssize_t msgrcv(int q, void *m, size_t len, long type, int flag)
{
	struct { long type; char text[]; } *message = m;
	if (len > 0x7fffffff) {
		errno = EINVAL;
		return -1;
	}
	struct wide *wide = malloc(sizeof *wide + len);
	if (!wide) return -1;
	ssize_t r;
	pthread_cleanup_push(free, wide);
	r = syscall_cp(SYS_msgrcv, q, wide, len, type, flag);
	if (r >= 0) {
		message->type = wide->type;
		memcpy(message->text, wide->text, r);
	}
	pthread_cleanup_pop(1);
	return r;
}
