/* SPDX-License-Identifier: Apache-2.0 */
/* A decoded object. Both wire formats are decoded into the same tree, so that the readers of payloads and recordings
 * handle one form. */
#ifndef KVTEL_VALUE_VALUE_H
#define KVTEL_VALUE_VALUE_H

#include <kvtel/base.h>

#include "base/arena.h"
#include <kvtel/buffer.h>

/* Levels of nesting that decoding accepts. The deepest real payload (typed, under a MultiConnector, in a recording)
 * has 7. */
enum { KVTEL_VALUE_DEPTH = 32 };

/* Limit of values in one decoded object. It bounds memory (64 bytes for each value) where the size in bytes would
 * not. In JSON, where an empty map takes far more memory than its two bytes, a list counts as 4 values, a map as 8
 * and a member as 3 more; in MessagePack each item counts as one. A NIXL payload of 1,000,000 transfers has
 * 4,000,005. */
enum { KVTEL_VALUE_COUNT = 1 << 22 };

enum kvtel_value_kind {
    KVTEL_VALUE_NIL,
    KVTEL_VALUE_BOOL,    /* integer is 0 or 1 */
    KVTEL_VALUE_INTEGER, /* fits int64_t; larger integers are a KVTEL_VALUE_DOUBLE */
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

/* Decodes exactly one object that fills `bytes`. `value` points into `arena`, never into `bytes`. On failure `value`
 * is unchanged, but the arena may have grown. `error` may be NULL. Memory is bounded by the input's size and by
 * KVTEL_VALUE_COUNT, which is checked before anything is allocated.
 * Status: KVTEL_OK, _SYNTAX, _TRUNCATED, _TRAILING, _DEPTH, _TYPE (a MessagePack extension), _LIMIT (too many
 * values; JSON of 2 GiB or more), _NOMEM.
 * An integer that does not fit int64_t is a DOUBLE in both formats; JSON's NaN and reals beyond a double's range are
 * errors. JSON text must be UTF-8; MessagePack text is not checked. If a key occurs twice, JSON keeps one pair, with
 * the place of the first and the value of the last. */
enum kvtel_status kvtel_value_decode(enum kvtel_format format, const void *bytes, size_t size,
                                     struct kvtel_arena *arena, struct kvtel_value *value, struct kvtel_error *error);
/* The same, with `count` as limit of values instead of KVTEL_VALUE_COUNT. */
enum kvtel_status kvtel_value_decode_within(enum kvtel_format format, const void *bytes, size_t size, size_t count,
                                            struct kvtel_arena *arena, struct kvtel_value *value,
                                            struct kvtel_error *error);
/* The same for MessagePack objects that follow each other: decodes the first one; `used` returns its length. */
enum kvtel_status kvtel_value_decode_next(const void *bytes, size_t size, size_t count, size_t *used,
                                          struct kvtel_arena *arena, struct kvtel_value *value,
                                          struct kvtel_error *error);
/* Whether no map of one valid JSON object has a key twice. False: `error` gives the place of the first such key.
 * True also without memory. */
bool kvtel_json_keys_differ(const char *text, size_t size, struct kvtel_error *error);

/* The value of a string key of a map, or NULL. If a key occurs twice the last one counts. */
const struct kvtel_value *kvtel_value_get(const struct kvtel_value *map, const char *key);
bool kvtel_value_is_text(const struct kvtel_value *value, const char *text);
/* Like kvtel_json_keys_differ(), for a decoded object and without a place. Of use for MessagePack, which keeps both
 * pairs. */
bool kvtel_value_keys_differ(const struct kvtel_value *value, struct kvtel_error *error);
/* Why a text cannot be a C string or a label: it contains a NUL, or more than KVTEL_TEXT_LIMIT bytes. Returns a
 * phrase to follow the text's name ("is longer than 1,024 bytes"); NULL when the text is usable. `value` is a
 * STRING. */
const char *kvtel_value_text_fault(const struct kvtel_value *value);
/* A deep copy that lives in `arena`. KVTEL_OK or KVTEL_E_NOMEM. */
enum kvtel_status kvtel_value_copy(struct kvtel_arena *arena, const struct kvtel_value *value,
                                   struct kvtel_value *copy);
/* Reads an INTEGER or DOUBLE (not a BOOL) as a double. False: another kind. */
bool kvtel_value_number(const struct kvtel_value *value, double *number);

/* One step of a path into an object: to the member `key`, or, if key is NULL, to the item `index` of a list. */
struct kvtel_value_step {
    const char *key;
    size_t index;
};
struct kvtel_value_path {
    struct kvtel_value_step steps[KVTEL_VALUE_DEPTH]; /* nesting is limited to as many containers */
    size_t depth;
};
/* The offset in the JSON text of one valid object at which a path ends: that of the member's key, or of the item. If
 * the object does not contain the whole path: the offset of the last step that exists (0: none does). Of two equal
 * keys the last one counts. */
size_t kvtel_value_locate(const char *json, size_t size, const struct kvtel_value_step *path, size_t depth);
/* Fills `line` and `column` from `offset`. */
void kvtel_error_place(struct kvtel_error *error, const char *text, size_t size);

/* Writes objects one after the other to the end of a buffer. A container announces its number of items (or pairs)
 * when it begins, and ends by itself after the last one. After a failure further calls do nothing, and
 * kvtel_writer_finish() returns the failure. JSON is formatted as by Python's json.dumps() (", ", ": ", ASCII only;
 * bytes that are not UTF-8 become U+FFFD). A tuple key is an array as key in MessagePack, and text in JSON. One
 * thread at a time. */
struct kvtel_writer {
    struct kvtel_buffer *buffer;
    enum kvtel_format format;
    enum kvtel_status status;
    size_t start; /* where the unfinished object begins */
    unsigned depth;
    struct {
        bool map;
        uint64_t count, left; /* items announced and items left; a pair counts as two */
    } levels[KVTEL_VALUE_DEPTH];
};
void kvtel_writer_init(struct kvtel_writer *writer, enum kvtel_format format, struct kvtel_buffer *buffer);
void kvtel_writer_map(struct kvtel_writer *writer, size_t pairs);
void kvtel_writer_array(struct kvtel_writer *writer, size_t items);
void kvtel_writer_text(struct kvtel_writer *writer, const char *text); /* also writes keys */
void kvtel_writer_string(struct kvtel_writer *writer, const char *bytes, size_t size);
void kvtel_writer_integer(struct kvtel_writer *writer, int64_t integer);
void kvtel_writer_number(struct kvtel_writer *writer,
                         /* A number that is not finite is written as NaN or Infinity, as Python does. */
                         double number);
void kvtel_writer_nil(struct kvtel_writer *writer);
void kvtel_writer_bool(struct kvtel_writer *writer, bool on);
/* Writes a whole decoded object. */
void kvtel_writer_value(struct kvtel_writer *writer, const struct kvtel_value *value);
/* Returns the first failure, or KVTEL_OK. Unless every object is complete, the buffer is cut back to where the
 * unfinished object began. Status: KVTEL_OK, _NOMEM, _DEPTH, _ARGUMENT (an object is incomplete, a JSON key is not
 * text, a text or container is larger than 2^32 - 1). */
enum kvtel_status kvtel_writer_finish(struct kvtel_writer *writer);

#endif
