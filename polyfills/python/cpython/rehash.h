/* What of an interpreter's memory depends on its hash secret (PEP 456).
 *
 * A snapshot has a secret, and everybody who has the image knows it. So each process that starts from it gets a
 * secret of its own, and everything that was laid out by the old one is laid out anew: the hashes that strings keep,
 * the tables of dictionaries and sets, the table of interned strings. While the snapshot is prepared, the functions
 * that make such things tell (patch 05); bytes, frozen sets and weak references keep no hash meanwhile.
 *
 * Invariants: what is recorded is alive; of what keeps a hash that depends on the secret, nothing is missing. */
#ifndef VKERNEL_REHASH_H
#define VKERNEL_REHASH_H

/* Whether the snapshot is being prepared. */
extern int _PyVkernel_recording;

/* Whether the process began with a snapshot. */
extern int _PyVkernel_resumed;

enum vkernel_thing { VKERNEL_STRING, VKERNEL_KEYS, VKERNEL_SET };

void _PyVkernel_made(enum vkernel_thing, void *);
void _PyVkernel_freed(enum vkernel_thing, void *);

#define VKERNEL_MADE(thing, where) \
    do { if (_PyVkernel_recording) { _PyVkernel_made(thing, where); } } while (0)
#define VKERNEL_FREED(thing, where) \
    do { if (_PyVkernel_recording) { _PyVkernel_freed(thing, where); } } while (0)

/* What is recorded lies together, so that laying it out anew writes to few pages: strings of a size beside each
 * other, and tables too, in an arena that nothing is added to after the snapshot. */
extern char *_PyVkernel_arena;
extern size_t _PyVkernel_arena_size;

static inline int
_PyVkernel_owns(const void *where)
{
    return (uintptr_t)where - (uintptr_t)_PyVkernel_arena < _PyVkernel_arena_size;
}

/* Memory of the arena, or NULL: if there is none for this size, or no snapshot is being prepared. */
void *_PyVkernel_malloc(enum vkernel_thing, size_t size);
void _PyVkernel_free(void *where);

#define VKERNEL_MALLOC(where, thing, otherwise, size) \
    do { \
        (where) = _PyVkernel_recording ? _PyVkernel_malloc(thing, size) : NULL; \
        if ((where) == NULL) { (where) = otherwise(size); } \
    } while (0)
#define VKERNEL_FREE(otherwise, where) \
    do { \
        if (_PyVkernel_owns(where)) { _PyVkernel_free(where); } else { otherwise(where); } \
    } while (0)

/* Before the interpreter is initialised, and when all is made. */
void _PyVkernel_record(void);
void _PyVkernel_recorded(void);

/* Takes a secret from the machine and lays everything out by it: 0, or -1 if there are no random numbers. */
int _PyVkernel_rehash(void);

#endif
