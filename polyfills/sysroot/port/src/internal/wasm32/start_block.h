/* What Linux puts on the stack of a new process, fetched from the vkernel: argv, envp, auxv, one
 * after the other, with the strings beside them. The room for it is the caller's. */
#ifndef START_BLOCK_H
#define START_BLOCK_H

#include <features.h>
#include <stddef.h>

struct start_sizes {
	int argc, envc;
	/* Words of the block: argv, envp and five pairs of auxv. */
	size_t words;
	size_t string_bytes;
};

/* How much room a block needs. */
hidden struct start_sizes __start_sizes(void);

/* Fills it; random is where AT_RANDOM leads. */
hidden void __start_fill(const struct start_sizes *, size_t *block, char *strings, size_t random[4]);

#endif
