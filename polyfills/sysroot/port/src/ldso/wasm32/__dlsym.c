/* dlsym: a symbol of one library and of libc, on which every library depends, or of all that are global. */
#include "dl_registry.h"

static void *find_global(struct registry registry, const char *name, int program)
{
	struct link_map *map = &registry.libraries[program ? PROGRAM : LIBC].map;
	for (; map; map = map->l_next) {
		struct library *library = (void *)map;
		void *found = library->state & GLOBAL ? __dl_find(library, name) : 0;
		if (found) return found;
	}
	return 0;
}

hidden void *__dlsym(void *restrict handle, const char *restrict name, void *restrict caller)
{
	struct registry registry = __dl_get_registry();
	struct library *library = handle;
	void *found;

	if (handle == RTLD_DEFAULT || handle == RTLD_NEXT || library == &registry.libraries[PROGRAM]) {
		__dl_lock();
		/* Who calls cannot be known; whoever looks for the next one is the program. */
		found = find_global(registry, name, handle != RTLD_NEXT);
		__dl_unlock();
		if (!found && !registry.libraries[PROGRAM].count) {
			__dl_seterr("Symbol not found: %s: the program has no table of its symbols: "
				"link it with -rdynamic", name);
			return 0;
		}
	} else {
		if (__dl_invalid_handle(handle)) return 0;
		found = __dl_find(library, name);
		if (!found) found = __dl_find(&registry.libraries[LIBC], name);
	}
	if (!found) __dl_seterr("Symbol not found: %s", name);
	return found;
}
