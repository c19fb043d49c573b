/* Few unwanted bytes are looked for all at once; for many there is a table. */
#include "block.h"

#define FEW 4

static size_t by_table(const char *s, const char *c)
{
	unsigned char unwanted[256] = { 1 };
	const char *at = s;
	while (*c) unwanted[(unsigned char)*c++] = 1;
	while (!unwanted[(unsigned char)*at]) at++;
	return at - s;
}

WITH_BLOCKS size_t strcspn(const char *s, const char *c)
{
	block unwanted[FEW] = { 0 };
	for (int i = 0; c[i]; i++) {
		if (i == FEW) return by_table(s, c);
		unwanted[i] = all(c[i]);
	}
	const block *at = block_of(s);
#define FOUND ((*at == 0) | (*at == unwanted[0]) | (*at == unwanted[1]) \
	| (*at == unwanted[2]) | (*at == unwanted[3]))
	unsigned found = BITS_FROM(s, FOUND);
	while (!found) {
		at++;
		found = BITS(FOUND);
	}
	return (const char *)at + __builtin_ctz(found) - s;
}
