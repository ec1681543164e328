/* SPDX-License-Identifier: Apache-2.0 */
/* gzip: packing and unpacking, and input that cannot be unpacked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "serve/web/gzip.h"
#include "support/failing.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* The same in pieces of odd sizes. */
static void check_pieces(const struct kvtel_buffer *packed, const struct kvtel_buffer *plain)
{
    struct gzip_reader reader;
    char piece[70001];
    size_t at = 0, step = 1, got;
    assert_int_equal(gzip_reader_open(&reader, packed->bytes, packed->size, plain->size), KVTEL_OK);
    while ((got = gzip_reader_read(&reader, piece, step)) > 0) {
        assert_true(got == step || at + got == plain->size);
        assert_memory_equal(piece, plain->bytes + at, got);
        at += got;
        step = step * 3 % sizeof piece + 1;
    }
    assert_int_equal(at, plain->size);
    gzip_reader_close(&reader);
}

static void there_and_back(void **state)
{
    struct kvtel_buffer plain = { 0 }, packed = { 0 }, back = { 0 };
    (void)state;
    for (int i = 0; i < 50000; i++)
        assert_int_equal(kvtel_buffer_printf(&plain, "requests_total{code=\"%d\"} %d\n", i % 600, i), KVTEL_OK);
    assert_int_equal(gzip_compress(plain.bytes, plain.size, &packed), KVTEL_OK);
    assert_true(packed.size < plain.size / 4);
    assert_int_equal(gzip_expand(packed.bytes, packed.size, plain.size, &back), KVTEL_OK);
    assert_int_equal(back.size, plain.size);
    assert_memory_equal(back.bytes, plain.bytes, plain.size);
    check_pieces(&packed, &plain);

    /* One byte less is too little room, and nothing is left behind. */
    assert_int_equal(gzip_expand(packed.bytes, packed.size, plain.size - 1, &back), KVTEL_E_LIMIT);
    assert_int_equal(back.size, plain.size);
    back.size = 0;
    assert_int_equal(gzip_expand(packed.bytes, packed.size - 1, plain.size, &back), KVTEL_E_TRUNCATED);
    assert_int_equal(gzip_expand(packed.bytes, 0, plain.size, &back), KVTEL_E_TRUNCATED);
    assert_int_equal(gzip_expand(plain.bytes, plain.size, plain.size, &back), KVTEL_E_SYNTAX);
    packed.bytes[packed.size - 5] ^= 1; /* in the checksum */
    assert_int_equal(gzip_expand(packed.bytes, packed.size, plain.size, &back), KVTEL_E_SYNTAX);
    assert_int_equal(back.size, 0);
    kvtel_buffer_free(&plain);
    kvtel_buffer_free(&packed);
    kvtel_buffer_free(&back);
}

static void members(void **state)
{
    struct kvtel_buffer packed = { 0 }, back = { 0 };
    (void)state;
    assert_int_equal(gzip_compress("one ", 4, &packed), KVTEL_OK);
    assert_int_equal(gzip_compress("", 0, &packed), KVTEL_OK);
    assert_int_equal(gzip_compress("two", 3, &packed), KVTEL_OK);
    assert_int_equal(gzip_expand(packed.bytes, packed.size, 100, &back), KVTEL_OK);
    assert_int_equal(back.size, 7);
    assert_memory_equal(back.bytes, "one two", 7);
    kvtel_buffer_free(&packed);
    kvtel_buffer_free(&back);
}

/* Text that cannot be packed, of sizes around those in which memory grows. */
static void of_any_size(void **state)
{
    static const size_t sizes[] = { 0, 1, 2, 511, 512, 4095, 16383, 16384, 16385, 65535, 65536, 65537, 300001 };
    struct kvtel_buffer plain = { 0 }, packed = { 0 }, back = { 0 };
    uint32_t draw = 1;
    (void)state;
    assert_int_equal(kvtel_buffer_reserve(&plain, sizes[COUNT(sizes) - 1]), KVTEL_OK);
    for (size_t i = 0; i < sizes[COUNT(sizes) - 1]; i++) {
        draw = draw * 1664525 + 1013904223;
        plain.bytes[i] = (char)(draw >> 24);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        kvtel_buffer_free(&packed);
        back.size = 0;
        assert_int_equal(gzip_compress(plain.bytes, sizes[i], &packed), KVTEL_OK);
        assert_true(packed.size < sizes[i] + sizes[i] / 100 + 64);
        assert_int_equal(gzip_expand(packed.bytes, packed.size, sizes[i], &back), KVTEL_OK);
        assert_int_equal(back.size, sizes[i]);
        assert_memory_equal(back.bytes, plain.bytes, sizes[i]);
    }
    kvtel_buffer_free(&plain);
    kvtel_buffer_free(&packed);
    kvtel_buffer_free(&back);
}

static void without_memory(void **state)
{
    struct kvtel_buffer plain = { 0 };
    size_t n = 0;
    bool failed;
    (void)state;
    for (uint32_t i = 0, draw = 1; i < 40000; i++, draw = draw * 1664525 + 1013904223)
        assert_int_equal(kvtel_buffer_printf(&plain, "%u\n", draw), KVTEL_OK);
    do {
        struct kvtel_buffer packed = { 0 };
        assert_int_equal(kvtel_buffer_append_text(&packed, "before"), KVTEL_OK);
        fail_allocation(++n);
        enum kvtel_status status = gzip_compress(plain.bytes, plain.size, &packed);
        failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        assert_true(failed == (packed.size == strlen("before")));
        assert_memory_equal(packed.bytes, "before", strlen("before"));
        kvtel_buffer_free(&packed);
    } while (failed);
    assert_true(n > 3); /* its state, and memory for what comes out, which grows */
    kvtel_buffer_free(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(members),
        cmocka_unit_test(of_any_size),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
