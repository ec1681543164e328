/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded object: what both wire formats become, so that all that reads payloads and recordings reads one thing. */
#ifndef KVTEL_VALUE_VALUE_H
#define KVTEL_VALUE_VALUE_H

#include <kvtel/base.h>

#include "base/arena.h"
#include <kvtel/buffer.h>

/* Levels of nesting that decoding accepts. The deepest real payload (typed, under a MultiConnector, in a recording)
 * has 7. */
enum { KVTEL_VALUE_DEPTH = 32 };

/* Values that one decoded object may have, so that memory is bounded by them too and not by its bytes alone: 64 bytes
 * of memory for each. In JSON, where an empty map takes far more than its two bytes, a list counts as 4, a map as 8 and
 * a member as 3 more; in MessagePack each item is one. A payload of 1,000,000 transfers of NIXL has 4,000,005. */
enum { KVTEL_VALUE_COUNT = 1 << 22 };

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

/* Decodes exactly one object that fills `bytes`. `value` points into `arena`, never into `bytes`, and stays as it was
 * on failure; the arena may then have grown. `error` may be NULL. Memory is bounded by the input's size and by
 * KVTEL_VALUE_COUNT, which is checked before anything is allocated. Status: KVTEL_OK, _SYNTAX, _TRUNCATED, _TRAILING,
 * _DEPTH, _TYPE (a MessagePack extension), _LIMIT (more values than that; JSON of 2 GiB or more), _NOMEM. An integer
 * that does not fit int64_t is a DOUBLE in both formats; JSON's NaN and reals past a double's range are errors. Text of
 * JSON is UTF-8; that of MessagePack is what came. JSON keeps one pair where a key stands twice: the first's place, the
 * last's value. */
enum kvtel_status kvtel_value_decode(enum kvtel_format format, const void *bytes, size_t size,
                                     struct kvtel_arena *arena, struct kvtel_value *value, struct kvtel_error *error);
/* The same with a limit of its own in place of KVTEL_VALUE_COUNT. */
enum kvtel_status kvtel_value_decode_within(enum kvtel_format format, const void *bytes, size_t size, size_t count,
                                            struct kvtel_arena *arena, struct kvtel_value *value,
                                            struct kvtel_error *error);
/* The same for MessagePack objects one after the other: decodes the first, `used` gets its length. */
enum kvtel_status kvtel_value_decode_next(const void *bytes, size_t size, size_t count, size_t *used,
                                          struct kvtel_arena *arena, struct kvtel_value *value,
                                          struct kvtel_error *error);
/* The first key that stands twice in a map of one valid JSON object: false, with its place in `error`. True when none
 * does, and without memory. */
bool kvtel_json_keys_differ(const char *text, size_t size, struct kvtel_error *error);

/* The value of a string key of a map, or NULL. The last one wins where a key stands twice. */
const struct kvtel_value *kvtel_value_get(const struct kvtel_value *map, const char *key);
bool kvtel_value_is_text(const struct kvtel_value *value, const char *text);
/* The same of a decoded object, without a place: MessagePack keeps both pairs. */
bool kvtel_value_keys_differ(const struct kvtel_value *value, struct kvtel_error *error);
/* Why a text cannot be kept as a C string or as a label: a NUL in it, or more than KVTEL_TEXT_LIMIT bytes. A phrase
 * that goes on after the text's name ("is longer than 1,024 bytes"); NULL when it can. `value` is a STRING. */
const char *kvtel_value_text_fault(const struct kvtel_value *value);
/* A deep copy that lives in `arena`. KVTEL_OK or KVTEL_E_NOMEM. */
enum kvtel_status kvtel_value_copy(struct kvtel_arena *arena, const struct kvtel_value *value,
                                   struct kvtel_value *copy);
/* INTEGER or DOUBLE (not BOOL) as a double. */
bool kvtel_value_number(const struct kvtel_value *value, double *number);

/* One step of a path into an object: into the member `key`, or, where key is NULL, to the item `index` of a list. */
struct kvtel_value_step {
    const char *key;
    size_t index;
};
struct kvtel_value_path {
    struct kvtel_value_step steps[KVTEL_VALUE_DEPTH]; /* one for each container around a value: never more */
    size_t depth;
};
/* Where in the JSON text of one valid object a path ends: the offset of the member's key, or of the item. Where the
 * path leaves the object: the offset of the last step that is there (0 when none is). The last of two equal keys
 * counts. */
size_t kvtel_value_locate(const char *json, size_t size, const struct kvtel_value_step *path, size_t depth);
/* Fills `line` and `column` from `offset`. */
void kvtel_error_place(struct kvtel_error *error, const char *text, size_t size);

/* Writes one object after the other to the end of a buffer. Containers say beforehand how many items (pairs) follow and
 * end by themselves. The first failure stays: what follows is ignored. JSON reads as Python's json.dumps() writes it
 * (", ", ": ", ASCII only; bytes that are no UTF-8 become U+FFFD). A tuple key is an array in key position in
 * MessagePack, text in JSON. */
struct kvtel_writer {
    struct kvtel_buffer *buffer;
    enum kvtel_format format;
    enum kvtel_status status;
    size_t start; /* of what was not finished */
    unsigned depth;
    struct {
        bool map;
        uint64_t count, left; /* items; a pair has two */
    } levels[KVTEL_VALUE_DEPTH];
};
void kvtel_writer_init(struct kvtel_writer *writer, enum kvtel_format format, struct kvtel_buffer *buffer);
void kvtel_writer_map(struct kvtel_writer *writer, size_t pairs);
void kvtel_writer_array(struct kvtel_writer *writer, size_t items);
void kvtel_writer_text(struct kvtel_writer *writer, const char *text); /* keys too */
void kvtel_writer_string(struct kvtel_writer *writer, const char *bytes, size_t size);
void kvtel_writer_integer(struct kvtel_writer *writer, int64_t integer);
void kvtel_writer_number(struct kvtel_writer *writer,
                         double number); /* what is not finite: NaN, Infinity, as Python writes it */
void kvtel_writer_nil(struct kvtel_writer *writer);
void kvtel_writer_bool(struct kvtel_writer *writer, bool on);
/* A decoded object, whole. */
void kvtel_writer_value(struct kvtel_writer *writer, const struct kvtel_value *value);
/* The first failure, or KVTEL_OK. Unless all that was begun is complete, the buffer is again as it was before the
 * unfinished object. Status: KVTEL_OK, _NOMEM, _DEPTH, _ARGUMENT (not complete, a JSON key that is no text, text or a
 * container past 2^32 - 1). */
enum kvtel_status kvtel_writer_finish(struct kvtel_writer *writer);

#endif
