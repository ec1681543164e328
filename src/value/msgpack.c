/* SPDX-License-Identifier: Apache-2.0 */
/* MessagePack: msgpack-c's parser template, instantiated to build a struct kvtel_value directly. Building
 * msgpack-c's generic objects and converting them takes several times as long. */
#include "base/error.h"
#include "value/codec.h"

#define MSGPACK_EMBED_STACK_SIZE KVTEL_VALUE_DEPTH
#define MSGPACK_UNPACK_PARSE_ERROR KVTEL_E_SYNTAX
#define MSGPACK_UNPACK_NOMEM_ERROR KVTEL_E_DEPTH /* the parser uses it only when its stack is full */
#include <msgpack/unpack_define.h>

struct parse {
    struct kvtel_arena *arena;
    /* Number of items that containers may still announce. Each item takes at least a byte, so all together are at
     * most as many as the input has bytes. This bounds memory by the input's size, whatever lengths the input
     * claims. */

    size_t promises;
    size_t count; /* number of items that the object may still have */
};

#define msgpack_unpack_struct(name) struct parse##name
#define msgpack_unpack_func(type, name) static inline type parse##name
#define msgpack_unpack_callback(name) take##name
#define msgpack_unpack_object struct kvtel_value
#define msgpack_unpack_user struct parse

#define TAKE_INTEGER(name, type)                                                                \
    static inline int take_##name(struct parse *parse, type integer, struct kvtel_value *value) \
    {                                                                                           \
        (void)parse;                                                                            \
        *value = (struct kvtel_value){ .kind = KVTEL_VALUE_INTEGER, .integer = integer };       \
        return KVTEL_OK;                                                                        \
    }
TAKE_INTEGER(uint8, uint8_t)
TAKE_INTEGER(uint16, uint16_t)
TAKE_INTEGER(uint32, uint32_t)
TAKE_INTEGER(int8, int8_t)
TAKE_INTEGER(int16, int16_t)
TAKE_INTEGER(int32, int32_t)
TAKE_INTEGER(int64, int64_t)

static inline int take_double(struct parse *parse, double number, struct kvtel_value *value)
{
    (void)parse;
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_DOUBLE, .number = number };
    return KVTEL_OK;
}

static inline int take_float(struct parse *parse, float number, struct kvtel_value *value)
{
    return take_double(parse, (double)number, value);
}

static inline int take_uint64(struct parse *parse, uint64_t integer, struct kvtel_value *value)
{
    return integer <= INT64_MAX ? take_int64(parse, (int64_t)integer, value)
                                : take_double(parse, (double)integer, value);
}

static inline struct kvtel_value take_root(struct parse *parse)
{
    (void)parse;
    return (struct kvtel_value){ .kind = KVTEL_VALUE_NIL };
}

static inline int take_nil(struct parse *parse, struct kvtel_value *value)
{
    *value = take_root(parse);
    return KVTEL_OK;
}

static inline int take_true(struct parse *parse, struct kvtel_value *value)
{
    (void)parse;
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_BOOL, .integer = 1 };
    return KVTEL_OK;
}

static inline int take_false(struct parse *parse, struct kvtel_value *value)
{
    (void)parse;
    *value = (struct kvtel_value){ .kind = KVTEL_VALUE_BOOL, .integer = 0 };
    return KVTEL_OK;
}

static inline int take_str(struct parse *parse, const char *input, const char *bytes, unsigned size,
                           struct kvtel_value *value)
{
    (void)input;
    struct kvtel_value string; /* a local, so that the parser's own object stays in registers */
    if (!kvtel_value_set_string(&string, parse->arena, bytes, size))
        return KVTEL_E_NOMEM;
    *value = string;
    return KVTEL_OK;
}

static inline int take_bin(struct parse *parse, const char *input, const char *bytes, unsigned size,
                           struct kvtel_value *value)
{
    return take_str(parse, input, bytes, size, value);
}

static inline int take_ext(struct parse *parse, const char *input, const char *bytes, unsigned size,
                           struct kvtel_value *value)
{
    (void)parse, (void)input, (void)bytes, (void)size, (void)value;
    return KVTEL_E_TYPE;
}

static int start_container(struct parse *parse, enum kvtel_value_kind kind, size_t items, struct kvtel_value *value)
{
    struct kvtel_value *room = NULL;
    if (items > parse->promises)
        return KVTEL_E_TRUNCATED;
    parse->promises -= items;
    if (items > parse->count)
        return KVTEL_E_LIMIT;
    parse->count -= items;
    if (items > SIZE_MAX / sizeof(*room) ||
        (items > 0 && !(room = kvtel_arena_alloc(parse->arena, items * sizeof(*room)))))
        return KVTEL_E_NOMEM;
    *value = (struct kvtel_value){ .kind = kind, .items = room };
    return KVTEL_OK;
}

static inline int take_array(struct parse *parse, unsigned size, struct kvtel_value *array)
{
    return start_container(parse, KVTEL_VALUE_ARRAY, size, array);
}

/* The encoding of an integer, by its first byte. length 0: not an integer of this table. The integer is in the last
 * 8 - shift / 8 bytes, big-endian. */
struct integer_code {
    uint8_t length, shift;
    uint64_t sign; /* the sign bit to extend to 64 bits; 0: unsigned */
};
static const struct integer_code integer_codes[256] = {
    [0x00 ... 0x7F] = { 1, 56, 0 }, [0xCC] = { 2, 56, 0 },
    [0xCD] = { 3, 48, 0 },          [0xCE] = { 5, 32, 0 },
    [0xCF] = { 9, 0, 0 },           [0xD0] = { 2, 56, 0x80 },
    [0xD1] = { 3, 48, 0x8000 },     [0xD2] = { 5, 32, 0x80000000 },
    [0xD3] = { 9, 0, 0 },           [0xE0 ... 0xFF] = { 1, 56, 0x80 },
};

/* Takes integers without a branch on their encoding, which a processor cannot predict; most of a payload is lists of
 * numbers. Stops at any other value, near the end of the input, and before the list's last item. Returns the number
 * of bytes taken. */
static size_t take_numbers(struct kvtel_value *array, const unsigned char *input, size_t size, size_t *left)
{
    struct kvtel_value *place = (struct kvtel_value *)array->items + array->size;
    size_t taken = 0;
    size_t count = 0;
    for (; count + 1 < *left && size - taken >= 9; count++) {
        unsigned char first = input[taken];
        uint64_t bits;
        if (first ==
            /* Doubles do get a branch: they come in a row, and the next one need not wait for a lookup in the table. */
            0xCB) {
            _msgpack_load64(uint64_t, input + taken + 1, &bits);
            place[count].kind = KVTEL_VALUE_DOUBLE;
            taken += 9;
        } else {
            const struct integer_code *code = &integer_codes[first];
            _msgpack_load64(uint64_t, input + taken + (code->length > 1), &bits);
            bits = ((bits >> code->shift) ^ code->sign) - code->sign;
            if (code->length == 0 || (first == 0xCF && bits > INT64_MAX))
                break;
            place[count].kind = KVTEL_VALUE_INTEGER;
            taken += code->length;
        }
        place[count].size = 0;
        place[count].integer = (int64_t)bits;
    }
    array->size += (uint32_t)count;
    *left -= count;
    return taken;
}

static inline void append_item(struct kvtel_value *array, struct kvtel_value item)
{
    ((struct kvtel_value *)array->items)[array->size++] = item;
}

/* Uses variables of the parser: `p` is the item's last byte, `pe` the end of the input, `c->count` the number of
 * items left, including this one. */
#define take_array_item(parse, array, item) \
    (append_item(array, item), p += take_numbers(array, p + 1, (size_t)(pe - p) - 1, &c->count), KVTEL_OK)

static inline int take_map(struct parse *parse, unsigned size, struct kvtel_value *map)
{
    return start_container(parse, KVTEL_VALUE_MAP, 2 * (size_t)size, map);
}

static inline int take_map_item(struct parse *parse, struct kvtel_value *map, struct kvtel_value key,
                                struct kvtel_value item)
{
    (void)parse;
    struct kvtel_value *pair = (struct kvtel_value *)map->items + 2 * (size_t)map->size++;
    pair[0] = key;
    pair[1] = item;
    return KVTEL_OK;
}

#include <msgpack/unpack_template.h>

enum kvtel_status kvtel_value_decode_next(const void *bytes, size_t size, size_t count, size_t *used,
                                          struct kvtel_arena *arena, struct kvtel_value *value,
                                          struct kvtel_error *error)
{
    struct parse_context context = { .user = { .arena = arena, .promises = size, .count = count } };
    size_t offset = 0;
    parse_init(&context);
    int result = parse_execute(&context, size > 0 ? bytes : "", size, &offset);
    if (result == 1) {
        *used = offset;
        *value = context.stack[0].obj;
        return KVTEL_OK;
    }
    if (result == 0)
        return kvtel_fail(error, KVTEL_E_TRUNCATED, size, "the MessagePack object is not complete");
    /* the parser's position is the last byte of the item that it refuses */
    if (context.cs != MSGPACK_CS_HEADER)
        offset -= context.trail;
    switch (result) {
    case KVTEL_E_TRUNCATED:
        return kvtel_fail(error, result, offset, "a container promises more items than there are bytes");
    case KVTEL_E_LIMIT:
        return kvtel_fail(error, result, offset, KVTEL_TOO_MANY_VALUES, count);
    case KVTEL_E_DEPTH:
        return kvtel_fail(error, result, offset, "nested more than %d levels deep", KVTEL_VALUE_DEPTH);
    case KVTEL_E_TYPE:
        return kvtel_fail(error, result, offset, "a MessagePack extension, which no payload has");
    case KVTEL_E_SYNTAX:
        return kvtel_fail(error, result, offset, "not a MessagePack type: 0x%02x",
                          ((const unsigned char *)bytes)[offset]);
    default:
        return kvtel_fail(error, KVTEL_E_NOMEM, offset, "out of memory");
    }
}
