/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded object: what both wire formats become, so that all that reads payloads and recordings reads one thing. */
#ifndef KVTEL_VALUE_H
#define KVTEL_VALUE_H

#include <kvtel/base.h>

/* Levels of nesting that decoding accepts. The deepest real payload (typed, under a MultiConnector, in a recording) has 7. */
enum { KVTEL_VALUE_DEPTH = 32 };

enum kvtel_value_kind {
    KVTEL_VALUE_NIL,
    KVTEL_VALUE_BOOL,    /* integer is 0 or 1 */
    KVTEL_VALUE_INTEGER, /* fits int64_t; what does not is a KVTEL_VALUE_DOUBLE */
    KVTEL_VALUE_DOUBLE,
    KVTEL_VALUE_STRING, /* size bytes and a NUL */
    KVTEL_VALUE_ARRAY,  /* size items */
    KVTEL_VALUE_MAP     /* size pairs: items[2i] is a key, items[2i + 1] its value */
};

struct kvtel_value {
    uint32_t kind;
    uint32_t size;
    union {
        int64_t integer;
        double number;
        const char *text;
        const struct kvtel_value *items;
    };
};

/* Where the values live: one allocation list, freed at once. Start from {0}. A reset keeps the memory. */
struct kvtel_arena_block;
struct kvtel_arena {
    struct kvtel_arena_block *first, *current;
};
void *kvtel_arena_alloc(struct kvtel_arena *arena, size_t size); /* 8-byte aligned; NULL without memory */
void kvtel_arena_reset(struct kvtel_arena *arena);
void kvtel_arena_free(struct kvtel_arena *arena);

/* Decodes exactly one object that fills `bytes`. `value` points into `arena` and, for nothing else, never into `bytes`.
 * `error` may be NULL. Status: KVTEL_OK, _SYNTAX, _TRUNCATED, _TRAILING, _DEPTH, _NOMEM. Memory is bounded by the input's size. */
enum kvtel_status kvtel_value_decode(enum kvtel_format format, const void *bytes, size_t size, struct kvtel_arena *arena,
                                     struct kvtel_value *value, struct kvtel_error *error);
/* The same for MessagePack objects one after the other: decodes the first, `used` gets its length. */
enum kvtel_status kvtel_value_decode_next(const void *bytes, size_t size, size_t *used, struct kvtel_arena *arena,
                                          struct kvtel_value *value, struct kvtel_error *error);

/* The value of a string key of a map, or NULL. The last one wins where a key stands twice. */
const struct kvtel_value *kvtel_value_get(const struct kvtel_value *map, const char *key);
bool kvtel_value_is_text(const struct kvtel_value *value, const char *text);
/* INTEGER or DOUBLE (not BOOL) as a double. */
bool kvtel_value_number(const struct kvtel_value *value, double *number);

#endif
