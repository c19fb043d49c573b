/* Sixteen bytes at a time. An aligned block lies in one page, so what is in it around a string can be
 * read without harm. */
#include <stdint.h>
#include <string.h>

typedef unsigned char block __attribute__((__vector_size__(16), __may_alias__));
typedef block unaligned_block __attribute__((__aligned__(1)));

#define WITH_BLOCKS __attribute__((__target__("simd128")))

/* The block that a byte is in. */
static inline const block *block_of(const void *byte)
{
	return (const block *)((uintptr_t)byte & -16);
}

/* A block of one byte. */
WITH_BLOCKS static inline block all(int byte)
{
	return (block){} + (unsigned char)byte;
}

/* A bit for each byte that a comparison was true for; the first byte's is the lowest. */
#define BITS(comparison) ((unsigned)__builtin_wasm_bitmask_i8x16((__typeof__(comparison))(comparison)))

/* The same without those before `byte`, which is in the block. */
#define BITS_FROM(byte, comparison) (BITS(comparison) >> ((uintptr_t)(byte) & 15) << ((uintptr_t)(byte) & 15))
