#include "block.h"

WITH_BLOCKS void *memchr(const void *s, int c, size_t n)
{
	if (!n) return 0;
	/* What is last, not what is behind it: n may reach beyond the memory. */
	const char *last = (const char *)s + n - 1;
	if (last < (const char *)s) last = (const char *)-1;
	const block *at = block_of(s), *end = block_of(last), wanted = all(c);
	unsigned found = BITS_FROM(s, *at == wanted);
	while (!found && at != end) found = BITS(*++at == wanted);
	if (!found) return 0;
	const char *first = (const char *)at + __builtin_ctz(found);
	return first <= last ? (void *)first : 0;
}
