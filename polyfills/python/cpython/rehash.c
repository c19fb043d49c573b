/* See rehash.h. Compiled as part of the interpreter's core: it reads and writes the tables themselves. */
#include "Python.h"
#include "pycore_dict.h"
#include "pycore_global_objects.h"
#include "pycore_hashtable.h"
#include "pycore_object.h"
#include "pycore_pyhash.h"
#include "pycore_runtime.h"
#include "pycore_setobject.h"
#include "rehash.h"
#include "../Objects/stringlib/eq.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

int _PyVkernel_recording;
char *_PyVkernel_arena;
size_t _PyVkernel_arena_size;

/* The arena's pages hold blocks of one size each, of strings or of tables. */
#define ARENA (32u << 20)
#define PAGE 4096u
#define LARGEST 1024u

/* Blocks of one kind: those that were given back, and what of the last page has not been handed out. */
static struct blocks {
    void *returned;
    char *next, *end;
} blocks[2][LARGEST / 8 + 1];
static unsigned short kind_of_page[ARENA / PAGE];
static size_t pages_used;

/* In units of eight bytes: coarser for larger blocks, of which there are few. */
static size_t
units(size_t size)
{
    size_t step = size <= 128 ? 8 : size <= 512 ? 32 : 128;
    return (size + step - 1) / step * step / 8;
}

void *
_PyVkernel_malloc(enum vkernel_thing thing, size_t size)
{
    if (size > LARGEST) {
        return NULL;
    }
    size_t count = units(size), bytes = 8 * count;
    struct blocks *kind = &blocks[thing][count];
    if (kind->returned != NULL) {
        void *block = kind->returned;
        memcpy(&kind->returned, block, sizeof kind->returned);
        return block;
    }
    if ((size_t)(kind->end - kind->next) < bytes) {
        if (pages_used == _PyVkernel_arena_size / PAGE) {
            return NULL;
        }
        kind->next = _PyVkernel_arena + pages_used * PAGE;
        kind->end = kind->next + PAGE;
        kind_of_page[pages_used++] = (unsigned short)(thing * (LARGEST / 8 + 1) + count);
    }
    void *block = kind->next;
    kind->next += bytes;
    return block;
}

void
_PyVkernel_free(void *where)
{
    /* After the snapshot nothing is handed out any more. */
    if (!_PyVkernel_recording) {
        return;
    }
    size_t page = ((size_t)((char *)where - _PyVkernel_arena)) / PAGE;
    struct blocks *kind = &blocks[0][0] + kind_of_page[page];
    memcpy(where, &kind->returned, sizeof kind->returned);
    kind->returned = where;
}

/* Addresses, in no order; and where each is in the list, by open addressing. */
struct things {
    void **list;
    size_t count, room;
    unsigned *places;
    size_t mask;
};

static struct things all[3];

static size_t
slot(const struct things *things, const void *where)
{
    size_t at = ((uintptr_t)where >> 3) * 2654435761u & things->mask;
    while (things->places[at] && things->list[things->places[at] - 1] != where) {
        at = (at + 1) & things->mask;
    }
    return at;
}

static void *
needed(void *memory)
{
    if (memory == NULL) {
        Py_FatalError("there is no memory for preparing a snapshot");
    }
    return memory;
}

static void
grow(struct things *things)
{
    things->room = things->room ? 2 * things->room : 4096;
    things->list = needed(realloc(things->list, things->room * sizeof *things->list));
    things->mask = 4 * things->room - 1;
    free(things->places);
    things->places = needed(calloc(things->mask + 1, sizeof *things->places));
    for (size_t i = 0; i < things->count; i++) {
        things->places[slot(things, things->list[i])] = (unsigned)i + 1;
    }
}

void
_PyVkernel_made(enum vkernel_thing thing, void *where)
{
    struct things *things = &all[thing];
    if (things->count == things->room) {
        grow(things);
    }
    size_t at = slot(things, where);
    if (things->places[at]) {
        return;
    }
    things->list[things->count++] = where;
    things->places[at] = (unsigned)things->count;
}

void
_PyVkernel_freed(enum vkernel_thing thing, void *where)
{
    struct things *things = &all[thing];
    if (things->count == 0) {
        return;
    }
    size_t at = slot(things, where);
    if (things->places[at] == 0) {
        return;
    }
    size_t hole = things->places[at] - 1;
    /* The slots behind it in its run move up. */
    things->places[at] = 0;
    for (size_t next = (at + 1) & things->mask; things->places[next]; next = (next + 1) & things->mask) {
        unsigned moved = things->places[next];
        things->places[next] = 0;
        things->places[slot(things, things->list[moved - 1])] = moved;
    }
    void *last = things->list[--things->count];
    if (last != where) {
        things->places[slot(things, last)] = (unsigned)hole + 1;
        things->list[hole] = last;
    }
}

void
_PyVkernel_record(void)
{
    void *arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena != MAP_FAILED) {
        _PyVkernel_arena = arena;
        _PyVkernel_arena_size = ARENA;
    }
    _PyVkernel_recording = 1;
}

static int
by_address(const void *a, const void *b)
{
    uintptr_t x = *(uintptr_t *)a, y = *(uintptr_t *)b;
    return (x > y) - (x < y);
}

/* The interned strings of the snapshot, by open addressing; a hash that no secret decides, FNV-1a. */
static struct interned {
    uint32_t hash;
    PyObject *string;
} *interned;
static size_t interned_mask;

static uint32_t
plain_hash(PyObject *string)
{
    const unsigned char *byte = PyUnicode_DATA(string);
    const unsigned char *end = byte + PyUnicode_GET_LENGTH(string) * PyUnicode_KIND(string);
    uint32_t hash = 2166136261u;
    for (; byte < end; byte++) {
        hash = (hash ^ *byte) * 16777619u;
    }
    return hash;
}

static struct interned *
interned_place(PyObject *string, uint32_t hash)
{
    size_t at = hash & interned_mask;
    while (interned[at].string != NULL
           && (interned[at].hash != hash || !unicode_eq(interned[at].string, string))) {
        at = (at + 1) & interned_mask;
    }
    return &interned[at];
}

PyObject *
_PyVkernel_interned(PyObject *string)
{
    return interned == NULL ? NULL : interned_place(string, plain_hash(string))->string;
}

static void
keep_interned(PyObject *string)
{
    uint32_t hash = plain_hash(string);
    struct interned *place = interned_place(string, hash);
    place->hash = hash;
    place->string = string;
}

/* Moves the interned strings to their own table. They live for ever from now on. */
static void
set_interned_aside(void)
{
    _Py_hashtable_t *forever = _PyRuntime.cached_objects.interned_strings;
    PyInterpreterState *interpreter = PyInterpreterState_Get();
    PyObject *dict = _Py_INTERP_CACHED_OBJECT(interpreter, interned_strings);
    size_t room = 4096;
    while (room < 2 * (size_t)(forever->nentries + PyDict_GET_SIZE(dict))) {
        room *= 2;
    }
    interned_mask = room - 1;
    interned = needed(calloc(room, sizeof *interned));
    for (size_t i = 0; i < forever->nbuckets; i++) {
        for (_Py_slist_item_t *item = forever->buckets[i].head; item != NULL; item = item->next) {
            keep_interned((PyObject *)((_Py_hashtable_entry_t *)item)->key);
        }
        forever->buckets[i].head = NULL;
    }
    forever->nentries = 0;
    Py_ssize_t at = 0;
    PyObject *string;
    while (PyDict_Next(dict, &at, &string, NULL)) {
        string->ob_refcnt = _Py_IMMORTAL_REFCNT;
        _PyASCIIObject_CAST(string)->state.interned = SSTATE_INTERNED_IMMORTAL;
        keep_interned(string);
    }
    _Py_INTERP_CACHED_OBJECT(interpreter, interned_strings) = needed(PyDict_New());
}

/* Whether an object's hash is the same with every secret. */
static int
has_fixed_hash(PyObject *key)
{
    if (PyTuple_CheckExact(key)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
            if (!has_fixed_hash(PyTuple_GET_ITEM(key, i))) {
                return 0;
            }
        }
        return 1;
    }
    if (PyWeakref_CheckRefExact(key)) {
        PyObject *thing = PyWeakref_GET_OBJECT(key);
        return thing != Py_None && has_fixed_hash(thing);
    }
    hashfunc hash = Py_TYPE(key)->tp_hash;
    return hash == PyObject_GenericHash || hash == PyType_Type.tp_hash || hash == PyLong_Type.tp_hash
        || hash == PyFloat_Type.tp_hash || hash == Py_TYPE(Py_None)->tp_hash;
}

/* Whether an object's hash is computed without anything that is written in Python. */
static int
has_plain_hash(PyObject *key)
{
    if (PyUnicode_CheckExact(key) || PyBytes_CheckExact(key) || has_fixed_hash(key)) {
        return 1;
    }
    if (PyTuple_CheckExact(key)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
            if (!has_plain_hash(PyTuple_GET_ITEM(key, i))) {
                return 0;
            }
        }
        return 1;
    }
    if (PyFrozenSet_CheckExact(key)) {
        Py_ssize_t at = 0;
        PyObject *member;
        Py_hash_t hash;
        while (_PySet_NextEntry(key, &at, &member, &hash)) {
            if (!has_plain_hash(member)) {
                return 0;
            }
        }
        return 1;
    }
    return 0;
}

/* What is true of all members of a set. */
static int
of_all_members(PySetObject *set, int (*is_true)(PyObject *))
{
    Py_ssize_t at = 0;
    PyObject *member;
    Py_hash_t hash;
    while (_PySet_NextEntry((PyObject *)set, &at, &member, &hash)) {
        if (!is_true(member)) {
            return 0;
        }
    }
    return 1;
}

static int
have_fixed_hashes(PyDictKeysObject *keys)
{
    PyDictKeyEntry *entry = DK_ENTRIES(keys);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; i++, entry++) {
        if (entry->me_key != NULL && !has_fixed_hash(entry->me_key)) {
            return 0;
        }
    }
    return 1;
}

/* Room for the members of the largest set that is laid out anew. */
static setentry *scratch;

/* Takes hashes from strings, and marks tables of strings and sets. What Python has to be asked about stays in the
 * lists. */
static void
forget_hashes(void)
{
    struct things *strings = &all[VKERNEL_STRING], *keys = &all[VKERNEL_KEYS], *sets = &all[VKERNEL_SET];
    for (size_t i = 0; i < strings->count; i++) {
        ((PyASCIIObject *)strings->list[i])->hash = -1;
    }
    strings->count = 0;
    size_t kept = 0;
    for (size_t i = 0; i < keys->count; i++) {
        PyDictKeysObject *table = keys->list[i];
        if (DK_IS_UNICODE(table)) {
            memset(table->dk_indices, VKERNEL_STALE_BYTE, (size_t)1 << table->dk_log2_index_bytes);
        }
        else if (!have_fixed_hashes(table)) {
            keys->list[kept++] = table;
        }
    }
    keys->count = kept;
    kept = 0;
    size_t marks = 0, largest = 0;
    void **marked = needed(malloc((sets->count + 1) * sizeof *marked));
    for (size_t i = 0; i < sets->count; i++) {
        PySetObject *set = sets->list[i];
        if (of_all_members(set, has_fixed_hash)) {
            continue;
        }
        if (of_all_members(set, has_plain_hash)) {
            marked[marks++] = set;
        }
        else {
            sets->list[kept++] = set;
        }
        if (largest <= (size_t)set->mask) {
            largest = (size_t)set->mask + 1;
        }
    }
    sets->count = kept;
    scratch = needed(malloc((largest + 1) * sizeof *scratch));
    /* Only now, since sets that are members of others have been looked through. */
    for (size_t i = 0; i < marks; i++) {
        ((PySetObject *)marked[i])->finger = VKERNEL_STALE_FINGER;
    }
    free(marked);
}

void
_PyVkernel_recorded(void)
{
    _PyVkernel_recording = 0;
    set_interned_aside();
    forget_hashes();
    size_t used = pages_used * PAGE;
    if (used < _PyVkernel_arena_size) {
        munmap(_PyVkernel_arena + used, _PyVkernel_arena_size - used);
        _PyVkernel_arena_size = used;
    }
    for (int thing = 0; thing < 3; thing++) {
        struct things *things = &all[thing];
        free(things->places);
        things->places = NULL;
        /* One page after the other. */
        qsort(things->list, things->count, sizeof *things->list, by_address);
    }
}

static void
place_key(PyDictKeysObject *keys, Py_hash_t hash, Py_ssize_t index)
{
    size_t mask = ((size_t)1 << keys->dk_log2_size) - 1;
    size_t at = (size_t)hash & mask;
    for (size_t perturb = (size_t)hash;; at = mask & (at * 5 + perturb + 1)) {
        if (keys->dk_log2_size < 8) {
            int8_t *indices = (int8_t *)keys->dk_indices;
            if (indices[at] == DKIX_EMPTY) {
                indices[at] = (int8_t)index;
                return;
            }
        }
        else if (keys->dk_log2_size < 16) {
            int16_t *indices = (int16_t *)keys->dk_indices;
            if (indices[at] == DKIX_EMPTY) {
                indices[at] = (int16_t)index;
                return;
            }
        }
        else {
            int32_t *indices = (int32_t *)keys->dk_indices;
            if (indices[at] == DKIX_EMPTY) {
                indices[at] = (int32_t)index;
                return;
            }
        }
        perturb >>= 5;
    }
}

/* A string's hash, which is not kept: nothing is written to its page. */
static Py_hash_t
hash_of(PyObject *string)
{
    Py_hash_t kept = ((PyASCIIObject *)string)->hash;
    if (kept != -1) {
        return kept;
    }
    return _Py_HashBytes(PyUnicode_DATA(string), PyUnicode_GET_LENGTH(string) * PyUnicode_KIND(string));
}

void
_PyVkernel_lay_out(PyDictKeysObject *keys)
{
    memset(keys->dk_indices, 0xff, (size_t)1 << keys->dk_log2_index_bytes);
    PyDictUnicodeEntry *entry = DK_UNICODE_ENTRIES(keys);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; i++, entry++) {
        if (entry->me_key != NULL) {
            place_key(keys, hash_of(entry->me_key), i);
        }
    }
}

static void
rehash_keys(PyDictKeysObject *keys)
{
    memset(keys->dk_indices, 0xff, (size_t)1 << keys->dk_log2_index_bytes);
    PyDictKeyEntry *entry = DK_ENTRIES(keys);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; i++, entry++) {
        if (entry->me_key != NULL) {
            place_key(keys, entry->me_hash, i);
        }
    }
}

/* The hash of a key, for which `old` was kept; -1 if Python has to be asked. */
static Py_hash_t
new_hash(PyObject *key, Py_hash_t old)
{
    if (PyUnicode_CheckExact(key)) {
        return hash_of(key);
    }
    return has_fixed_hash(key) ? old : -1;
}

/* Puts a key's hash in the place of the one that is kept; see renew_keys(). */
static int
renew(PyObject *key, Py_hash_t *kept, int ask)
{
    Py_hash_t hash = new_hash(key, *kept);
    if (hash == -1 && !ask) {
        return 1;
    }
    if (hash == -1) {
        hash = PyObject_Hash(key);
    }
    if (hash == -1) {
        PyErr_Clear();
        return 1;
    }
    *kept = hash;
    return 0;
}

/* As set_insert_clean() of setobject.c does: nine neighbours of a place are tried too, if there are as many. */
static void
place_member(PySetObject *set, setentry member)
{
    size_t mask = (size_t)set->mask, perturb = (size_t)member.hash, at = perturb & mask;
    for (;; at = (at * 5 + 1 + perturb) & mask) {
        size_t tried = at, last = at + 9 <= mask ? at + 9 : at;
        while (tried < last && set->table[tried].key != NULL) {
            tried++;
        }
        if (set->table[tried].key == NULL) {
            set->table[tried] = member;
            return;
        }
        perturb >>= 5;
    }
}

static void
rehash_set(PySetObject *set)
{
    size_t size = (size_t)set->mask + 1, count = 0;
    for (size_t i = 0; i < size; i++) {
        /* What was removed has the hash -1. */
        if (set->table[i].key != NULL && set->table[i].hash != -1) {
            scratch[count++] = set->table[i];
        }
    }
    memset(set->table, 0, size * sizeof *scratch);
    for (size_t i = 0; i < count; i++) {
        place_member(set, scratch[i]);
    }
    set->fill = set->used = (Py_ssize_t)count;
}

/* The table of built-in modules, by file name and name. */
static void
rehash_modules(void)
{
    _Py_hashtable_t *table = _PyRuntime.imports.extensions.hashtable;
    if (table == NULL) {
        return;
    }
    _Py_slist_item_t *entries = NULL;
    for (size_t i = 0; i < table->nbuckets; i++) {
        _Py_slist_item_t *item = table->buckets[i].head;
        while (item != NULL) {
            _Py_slist_item_t *next = item->next;
            item->next = entries;
            entries = item;
            item = next;
        }
        table->buckets[i].head = NULL;
    }
    while (entries != NULL) {
        _Py_slist_item_t *next = entries->next;
        _Py_hashtable_entry_t *entry = (_Py_hashtable_entry_t *)entries;
        entry->key_hash = table->hash_func(entry->key);
        _Py_slist_t *bucket = &table->buckets[entry->key_hash & (table->nbuckets - 1)];
        entries->next = bucket->head;
        bucket->head = entries;
        entries = next;
    }
}

/* Gives the members of a general table their hashes. Where Python has to be asked for one, and `ask` is not set,
 * the old one stays, and the result is 1. */
static int
renew_keys(PyDictKeysObject *keys, int ask)
{
    int left = 0;
    PyDictKeyEntry *entry = DK_ENTRIES(keys);
    for (Py_ssize_t i = 0; i < keys->dk_nentries; i++, entry++) {
        if (entry->me_key != NULL) {
            left |= renew(entry->me_key, &entry->me_hash, ask);
        }
    }
    return left;
}

static int
renew_members(PySetObject *set, int ask)
{
    int left = 0;
    for (Py_ssize_t i = 0; i <= set->mask; i++) {
        if (set->table[i].key != NULL && set->table[i].hash != -1) {
            left |= renew(set->table[i].key, &set->table[i].hash, ask);
        }
    }
    return left;
}

void
_PyVkernel_lay_out_set(PySetObject *set)
{
    set->finger = 0;
    renew_members(set, 1);
    rehash_set(set);
}

int
_PyVkernel_rehash(void)
{
    if (getrandom(&_Py_HashSecret, sizeof _Py_HashSecret, 0) != sizeof _Py_HashSecret) {
        return -1;
    }
    rehash_modules();
    struct things *keys = &all[VKERNEL_KEYS], *sets = &all[VKERNEL_SET];
    /* Those that Python has to be asked for come last: everything that it may look into is in order by then. */
    size_t keys_left = 0, sets_left = 0;
    for (size_t i = 0; i < keys->count; i++) {
        int left = renew_keys(keys->list[i], 0);
        rehash_keys(keys->list[i]);
        if (left) {
            void *swapped = keys->list[keys_left];
            keys->list[keys_left++] = keys->list[i];
            keys->list[i] = swapped;
        }
    }
    for (size_t i = 0; i < sets->count; i++) {
        int left = renew_members(sets->list[i], 0);
        rehash_set(sets->list[i]);
        if (left) {
            void *swapped = sets->list[sets_left];
            sets->list[sets_left++] = sets->list[i];
            sets->list[i] = swapped;
        }
    }
    for (size_t i = 0; i < keys_left; i++) {
        renew_keys(keys->list[i], 1);
        rehash_keys(keys->list[i]);
    }
    for (size_t i = 0; i < sets_left; i++) {
        renew_members(sets->list[i], 1);
        rehash_set(sets->list[i]);
    }
    return 0;
}
