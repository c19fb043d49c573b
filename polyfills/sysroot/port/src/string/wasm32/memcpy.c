/* memory.copy, which handles overlap as memmove must. */
#include <string.h>

void *memcpy(void *restrict d, const void *restrict s, size_t n)
{
	return __builtin_memcpy(d, s, n);
}
