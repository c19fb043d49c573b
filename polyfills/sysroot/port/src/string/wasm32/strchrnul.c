#include "block.h"

WITH_BLOCKS char *__strchrnul(const char *s, int c)
{
	const block *at = block_of(s), wanted = all(c);
	unsigned found = BITS_FROM(s, (*at == wanted) | (*at == 0));
	while (!found) {
		at++;
		found = BITS((*at == wanted) | (*at == 0));
	}
	return (char *)at + __builtin_ctz(found);
}

weak_alias(__strchrnul, strchrnul);
