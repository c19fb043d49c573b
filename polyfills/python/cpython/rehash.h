/* What of an interpreter's memory depends on its hash secret (PEP 456).
 *
 * A snapshot has a secret, and everybody who has the image knows it. So each process that starts from it gets a
 * secret of its own, and what was laid out by the old one has to be laid out anew. That is done when it is needed:
 * in the snapshot no string keeps a hash, and the tables of dictionaries whose keys are strings hold an index
 * (VKERNEL_IS_STALE) on which the first look into each of them lays it out; sets are marked too (VKERNEL_FRESH). The
 * interned strings of the snapshot are found by a table of their own, in an order that no secret decides: nothing is
 * ever added to it, so that nobody can make it slow. What no secret decides, as where keys are types or numbers, stays.
 * The rest, which is little, is renewed at the start: other dictionaries and sets, the table of built-in modules. While the snapshot is prepared, the functions that make such things tell (patch 05); bytes, frozen sets and
 * weak references keep no hash meanwhile.
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

/* Indices of a table that is not laid out; all others are at least DKIX_KEY_CHANGED. */
#define VKERNEL_STALE_BYTE 0xfb
#define VKERNEL_IS_STALE(index) __builtin_expect((index) < DKIX_KEY_CHANGED, 0)

/* Lays a table of strings out by the hashes that they have now. */
void _PyVkernel_lay_out(PyDictKeysObject *);

/* Lays a set out by the hashes that its members have now. It calls nothing that is written in Python. */
void _PyVkernel_lay_out_set(PySetObject *);

/* Before the table of a set is looked into, and before one goes through it. A set that is not laid out has
 * a place for set.pop() to go on from that no other has. */
#define VKERNEL_STALE_FINGER (-1)
#define VKERNEL_FRESH(set) \
    do { if (__builtin_expect((set)->finger < 0, 0)) { _PyVkernel_lay_out_set(set); } } while (0)

/* The interned string of the snapshot that is equal to this one, or NULL. Borrowed; it lives for ever. */
PyObject *_PyVkernel_interned(PyObject *string);

/* Takes a secret from the machine and renews what is not laid out when it is needed: 0, or -1 if there are no random
 * numbers. */
int _PyVkernel_rehash(void);

#endif
