#include "block.h"

#define WORD(type, at) (((const struct { type word; } __attribute__((__packed__, __may_alias__)) *)(at))->word)

/* The difference of the first bytes in which two little-endian words differ. */
static inline int first_difference(uint64_t a, uint64_t b)
{
	int at = __builtin_ctzll(a ^ b) & ~7;
	return (int)(a >> at & 255) - (int)(b >> at & 255);
}

WITH_BLOCKS int memcmp(const void *left, const void *right, size_t n)
{
	const unsigned char *l = left, *r = right;
	for (; n >= 16; n -= 16, l += 16, r += 16) {
		unsigned differ = BITS(*(const unaligned_block *)l != *(const unaligned_block *)r);
		if (differ) {
			int at = __builtin_ctz(differ);
			return l[at] - r[at];
		}
	}
#define REST(type) \
	if (n & sizeof(type)) { \
		uint64_t a = WORD(type, l), b = WORD(type, r); \
		if (a != b) return first_difference(a, b); \
		l += sizeof(type), r += sizeof(type); \
	}
	REST(uint64_t)
	REST(uint32_t)
	REST(uint16_t)
	return n & 1 ? *l - *r : 0;
}
