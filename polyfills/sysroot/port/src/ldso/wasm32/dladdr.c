/* dladdr: which library an address is in, and which symbol it is.
 *
 * A pointer to a function is its place in the table of functions, and belongs to what has exactly that
 * place. A pointer to data belongs to the symbol before it, up to where the heap begins. */
#define _GNU_SOURCE
#include <errno.h>
#include "dl_registry.h"

extern char __heap_base, __global_base;

int dladdr(const void *address, Dl_info *info)
{
	struct registry registry = __dl_get_registry();
	const struct library *in = 0;
	const struct symbol *best = 0;
	size_t at = (size_t)address;
	int is_data = at >= (size_t)&__global_base;
	if (at >= (size_t)&__heap_base) return 0;
	for (size_t i = 0; i < registry.count; i++) {
		const struct library *library = &registry.libraries[i];
		if (!(library->state & LOADED)) continue;
		for (size_t s = 0; s < library->count; s++) {
			const struct symbol *symbol = &library->symbols[s];
			size_t place = (size_t)symbol->address;
			if (is_data ? place > at || place < (size_t)&__global_base : place != at) continue;
			if (best && place <= (size_t)best->address) continue;
			best = symbol;
			in = library;
		}
	}
	if (!best) return 0;
	info->dli_fname = in == &registry.libraries[PROGRAM] ? program_invocation_name : in->map.l_name;
	info->dli_fbase = 0;
	info->dli_sname = best->name;
	info->dli_saddr = best->address;
	return 1;
}
