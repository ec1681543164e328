/* SPDX-License-Identifier: Apache-2.0 */
/* Growing memory, the writer, and places in JSON text. Allocation goes through __wrap_malloc, __wrap_calloc,
 * __wrap_realloc and
 * __wrap_strdup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "support/failing.h"
#include "value/value.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static void buffers(void **state)
{
    (void)state;
    struct kvtel_buffer buffer = { 0 };
    assert_int_equal(kvtel_buffer_reserve(&buffer, SIZE_MAX), KVTEL_E_NOMEM);
    assert_int_equal(kvtel_buffer_append(&buffer, NULL, 0), KVTEL_OK);
    assert_int_equal(kvtel_buffer_printf(&buffer, "%s", ""), KVTEL_OK);
    assert_int_equal(buffer.size, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(kvtel_buffer_printf(&buffer, "%04d,%s", i, "abcde"), KVTEL_OK);
    assert_int_equal(buffer.size, 1000);
    assert_memory_equal(buffer.bytes + 990, "0099,abcde", 10);
    assert_int_equal(kvtel_buffer_reserve(&buffer, SIZE_MAX - 10), KVTEL_E_NOMEM);
    size_t room = buffer.capacity - buffer.size;
    fail_allocation(1);
    assert_int_equal(kvtel_buffer_printf(&buffer, "%*s", (int)room + 1, "x"), KVTEL_E_NOMEM);
    assert_true(allocation_did_fail());
    assert_int_equal(buffer.size, 1000);
    kvtel_buffer_free(&buffer);
    assert_null(buffer.bytes);
    kvtel_buffer_free(NULL);
}

static void arena_memory(void **state)
{
    (void)state;
    struct kvtel_arena arena = { 0 };
    assert_null(kvtel_arena_alloc(&arena, SIZE_MAX));
    assert_null(kvtel_arena_alloc(&arena, SIZE_MAX - 8));
    for (size_t round = 0; round < 3; round++) {
        fail_allocation(round > 0); /* a reset keeps the memory */
        for (size_t size = 1; size < 100000; size = size * 3 + 1) {
            char *piece = kvtel_arena_alloc(&arena, size);
            assert_non_null(piece);
            assert_int_equal((uintptr_t)piece % 8, 0);
            memset(piece, 0x5A, size);
        }
        kvtel_arena_reset(&arena);
    }
    assert_false(allocation_did_fail());
    assert_non_null(kvtel_arena_alloc(&arena, 1000000)); /* in place of a smaller block */
    kvtel_arena_free(&arena);
    kvtel_arena_free(&arena);
}

static void writer_in_json(void **state)
{
    (void)state;
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_writer writer;
    kvtel_buffer_append_text(&buffer, "> ");
    kvtel_writer_init(&writer, KVTEL_JSON, &buffer);
    kvtel_writer_map(&writer, 4);
    kvtel_writer_text(&writer, "a");
    kvtel_writer_array(&writer, 3);
    kvtel_writer_integer(&writer, -1);
    kvtel_writer_number(&writer, 1e-5);
    kvtel_writer_array(&writer, 0);
    kvtel_writer_text(&writer, "[\"x\"]");
    kvtel_writer_map(&writer, 0);
    kvtel_writer_text(&writer, "bytes");
    kvtel_writer_string(&writer, "\xff\xc3\x28", 3);
    kvtel_writer_text(&writer, "n");
    kvtel_writer_nil(&writer);
    kvtel_writer_bool(&writer, true);
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_OK);
    kvtel_buffer_append_byte(&buffer, '\0');
    assert_string_equal(
        buffer.bytes,
        "> {\"a\": [-1, 1e-05, []], \"[\\\"x\\\"]\": {}, \"bytes\": \"\\ufffd\\ufffd(\", \"n\": null}true");
    kvtel_buffer_free(&buffer);
}

static void writer_fails_whole(void **state)
{
    (void)state;
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, KVTEL_JSON, &buffer);
    kvtel_writer_integer(&writer, 1);
    kvtel_writer_array(&writer, 2);
    kvtel_writer_integer(&writer, 2);
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_E_ARGUMENT);
    assert_int_equal(buffer.size, 1);
    for (int format = KVTEL_MSGPACK; format <= KVTEL_JSON; format++) {
        kvtel_writer_init(&writer, (enum kvtel_format)format, &buffer);
        for (int i = 0; i <= KVTEL_VALUE_DEPTH; i++)
            kvtel_writer_array(&writer, 1);
        assert_int_equal(kvtel_writer_finish(&writer), KVTEL_E_DEPTH);
        kvtel_writer_init(&writer, (enum kvtel_format)format, &buffer);
        kvtel_writer_map(&writer, (size_t)UINT32_MAX + 1);
        assert_int_equal(kvtel_writer_finish(&writer), KVTEL_E_ARGUMENT);
        assert_int_equal(buffer.size, 1);
    }
    kvtel_buffer_free(&buffer);
}

static void places(void **state)
{
    (void)state;
    static const char text[] =
        " {\"a\": [10, {\"b\": \"}\", \"c\\n\": {\"d\": [[], 5]}}],\n  \"a\\\"\" : -1e5, \"e\": 1, \"e\": true}";
    static const struct {
        const char *name;
        struct kvtel_value_step path[5];
        size_t depth;
        const char *at;
    } rows[] = {
        { "the object", { { 0 } }, 0, " {\"a\": [10" },
        { "first key", { { .key = "a" } }, 1, "\"a\": [" },
        { "item", { { .key = "a" }, { .index = 0 } }, 2, "10, {" },
        { "key after text with a brace", { { .key = "a" }, { .index = 1 }, { .key = "c\n" } }, 3, "\"c\\n\"" },
        { "deep item", { { .key = "a" }, { .index = 1 }, { .key = "c\n" }, { .key = "d" }, { .index = 1 } }, 5, "5]}" },
        { "escaped key", { { .key = "a\"" } }, 1, "\"a\\\"\" :" },
        { "the last of two", { { .key = "e" } }, 1, "\"e\": true" },
        { "no such item", { { .key = "a" }, { .index = 2 } }, 2, "\"a\": [" },
        { "key of a list", { { .key = "a" }, { .key = "x" } }, 2, "\"a\": [" },
        { "no such key", { { .key = "x" } }, 1, " {" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t offset = kvtel_value_locate(text, strlen(text), rows[i].path, rows[i].depth);
        if (offset > strlen(text) || strncmp(text + offset, rows[i].at, strlen(rows[i].at)) != 0)
            fail_msg("%s: at %zu", rows[i].name, offset);
        for (size_t size = 0; size < strlen(text); size++) {
            char *copy = malloc(size + 1);
            assert_non_null(copy);
            memcpy(copy + 1, text, size);
            assert_true(kvtel_value_locate(copy + 1, size, rows[i].path, rows[i].depth) <= size);
            free(copy);
        }
    }
    struct kvtel_error error = { .offset = strlen(text) - 1 };
    kvtel_error_place(&error, text, strlen(text));
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers),        cmocka_unit_test(arena_memory),
        cmocka_unit_test(writer_in_json), cmocka_unit_test(writer_fails_whole),
        cmocka_unit_test(places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
