/* memory.copy. */
#include <string.h>

void *memmove(void *d, const void *s, size_t n)
{
	return __builtin_memmove(d, s, n);
}
