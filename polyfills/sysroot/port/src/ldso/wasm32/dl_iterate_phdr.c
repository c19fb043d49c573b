/* dl_iterate_phdr: the program and the libraries that are loaded. None has program headers. */
#include "dl_registry.h"

int dl_iterate_phdr(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
	struct registry registry = __dl_get_registry();
	struct link_map *map = &registry.libraries[PROGRAM].map;
	int result = 0;
	while (map && !result) {
		struct dl_phdr_info info = { .dlpi_addr = 0, .dlpi_name = map->l_name };
		result = callback(&info, sizeof info, data);
		__dl_lock();
		map = map->l_next;
		__dl_unlock();
	}
	return result;
}
