/* SHA-256 by the processor's own instructions, which WebAssembly has no names for. */
#ifndef _VKERNEL_SHA256_H
#define _VKERNEL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Compresses `blocks` blocks of 64 bytes at `data` into the eight words of `state` (FIPS 180-4, 6.2.2).
 * The first state and the padding of the message are the caller's. */
void vkernel_sha256_blocks(uint32_t state[8], const void *data, size_t blocks);

#ifdef __cplusplus
}
#endif

#endif
