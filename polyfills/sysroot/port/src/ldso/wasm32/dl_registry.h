/* The libraries that are linked into a program, as the compiler driver lists them: it makes the object
 * that has __dl_registry, in this form (polyfills/vkcc/src/libraries/registry.rs), for programs that ask
 * for it (docs/shared-objects.md). */
#ifndef DL_REGISTRY_H
#define DL_REGISTRY_H

#include <dlfcn.h>
#include <link.h>
#include <features.h>
#include "dynlink.h"

struct symbol {
	const char *name;
	void *address; /* what a pointer to the function or to the data is */
};

struct library {
	struct link_map map; /* a handle points here */
	int state;
	const char *name;
	const char *digest; /* "sha256:" and 64 digits; null: the stub need not say it */
	const struct symbol *symbols; /* sorted by name, byte by byte */
	size_t count;
	void (*const *constructors)(void);
	size_t constructor_count;
};
_Static_assert(sizeof(struct library) == 48, "as the compiler driver lays it out");

/* Bits of state. */
enum {
	LOADED = 1, /* somebody has opened it; all symbols are what they will be at any time */
	GLOBAL = 2, /* its symbols are found without its handle */
	CONSTRUCTED = 4,
};

/* The first two libraries are always there. */
enum { PROGRAM, LIBC, OTHERS };

struct registry {
	size_t count;
	struct library *libraries;
};

hidden struct registry __dl_get_registry(void);
hidden void __dl_lock(void);
hidden void __dl_unlock(void);
hidden void *__dl_find(const struct library *, const char *);

#endif
