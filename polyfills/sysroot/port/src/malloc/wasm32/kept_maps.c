/* Maps that malloc has given up, kept for its next ones of the same length.
 *
 * mallocng unmaps a group of slots when its last slot is freed, and maps the next group anew. Here
 * both are calls of the vkernel, each with its own host call and its share of the filter, and what
 * comes back has to be faulted in page by page. Clearing what was kept is cheaper. What is kept
 * counts as the program's memory, so it is little.
 *
 * malloc's lock is held in some of these calls and not in others. So there is a mark of our own, and
 * who finds it set does without what is kept; that also goes for the child of a fork in whose parent
 * another thread had set it. */
#include "../mallocng/glue.h"

/* Longest map that is kept, most maps, and most bytes of all of them. */
#define LONGEST 131072
#define MAPS 32
#define BYTES 524288

static struct map {
	void *base;
	size_t len;
} kept[MAPS]; /* Oldest first. */
static int count;
static size_t bytes;
static volatile int busy;

static struct map take(int i)
{
	struct map taken = kept[i];
	bytes -= taken.len;
	count--;
	for (; i < count; i++) kept[i] = kept[i+1];
	return taken;
}

void *__malloc_map(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
	void *base = 0;
	if (!address && len <= LONGEST && protection == (PROT_READ|PROT_WRITE) && !a_swap(&busy, 1)) {
		for (int i = count; i-- && !base; )
			if (kept[i].len == len) base = take(i).base;
		a_store(&busy, 0);
	}
	if (base) return memset(base, 0, len);
	return __mmap(address, len, protection, flags, fd, offset);
}

int __malloc_unmap(void *base, size_t len)
{
	struct map given_up[MAPS];
	int n = 0;
	if (len > LONGEST || a_swap(&busy, 1)) return __munmap(base, len);
	while (count == MAPS || bytes + len > BYTES) given_up[n++] = take(0);
	kept[count++] = (struct map){ base, len };
	bytes += len;
	a_store(&busy, 0);
	while (n--) __munmap(given_up[n].base, given_up[n].len);
	return 0;
}
