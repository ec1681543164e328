/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of a decoded object besides its size in bytes: number of values, length of texts, repeated keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "value/value.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* `most` is the smallest limit that the text passes; `place` is where one less is passed. */
static void counts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t most, place;
    } rows[] = {
        { "[1, 2, 3]", 6, 5 },
        { "{\"a\": 1}", 11, 4 },
        { "[[], {}]", 17, 5 },
        { "[\"a,[{:\\\",\", 1]", 5, 11 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kvtel_arena arena = { 0 };
        struct kvtel_value value;
        struct kvtel_error error = { 0 };
        size_t size = strlen(rows[i].text);
        assert_int_equal(
            kvtel_value_decode_within(KVTEL_JSON, rows[i].text, size, rows[i].most, &arena, &value, &error), KVTEL_OK);
        assert_int_equal(
            kvtel_value_decode_within(KVTEL_JSON, rows[i].text, size, rows[i].most - 1, &arena, &value, &error),
            KVTEL_E_LIMIT);
        if (error.offset != rows[i].place)
            fail_msg("%s: %zu", rows[i].text, error.offset);
        kvtel_arena_free(&arena);
    }
}

static void counts_of_msgpack(void **state)
{
    (void)state;
    static const char bytes[] = "\x93\x01\x81\xa1x\x02\x03"; /* [1, {"x": 2}, 3] */
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    struct kvtel_error error = { 0 };
    size_t used;
    assert_int_equal(kvtel_value_decode_next(bytes, sizeof(bytes) - 1, 5, &used, &arena, &value, &error), KVTEL_OK);
    assert_int_equal(kvtel_value_decode_next(bytes, sizeof(bytes) - 1, 4, &used, &arena, &value, &error),
                     KVTEL_E_LIMIT);
    assert_int_equal(error.offset, 2);
    kvtel_arena_free(&arena);
}

static void texts(void **state)
{
    (void)state;
    static char text[KVTEL_TEXT_LIMIT + 2];
    memset(text, 'x', KVTEL_TEXT_LIMIT + 1);
    struct kvtel_value value = { .kind = KVTEL_VALUE_STRING, .size = KVTEL_TEXT_LIMIT, .text = text };
    assert_null(kvtel_value_text_fault(&value));
    value.size++;
    assert_non_null(strstr(kvtel_value_text_fault(&value), "1,024"));
    text[7] = '\0';
    assert_non_null(strstr(kvtel_value_text_fault(&value), "NUL"));
}

static void keys(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key;
        size_t place;
    } rows[] = {
        { "{\"a\": {\"b\": 1, \"c\": 2}, \"b\": 3}", NULL, 0 },
        { "{\"a\": 1, \"a\": 2}", "\"a\"", 9 },
        { "[{}, {\"b\\\"\": 1, \"b\\\"\": 2}]", "\"b\\\"\"", 16 },
        { "{\"a\"", NULL, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kvtel_error error = { 0 };
        assert_int_equal(kvtel_json_keys_differ(rows[i].text, strlen(rows[i].text), &error), rows[i].key == NULL);
        if (!rows[i].key)
            continue;
        assert_int_equal(error.offset, rows[i].place);
        assert_non_null(strstr(error.message, rows[i].key));
    }
}

static void nesting_is_limited(void **state)
{
    (void)state;
    static const struct {
        enum kvtel_format format;
        const char *open, *inside, *close;
    } forms[] = {
        { KVTEL_JSON, "[", "1", "]" },
        { KVTEL_JSON, "{\"[\": ", "[]", "}" },
        { KVTEL_MSGPACK, "\x91", "\x01", "" },
        { KVTEL_MSGPACK, "\x81\x01", "\x90", "" },
    };
    static const size_t depths[] = { 31, 32, 33, 2047, 2048, 2049, 10000 };
    for (size_t i = 0; i < COUNT(forms); i++) {
        for (size_t j = 0; j < COUNT(depths); j++) {
            struct kvtel_buffer buffer = { 0 };
            struct kvtel_arena arena = { 0 };
            struct kvtel_value value;
            struct kvtel_error error;
            bool empty_inside = forms[i].inside[0] != '1' && forms[i].inside[0] != '\x01';
            for (size_t k = 0; k < depths[j] - empty_inside; k++)
                kvtel_buffer_append_text(&buffer, forms[i].open);
            kvtel_buffer_append_text(&buffer, forms[i].inside);
            for (size_t k = 0; k < depths[j] - empty_inside; k++)
                kvtel_buffer_append_text(&buffer, forms[i].close);
            enum kvtel_status status =
                kvtel_value_decode(forms[i].format, buffer.bytes, buffer.size, &arena, &value, &error);
            if (status != (depths[j] <= KVTEL_VALUE_DEPTH ? KVTEL_OK : KVTEL_E_DEPTH))
                fail_msg("form %zu, %zu levels: status %d at %zu: %s", i, depths[j], status, error.offset,
                         error.message);
            size_t expected = KVTEL_VALUE_DEPTH * strlen(forms[i].open);
            if (status != KVTEL_OK && error.offset != expected)
                fail_msg("form %zu, %zu levels: at %zu", i, depths[j], error.offset);
            kvtel_arena_free(&arena);
            kvtel_buffer_free(&buffer);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts), cmocka_unit_test(counts_of_msgpack),  cmocka_unit_test(texts),
        cmocka_unit_test(keys),   cmocka_unit_test(nesting_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
