/* SPDX-License-Identifier: Apache-2.0 */
/* Codings of answers: the Accept-Encoding header, and zstd. tests/test_gzip.c has gzip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

#include "base/buffer.h"
#include "serve/web/coding.h"
#include "serve/web/zstd.h"
#include "support/failing.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct {
    const char *header;
    enum coding coding;
} headers[] = {
    { NULL, CODING_PLAIN },
    { "", CODING_PLAIN },
    { "gzip", CODING_GZIP },
    { "GZip", CODING_GZIP },
    { "x-gzip", CODING_GZIP },
    { "deflate, gzip;q=1.0, *;q=0.5", CODING_GZIP },
    { "gzip;q=0", CODING_PLAIN },
    { "gzip; q=0.000", CODING_PLAIN },
    { "gzip;q=0.001", CODING_GZIP },
    { "gzip;q=0.5, identity;q=0.6", CODING_PLAIN },
    { "gzip;q=0.5, identity;q=0.5", CODING_GZIP },
    { "identity", CODING_PLAIN },
    { "*", CODING_GZIP },
    { "*;q=0", CODING_PLAIN },
    { "*;q=0, gzip", CODING_GZIP },
    { "gzip;q=0, *", CODING_PLAIN },
    { "br, deflate", CODING_PLAIN },
    { "zstd,gzip", CODING_ZSTD }, /* Prometheus 3 with zstd-scrape */
    { "gzip, deflate, br, zstd", CODING_ZSTD },
    { "ZSTD", CODING_ZSTD },
    { "zstd;q=0, gzip", CODING_GZIP },
    { "zstd;q=0.5, gzip;q=0.6", CODING_GZIP },
    { "zstd;q=0.5, gzip;q=0.5", CODING_ZSTD },
    { "zstd;q=0.5, identity;q=0.6", CODING_PLAIN },
    { "zstd;q=0", CODING_PLAIN },
    { "zstd;q=0, *", CODING_GZIP },
    { "zstd;q=0.5, *", CODING_GZIP },
    { "zstd, *;q=0.5", CODING_ZSTD },
    { "zstd;q=x", CODING_PLAIN },
    { "zstd;level=3", CODING_PLAIN },
    { "gzipped", CODING_PLAIN },
    { "gzip;q=2", CODING_PLAIN },
    { "gzip;q=1.5", CODING_PLAIN },
    { "gzip;q=0.1234", CODING_PLAIN },
    { "gzip;q=", CODING_PLAIN },
    { "gzip;level=9", CODING_PLAIN },
    { " ,, \tgzip \t; q=1 ,", CODING_GZIP },
};

static void negotiation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(headers); i++)
        if (coding_choose(headers[i].header) != headers[i].coding)
            fail_msg("\"%s\"", headers[i].header ? headers[i].header : "none");
}

static void names(void **state)
{
    (void)state;
    assert_null(coding_name(CODING_PLAIN));
    assert_string_equal(coding_name(CODING_GZIP), "gzip");
    assert_string_equal(coding_name(CODING_ZSTD), "zstd");
}

/* One frame, which states its size, behind what the buffer had. */
static void zstd_round_trip(void **state)
{
    (void)state;
    for (size_t size = 0; size < 1 << 20; size = 3 * size + 1) {
        char *plain = malloc(size + 1), *again = malloc(size + 1);
        struct kvtel_buffer packed = { 0 };
        assert_true(plain && again);
        for (size_t i = 0; i < size; i++)
            plain[i] = (char)(i * i % 251);
        assert_int_equal(kvtel_buffer_append_text(&packed, "before"), KVTEL_OK);
        assert_int_equal(zstd_compress(plain, size, &packed), KVTEL_OK);
        const char *frame = packed.bytes + 6;
        assert_memory_equal(packed.bytes, "before", 6);
        assert_int_equal(ZSTD_getFrameContentSize(frame, packed.size - 6), size);
        assert_int_equal(ZSTD_findFrameCompressedSize(frame, packed.size - 6), packed.size - 6);
        assert_int_equal(ZSTD_decompress(again, size, frame, packed.size - 6), size);
        assert_memory_equal(again, plain, size);
        kvtel_buffer_free(&packed);
        free(plain);
        free(again);
    }
}

static void zstd_without_memory(void **state)
{
    (void)state;
    struct kvtel_buffer packed = { 0 };
    fail_allocation(1);
    assert_int_equal(zstd_compress("text", 4, &packed), KVTEL_E_NOMEM);
    assert_true(allocation_did_fail());
    assert_int_equal(packed.size, 0);
    kvtel_buffer_free(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(negotiation),
        cmocka_unit_test(names),
        cmocka_unit_test(zstd_round_trip),
        cmocka_unit_test(zstd_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
