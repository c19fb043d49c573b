#include "block.h"

WITH_BLOCKS size_t strlen(const char *s)
{
	const block *at = block_of(s);
	unsigned ends = BITS_FROM(s, *at == 0);
	while (!ends) ends = BITS(*++at == 0);
	return (const char *)at + __builtin_ctz(ends) - s;
}
