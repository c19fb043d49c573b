/* What all functions of dlfcn.h share: the program's libraries, a lock, and the search by name. */
#include <string.h>
#include "dl_registry.h"
#include "pthread_impl.h"
#include "fork_impl.h"

/* Made by the compiler driver, when it finds this object in the program. */
extern weak hidden struct registry __dl_registry;

/* For a program that has none. */
static struct library nothing[OTHERS] = {
	[PROGRAM] = {
		.map = { .l_name = "", .l_next = &nothing[LIBC].map },
		.state = LOADED | GLOBAL | CONSTRUCTED,
		.name = "",
	},
	[LIBC] = {
		.map = { .l_name = "libc.so.6", .l_prev = &nothing[PROGRAM].map },
		.state = LOADED | GLOBAL | CONSTRUCTED,
		.name = "libc.so.6",
	},
};

struct registry __dl_get_registry(void)
{
	if (&__dl_registry) return __dl_registry;
	return (struct registry){ OTHERS, nothing };
}

/* Recursive: a library's constructor may open another one. */
static pthread_mutex_t lock = { ._m_type = PTHREAD_MUTEX_RECURSIVE };

void __dl_lock(void)
{
	__pthread_mutex_lock(&lock);
}

void __dl_unlock(void)
{
	__pthread_mutex_unlock(&lock);
}

/* The thread that forks holds the lock, and is the only one in the child, with another id. */
void __ldso_atfork(int who)
{
	if (who < 0) {
		__dl_lock();
	} else if (!who) {
		__dl_unlock();
	} else {
		pthread_mutex_t fresh = { ._m_type = PTHREAD_MUTEX_RECURSIVE };
		lock = fresh;
	}
}

int __dl_invalid_handle(void *handle)
{
	struct registry registry = __dl_get_registry();
	for (size_t i = 0; i < registry.count; i++) {
		if (handle == &registry.libraries[i] && (registry.libraries[i].state & LOADED)) return 0;
	}
	__dl_seterr("Invalid library handle %p", handle);
	return 1;
}

void *__dl_find(const struct library *library, const char *name)
{
	size_t from = 0, to = library->count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(name, library->symbols[middle].name);
		if (!order) return library->symbols[middle].address;
		if (order < 0) to = middle;
		else from = middle + 1;
	}
	return 0;
}
