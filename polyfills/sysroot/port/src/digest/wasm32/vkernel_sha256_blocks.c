/* SHA-256's compression by the vkernel (<vkernel/sha256.h>). */
#include <vkernel/sha256.h>
#include "atomic.h"

#define BLOCK 64

/* What the vkernel does at once: between calls it looks at signals. */
#define MOST 1024

__attribute__((__import_module__("wali"), __import_name__("__sha256_blocks")))
int __sha256_blocks(uint32_t *, const void *, size_t);

/* The vkernel found no memory there. The access fails here as any other does. */
static void touch(uint32_t *state, const volatile unsigned char *data, size_t bytes)
{
	for (size_t i = 0; i < 8; i++) ((volatile uint32_t *)state)[i] = state[i];
	for (size_t i = 0; i < bytes; i++) (void)data[i];
	a_crash();
}

void vkernel_sha256_blocks(uint32_t state[8], const void *data, size_t blocks)
{
	const unsigned char *at = data;
	while (blocks) {
		size_t now = blocks < MOST ? blocks : MOST;
		if (__sha256_blocks(state, at, now)) touch(state, at, now * BLOCK);
		at += now * BLOCK;
		blocks -= now;
	}
}
