/* Gives the heap of a program that was started from a snapshot a secret of its own: by it mallocng
 * tells its own records from others, and it must not be one that is known from the image. */
#include <string.h>
#include "../mallocng/glue.h"

/* Only programs have it that use this malloc. */
struct malloc_context;
extern __attribute__((__weak__, __visibility__("hidden"))) struct malloc_context ctx;

#include "../mallocng/meta.h"

hidden void __malloc_new_secret(const void *);

void __malloc_new_secret(const void *random)
{
	/* As in get_random_secret: from AT_RANDOM. A heap that is not in use yet asks for itself. */
	if (!&ctx || !ctx.init_done) return;
	memcpy(&ctx.secret, random, sizeof ctx.secret);
	for (struct meta_area *area = ctx.meta_area_head; area; area = area->next)
		area->check = ctx.secret;
}
