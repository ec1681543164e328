/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding in both formats, and writing what was decoded. The library's allocations go through __wrap_malloc,
 * __wrap_calloc,
 * __wrap_realloc and __wrap_strdup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "base/buffer.h"
#include "support/failing.h"
#include "value/value.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static size_t unhex(const char *hex, unsigned char *bytes)
{
    size_t size = 0;
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2 + (hex[2] == ' '))
        bytes[size++] = (unsigned char)byte;
    return size;
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    bytes[*size] = '\0';
    fclose(file);
    return bytes;
}

/* A copy that ends where its memory ends, so that a sanitizer sees a read past it. */
static enum kvtel_status decode_exact(enum kvtel_format format, const void *bytes, size_t size,
                                      struct kvtel_arena *arena, struct kvtel_value *value, struct kvtel_error *error)
{
    char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    enum kvtel_status status = kvtel_value_decode(format, copy, size, arena, value, error);
    memset(copy, 'x', size);
    free(copy);
    return status;
}

static void write_value(enum kvtel_format format, const struct kvtel_value *value, struct kvtel_buffer *buffer)
{
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, format, buffer);
    kvtel_writer_value(&writer, value);
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_OK);
}

struct scalar {
    const char *name, *hex, *json;
    enum kvtel_value_kind kind;
    int64_t integer;
    double number;
    const char *text;
    size_t size;
};

static const struct scalar scalars[] = {
    { "nil", "c0", "null", .kind = KVTEL_VALUE_NIL },
    { "false", "c2", "false", .kind = KVTEL_VALUE_BOOL, .integer = 0 },
    { "true", "c3", "true", .kind = KVTEL_VALUE_BOOL, .integer = 1 },
    { "zero", "00", "0", .kind = KVTEL_VALUE_INTEGER },
    { "fixint", "7f", "127", .kind = KVTEL_VALUE_INTEGER, .integer = 127 },
    { "negative fixint", "e0", "-32", .kind = KVTEL_VALUE_INTEGER, .integer = -32 },
    { "uint8", "ccff", "255", .kind = KVTEL_VALUE_INTEGER, .integer = 255 },
    { "uint16", "cdffff", "65535", .kind = KVTEL_VALUE_INTEGER, .integer = 65535 },
    { "uint32", "ceffffffff", "4294967295", .kind = KVTEL_VALUE_INTEGER, .integer = 4294967295 },
    { "uint64", "cf7fffffffffffffff", "9223372036854775807", .kind = KVTEL_VALUE_INTEGER, .integer = INT64_MAX },
    { "int8", "d080", "-128", .kind = KVTEL_VALUE_INTEGER, .integer = -128 },
    { "int16", "d18000", "-32768", .kind = KVTEL_VALUE_INTEGER, .integer = -32768 },
    { "int32", "d280000000", "-2147483648", .kind = KVTEL_VALUE_INTEGER, .integer = INT32_MIN },
    { "int64", "d38000000000000000", "-9223372036854775808", .kind = KVTEL_VALUE_INTEGER, .integer = INT64_MIN },
    { "double", "cb3ff8000000000000", "1.5", .kind = KVTEL_VALUE_DOUBLE, .number = 1.5 },
    { "whole double", "cb4008000000000000", "3.0", .kind = KVTEL_VALUE_DOUBLE, .number = 3.0 },
    { "empty text", "a0", "\"\"", .kind = KVTEL_VALUE_STRING, .text = "", .size = 0 },
    { "text", "a3616263", "\"abc\"", .kind = KVTEL_VALUE_STRING, .text = "abc", .size = 3 },
    { "text with NUL", "a3610062", "\"a\\u0000b\"", .kind = KVTEL_VALUE_STRING, .text = "a\0b", .size = 3 },
    { "escaped text", "a822 5c 08 0c 0a 0d 09 7f", "\"\\\"\\\\\\b\\f\\n\\r\\t\\u007f\"", .kind = KVTEL_VALUE_STRING,
      .text = "\"\\\b\f\n\r\t\x7f", .size = 8 },
    { "text beyond ASCII", "a9 c3a9 e4bdbf f09f9880", "\"\\u00e9\\u4f7f\\ud83d\\ude00\"", .kind = KVTEL_VALUE_STRING,
      .text = "\u00e9\u4f7f\U0001f600", .size = 9 },
};

/* Encodings that decode to the same, but are not what is written. */
static const struct scalar aliases[] = {
    { "float", "ca3fc00000", "15e-1", .kind = KVTEL_VALUE_DOUBLE, .number = 1.5 },
    { "uint64 past int64", "cfffffffffffffffff", "18446744073709551615", .kind = KVTEL_VALUE_DOUBLE,
      .number = 18446744073709551615.0 },
    { "uint8 of a small number", "cc01", " 1\n", .kind = KVTEL_VALUE_INTEGER, .integer = 1 },
    { "bin8", "c402 6162", "\"\\u0061b\"", .kind = KVTEL_VALUE_STRING, .text = "ab", .size = 2 },
    { "bin16", "c50001 61", "\"a\"", .kind = KVTEL_VALUE_STRING, .text = "a", .size = 1 },
    { "bin32", "c600000000", "\"\"", .kind = KVTEL_VALUE_STRING, .text = "", .size = 0 },
    { "str8", "d900", "\"\"", .kind = KVTEL_VALUE_STRING, .text = "", .size = 0 },
    { "str16", "da0001 61", "\"a\"", .kind = KVTEL_VALUE_STRING, .text = "a", .size = 1 },
    { "str32", "db00000001 61", "\"a\"", .kind = KVTEL_VALUE_STRING, .text = "a", .size = 1 },
};

static void check_scalar(const struct scalar *row, const struct kvtel_value *value)
{
    if (value->kind != row->kind)
        fail_msg("%s: kind %u", row->name, value->kind);
    if (row->kind == KVTEL_VALUE_STRING) {
        assert_int_equal(value->size, row->size);
        assert_memory_equal(value->text, row->text, row->size + 1);
    } else if (row->kind == KVTEL_VALUE_DOUBLE) {
        assert_memory_equal(&value->number, &row->number, sizeof(double));
    } else if (row->kind != KVTEL_VALUE_NIL) {
        assert_int_equal(value->integer, row->integer);
    }
}

static void decode_scalar(const struct scalar *row, bool written_so)
{
    unsigned char bytes[64];
    size_t size = unhex(row->hex, bytes);
    struct kvtel_arena arena = { 0 };
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_value value;
    assert_int_equal(decode_exact(KVTEL_MSGPACK, bytes, size, &arena, &value, NULL), KVTEL_OK);
    check_scalar(row, &value);
    if (written_so) {
        write_value(KVTEL_MSGPACK, &value, &buffer);
        assert_int_equal(buffer.size, size);
        assert_memory_equal(buffer.bytes, bytes, size);
    }
    assert_int_equal(decode_exact(KVTEL_JSON, row->json, strlen(row->json), &arena, &value, NULL), KVTEL_OK);
    check_scalar(row, &value);
    if (written_so) {
        buffer.size = 0;
        write_value(KVTEL_JSON, &value, &buffer);
        assert_int_equal(buffer.size, strlen(row->json));
        assert_memory_equal(buffer.bytes, row->json, buffer.size);
    }
    kvtel_buffer_free(&buffer);
    kvtel_arena_free(&arena);
}

static void scalars_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(scalars); i++)
        decode_scalar(&scalars[i], true);
    for (size_t i = 0; i < COUNT(aliases); i++)
        decode_scalar(&aliases[i], false);
}

/* Each number of the table once more inside a long list, where they are taken in a row. */
static void lists_of_numbers(void **state)
{
    (void)state;
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    unsigned char bytes[64];
    size_t count = 0;
    kvtel_buffer_append(&buffer, "\xdd\0\0\0\0", 5);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT(scalars) + COUNT(aliases); i++, count++) {
            const struct scalar *row = i < COUNT(scalars) ? &scalars[i] : &aliases[i - COUNT(scalars)];
            kvtel_buffer_append(&buffer, bytes, unhex(row->hex, bytes));
        }
    }
    buffer.bytes[4] = (char)count;
    assert_int_equal(decode_exact(KVTEL_MSGPACK, buffer.bytes, buffer.size, &arena, &value, NULL), KVTEL_OK);
    assert_int_equal(value.kind, KVTEL_VALUE_ARRAY);
    assert_int_equal(value.size, count);
    for (size_t i = 0; i < count; i++) {
        size_t at = i % (COUNT(scalars) + COUNT(aliases));
        check_scalar(at < COUNT(scalars) ? &scalars[at] : &aliases[at - COUNT(scalars)], &value.items[i]);
    }
    for (size_t size = 0; size < buffer.size; size++) {
        struct kvtel_error error;
        assert_int_equal(decode_exact(KVTEL_MSGPACK, buffer.bytes, size, &arena, &value, &error), KVTEL_E_TRUNCATED);
        assert_true(error.offset <= size);
    }
    kvtel_arena_free(&arena);
    kvtel_buffer_free(&buffer);
}

static const struct {
    const char *name, *hex;
    enum kvtel_status status;
    size_t offset;
} bad_msgpack[] = {
    { "nothing", "", KVTEL_E_TRUNCATED, 0 },
    { "type that is none", "c1", KVTEL_E_SYNTAX, 0 },
    { "type that is none, in a list", "93 01 c1 02", KVTEL_E_SYNTAX, 2 },
    { "list without its last item", "93 01 02", KVTEL_E_TRUNCATED, 3 },
    { "map without a value", "81 a161", KVTEL_E_TRUNCATED, 3 },
    { "half a double", "cb 3ff800", KVTEL_E_TRUNCATED, 4 },
    { "half a text", "a5 6162", KVTEL_E_TRUNCATED, 3 },
    { "half a length", "db 0000", KVTEL_E_TRUNCATED, 3 },
    { "text of 2^32-1", "dbffffffff 61626364656667686162636465666768", KVTEL_E_TRUNCATED, 21 },
    { "list of 2^32-1", "ddffffffff 0102030405060708090a0b0c0d0e0f", KVTEL_E_TRUNCATED, 0 },
    { "map of 2^32-1", "dfffffffff 0102030405060708090a0b0c0d0e0f", KVTEL_E_TRUNCATED, 0 },
    { "list of 2^32-1 inside", "82 a161 01 a162 ddffffffff 0102030405060708090a", KVTEL_E_TRUNCATED, 6 },
    { "map of 15 in 10 bytes", "92 01 8f 01020304050607", KVTEL_E_TRUNCATED, 2 },
    { "list of 65535", "dcffff 00", KVTEL_E_TRUNCATED, 0 },
    { "bytes after the object", "01 02 03", KVTEL_E_TRAILING, 1 },
    { "bytes after a map", "81 a161 c0 c0", KVTEL_E_TRAILING, 4 },
    { "extension", "91 d4 01 02", KVTEL_E_TYPE, 1 },
    { "extension of 2^32-1", "c9 ffffffff 01", KVTEL_E_TYPE, 4 },
};

static void bad_msgpack_has_a_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_msgpack); i++) {
        unsigned char bytes[64];
        size_t size = unhex(bad_msgpack[i].hex, bytes);
        struct kvtel_arena arena = { 0 };
        struct kvtel_value value = { .kind = 99 };
        struct kvtel_error error;
        assert_int_equal(decode_exact(KVTEL_MSGPACK, bytes, size, &arena, &value, NULL), bad_msgpack[i].status);
        enum kvtel_status status = decode_exact(KVTEL_MSGPACK, bytes, size, &arena, &value, &error);
        if (status != bad_msgpack[i].status || error.status != status || error.offset != bad_msgpack[i].offset)
            fail_msg("%s: status %d at %zu: %s", bad_msgpack[i].name, status, error.offset, error.message);
        assert_int_equal(error.line, 0);
        assert_int_equal(error.column, 0);
        assert_int_equal(value.kind, 99);
        kvtel_arena_free(&arena);
    }
}

static const struct {
    const char *name, *text;
    enum kvtel_status status;
    size_t offset;
    uint32_t line, column;
} bad_json[] = {
    { "nothing", "", KVTEL_E_TRUNCATED, 0, 1, 1 },
    { "space", " \n ", KVTEL_E_TRUNCATED, 3, 2, 2 },
    { "open list", "[1, 2", KVTEL_E_TRUNCATED, 5, 1, 6 },
    { "open object", "{\"a\":\n{\"b\": 1}", KVTEL_E_TRUNCATED, 14, 2, 9 },
    { "open text", "[\"abc", KVTEL_E_TRUNCATED, 5, 1, 6 },
    { "comma before a bracket", "[1,\n2,]", KVTEL_E_SYNTAX, 6, 2, 3 },
    { "no colon", "{\"a\" 1}", KVTEL_E_SYNTAX, 5, 1, 6 },
    { "no comma", "{\"a\": 1 \"b\": 2}", KVTEL_E_SYNTAX, 8, 1, 9 },
    { "key that is no text", "{1: 2}", KVTEL_E_SYNTAX, 1, 1, 2 },
    { "word", "[1, trux]", KVTEL_E_SYNTAX, 4, 1, 5 },
    { "NaN", "[NaN]", KVTEL_E_SYNTAX, 1, 1, 2 },
    { "bad escape", "[\"ab\\q\"]", KVTEL_E_SYNTAX, 5, 1, 6 },
    { "line break in a text", "[\"a\nb\"]", KVTEL_E_SYNTAX, 2, 1, 3 },
    { "not UTF-8", "[\"\xff\"]", KVTEL_E_SYNTAX, 2, 1, 3 },
    { "half a surrogate pair", "[\"\\ud800\"]", KVTEL_E_SYNTAX, 1, 1, 2 },
    { "real past a double", "[1, 1e999]", KVTEL_E_SYNTAX, 4, 1, 5 },
    { "real past a double after a wide integer", "[99999999999999999999, 1e999]", KVTEL_E_SYNTAX, 23, 1, 24 },
    { "syntax after two wide integers", "[99999999999999999999,\n-99999999999999999999, x]", KVTEL_E_SYNTAX, 46, 2,
      24 },
    { "column in bytes", "[\"\u00e9\", x]", KVTEL_E_SYNTAX, 7, 1, 8 },
    { "two values", "{} {}", KVTEL_E_TRAILING, 3, 1, 4 },
    { "bracket after the end", "[1]\n]", KVTEL_E_TRAILING, 4, 2, 1 },
};

static void bad_json_has_a_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_json); i++) {
        struct kvtel_arena arena = { 0 };
        struct kvtel_value value = { .kind = 99 };
        struct kvtel_error error;
        size_t size = strlen(bad_json[i].text);
        assert_int_equal(decode_exact(KVTEL_JSON, bad_json[i].text, size, &arena, &value, NULL), bad_json[i].status);
        enum kvtel_status status = decode_exact(KVTEL_JSON, bad_json[i].text, size, &arena, &value, &error);
        if (status != bad_json[i].status || error.status != status || error.offset != bad_json[i].offset ||
            error.line != bad_json[i].line || error.column != bad_json[i].column)
            fail_msg("%s: status %d at %zu (%u:%u): %s", bad_json[i].name, status, error.offset, error.line,
                     error.column, error.message);
        assert_int_equal(value.kind, 99);
        kvtel_arena_free(&arena);
    }
}

static void nul_bytes_in_json(void **state)
{
    (void)state;
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    struct kvtel_error error;
    static const struct {
        const char *text;
        size_t size, offset;
    } rows[] = {
        { "\0", 1, 0 },     { "[1, \0]", 6, 4 },    { "[1\0, 2]", 7, 2 },
        { "[1] \0", 5, 4 }, { "[\"a\0b\"]", 7, 3 }, { "[x, \0]", 6, 1 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(decode_exact(KVTEL_JSON, rows[i].text, rows[i].size, &arena, &value, &error), KVTEL_E_SYNTAX);
        assert_int_equal(error.offset, rows[i].offset);
    }
    assert_int_equal(decode_exact(KVTEL_JSON, "{\"a\\u0000b\": 1}", 15, &arena, &value, &error), KVTEL_E_SYNTAX);
    kvtel_arena_free(&arena);
}

static void tuple_keys(void **state)
{
    (void)state;
    unsigned char bytes[64];
    size_t size = unhex("82a5747970657381a163a7636f756e746572a46461746181a16382900191a16102", bytes);
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    assert_int_equal(decode_exact(KVTEL_MSGPACK, bytes, size, &arena, &value, NULL), KVTEL_OK);
    const struct kvtel_value *types = kvtel_value_get(&value, "types");
    assert_true(kvtel_value_is_text(kvtel_value_get(types, "c"), "counter"));
    const struct kvtel_value *c = kvtel_value_get(kvtel_value_get(&value, "data"), "c");
    assert_int_equal(c->size, 2);
    assert_int_equal(c->items[0].kind, KVTEL_VALUE_ARRAY);
    assert_int_equal(c->items[0].size, 0);
    assert_int_equal(c->items[2].size, 1);
    assert_true(kvtel_value_is_text(&c->items[2].items[0], "a"));
    struct kvtel_buffer buffer = { 0 };
    write_value(KVTEL_MSGPACK, &value, &buffer);
    assert_int_equal(buffer.size, size);
    assert_memory_equal(buffer.bytes, bytes, size);
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, KVTEL_JSON, &buffer);
    kvtel_writer_value(&writer, &value);
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_E_ARGUMENT);
    assert_int_equal(buffer.size, size);
    kvtel_buffer_free(&buffer);
    kvtel_arena_free(&arena);
}

static void lookups(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": 1, \"b\": 2.5, \"a\": true, \"c\": \"x\"}";
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    double number = 0;
    assert_int_equal(decode_exact(KVTEL_JSON, text, strlen(text), &arena, &value, NULL), KVTEL_OK);
    assert_int_equal(value.size, 3);
    assert_int_equal(kvtel_value_get(&value, "a")->kind, KVTEL_VALUE_BOOL);
    assert_false(kvtel_value_number(kvtel_value_get(&value, "a"), &number));
    assert_true(kvtel_value_number(kvtel_value_get(&value, "b"), &number));
    assert_float_equal(number, 2.5, 0);
    assert_null(kvtel_value_get(&value, "d"));
    assert_null(kvtel_value_get(kvtel_value_get(&value, "c"), "d"));
    assert_false(kvtel_value_is_text(kvtel_value_get(&value, "b"), "x"));
    assert_false(kvtel_value_is_text(kvtel_value_get(&value, "c"), "xy"));
    assert_int_equal(decode_exact(KVTEL_MSGPACK, "\x82\xa1\x61\x01\xa1\x61\x02", 7, &arena, &value, NULL), KVTEL_OK);
    assert_int_equal(kvtel_value_get(&value, "a")->integer, 2);
    kvtel_arena_free(&arena);
}

static void wide_integers(void **state)
{
    (void)state;
    static const char text[] =
        "[9223372036854775808, 7, -9223372036854775809, \"99999999999999999999\", 9223372036854775807, 3.0]";
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    assert_int_equal(decode_exact(KVTEL_JSON, text, strlen(text), &arena, &value, NULL), KVTEL_OK);
    assert_int_equal(value.items[0].kind, KVTEL_VALUE_DOUBLE);
    assert_float_equal(value.items[0].number, 9223372036854775808.0, 0);
    assert_int_equal(value.items[1].kind, KVTEL_VALUE_INTEGER);
    assert_int_equal(value.items[2].kind, KVTEL_VALUE_DOUBLE);
    assert_true(kvtel_value_is_text(&value.items[3], "99999999999999999999"));
    assert_int_equal(value.items[4].integer, INT64_MAX);
    assert_int_equal(value.items[5].kind, KVTEL_VALUE_DOUBLE);
    kvtel_arena_free(&arena);
}

/* Python wrote the golden recordings: what was decoded is written to the letter. */
static void golden_recordings(void **state)
{
    (void)state;
    DIR *folder = opendir(KVTEL_TEST_DATA "/golden");
    assert_non_null(folder);
    size_t objects = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *suffix = strrchr(entry->d_name, '.');
        char path[512];
        snprintf(path, sizeof(path), KVTEL_TEST_DATA "/golden/%s", entry->d_name);
        enum kvtel_format format = suffix && strcmp(suffix, ".mp") == 0 ? KVTEL_MSGPACK : KVTEL_JSON;
        if (!suffix || (format == KVTEL_JSON && strcmp(suffix, ".jsonl") != 0))
            continue;
        size_t size, used;
        char *bytes = read_file(path, &size);
        struct kvtel_arena arena = { 0 };
        struct kvtel_buffer buffer = { 0 };
        for (size_t at = 0; at < size; at += used + (format == KVTEL_JSON), objects++) {
            struct kvtel_value value;
            struct kvtel_error error = { 0 };
            if (format == KVTEL_JSON) {
                used = strcspn(bytes + at, "\n");
                kvtel_value_decode(KVTEL_JSON, bytes + at, used, &arena, &value, &error);
            } else {
                kvtel_value_decode_next(bytes + at, size - at, KVTEL_VALUE_COUNT, &used, &arena, &value, &error);
            }
            if (error.status != KVTEL_OK)
                fail_msg("%s at %zu: %s", path, at + error.offset, error.message);
            buffer.size = 0;
            write_value(format, &value, &buffer);
            if (buffer.size != used || memcmp(buffer.bytes, bytes + at, used) != 0)
                fail_msg("%s at %zu: %.*s", path, at, (int)buffer.size, buffer.bytes);
            kvtel_arena_reset(&arena);
        }
        kvtel_buffer_free(&buffer);
        kvtel_arena_free(&arena);
        free(bytes);
    }
    closedir(folder);
    assert_true(objects > 100);
}

/* Every allocation of the library fails once: an error, and nothing is changed. */
static void without_memory(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"a\": [1, 2, 3], \"b\": \"text\", \"c\": {\"d\": []}}",
        "[99999999999999999999, {\"a\": \"b\"}]",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct kvtel_arena arena = { 0 };
        struct kvtel_buffer packed = { 0 };
        struct kvtel_value whole, value = { .kind = 99 };
        struct kvtel_error error;
        assert_int_equal(decode_exact(KVTEL_JSON, texts[i], strlen(texts[i]), &arena, &whole, NULL), KVTEL_OK);
        write_value(KVTEL_MSGPACK, &whole, &packed);
        for (int format = KVTEL_MSGPACK; format <= KVTEL_JSON; format++) {
            bool failed = true;
            for (size_t n = 1; failed; n++) {
                struct kvtel_arena scarce = { 0 };
                const char *bytes = format == KVTEL_JSON ? texts[i] : packed.bytes;
                size_t size = format == KVTEL_JSON ? strlen(texts[i]) : packed.size;
                fail_allocation(n);
                enum kvtel_status status =
                    kvtel_value_decode((enum kvtel_format)format, bytes, size, &scarce, &value, &error);
                failed = allocation_did_fail();
                assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
                assert_true((value.kind == 99) == failed);
                kvtel_arena_free(&scarce);
            }
            value.kind = 99;
            struct kvtel_buffer buffer = { 0 };
            struct kvtel_writer writer;
            kvtel_writer_init(&writer, (enum kvtel_format)format, &buffer);
            fail_allocation(1);
            kvtel_writer_value(&writer, &whole);
            assert_int_equal(kvtel_writer_finish(&writer), KVTEL_E_NOMEM);
            assert_true(allocation_did_fail());
            assert_int_equal(buffer.size, 0);
            kvtel_buffer_free(&buffer);
        }
        kvtel_buffer_free(&packed);
        kvtel_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_round_trip),
        cmocka_unit_test(lists_of_numbers),
        cmocka_unit_test(bad_msgpack_has_a_place),
        cmocka_unit_test(bad_json_has_a_place),
        cmocka_unit_test(nul_bytes_in_json),
        cmocka_unit_test(tuple_keys),
        cmocka_unit_test(lookups),
        cmocka_unit_test(wide_integers),
        cmocka_unit_test(golden_recordings),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
