/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' protobuf format, byte for byte. tests/e2e/test_protobuf.py has it decoded by others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "collect/series.h"
#include "exposition/protobuf.h"
#include "exposition/wire.h"
#include "format/layout.h"
#include "histogram/bins.h"
#include "support/failing.h"
#include "support/hexadecimal.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define STRINGS(...)      \
    (const char *const[]) \
    {                     \
        __VA_ARGS__       \
    }

static void check(const struct kvtel_snapshot_family *family, enum kvtel_histograms histograms, const char *expected)
{
    struct kvtel_exposition_options options = kvtel_exposition_defaults(KVTEL_FORMAT_PROTOBUF);
    struct kvtel_buffer buffer = { 0 };
    char bytes[1024];
    size_t size = bytes_of(expected, bytes);
    options.histograms = histograms;
    assert_int_equal(kvtel_protobuf_family(family, &options, &buffer), KVTEL_OK);
    assert_int_equal(buffer.size, size);
    assert_memory_equal(buffer.bytes, bytes, size);
    kvtel_buffer_free(&buffer);
}

static void test_plain(void **state)
{
    (void)state;
    const struct kvtel_snapshot_series series[] = { { .values = STRINGS("m", "0"), .value = 1 },
                                                    { .values = STRINGS("", "\xC3\xA9"), .value = -2.5 } };
    struct kvtel_snapshot_family family = {
        .name = "a_bytes",
        .type = KVTEL_COUNTER,
        .help = "H\xFF",
        .labelnames = STRINGS("z", "e"),
        .label_count = 2,
        .unit = KVTEL_UNIT_BYTES,
        .series = series,
        .series_count = 2,
    };
    check(&family, KVTEL_HISTOGRAMS_BOTH,
          "58 0a 0d 'a_bytes_total' 12 04 'H' efbfbd 18 00 2a 05 'bytes'"
          " 22 1b 0a 06 0a 01 'e' 12 01 '0' 0a 06 0a 01 'z' 12 01 'm' 1a 09 09 000000000000f03f"
          " 22 1b 0a 07 0a 01 'e' 12 02 c3a9 0a 05 0a 01 'z' 12 00 1a 09 09 00000000000004c0");
    const struct kvtel_snapshot_series since = { .value = 1, .started = 1700000000000000300 };
    struct kvtel_snapshot_family other = { .name = "c", .type = KVTEL_COUNTER, .help = "", .series = &since };
    other.series_count = 1;
    check(&other, KVTEL_HISTOGRAMS_BOTH,
          "25 0a 07 'c_total' 12 00 18 00 22 16 1a 14 09 000000000000f03f 1a 09 08 80e2cfaa06 10 ac02");
    other.type = KVTEL_GAUGE; /* has no start */
    check(&other, KVTEL_HISTOGRAMS_BOTH, "14 0a 01 'c' 12 00 18 01 22 0b 12 09 09 000000000000f03f");
    family.type = KVTEL_GAUGE;
    family.label_count = 0;
    family.series_count = 1;
    family.unit = KVTEL_UNIT_SECONDS;
    check(&family, KVTEL_HISTOGRAMS_BOTH, "1e 0a 07 'a_bytes' 12 04 'H' efbfbd 18 01 22 0b 12 09 09 000000000000f03f");
}

/* The bins of 0.5, 1, 1, 1.5, 2, 2, 2, 7, for which client_golang writes the same spans and deltas. */
static void test_histogram(void **state)
{
    (void)state;
    static const double values[] = { 0.5, 1, 1, 1.5, 2, 2, 2, 7 }, explicit_bounds[] = { 1, 5 };
    struct kvtel_bins *list = NULL;
    int32_t first;
    uint32_t count;
    kvtel_bins_range(KVTEL_UNIT_SECONDS, &first, &count);
    const struct kvtel_bins *bins = kvtel_bins_get(&list, explicit_bounds, 2, first, count);
    assert_non_null(bins);
    uint64_t *counts = calloc(bins->bound_count + 1, sizeof *counts);
    assert_non_null(counts);
    for (size_t i = 0; i < COUNT(values); i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        counts[kvtel_bins_find(bins, bits)]++;
    }
    struct kvtel_snapshot_series series = {
        .count = COUNT(values), .sum = 17, .bins = counts, .bin_count = bins->bound_count + 1
    };
    struct kvtel_snapshot_family family = {
        .name = "h",
        .type = KVTEL_HISTOGRAM,
        .help = "",
        .bounds = bins->bounds,
        .bound_count = bins->bound_count,
        .explicit_bins = bins->explicit_bins,
        .explicit_count = bins->explicit_count,
        .exponential_bins = bins->exponential_bins,
        .exponential_count = bins->exponential_count,
        .exponential_first = bins->exponential_first,
        .schema = KVTEL_LAYOUT_SCHEMA,
        .series = &series,
        .series_count = 1,
    };
#define NATIVE                                                                                                         \
    " 28 06 31 000000000000803e 38 00"                                                                                 \
    " 62 04 08 0f 10 01 62 04 08 0e 10 01 62 04 08 08 10 04 62 04 08 1c 10 01 68 02 68 02 68 01 68 01 68 00 68 06 68 " \
    "03"
#define CLASSIC " 1a 0b 08 03 11 000000000000f03f 1a 0b 08 07 11 0000000000001440"
#define SUMS " 08 08 11 0000000000003140"
    check(&family, KVTEL_HISTOGRAMS_BOTH, "63 0a 01 'h' 12 00 18 04 22 5a 3a 58" SUMS CLASSIC NATIVE);
    check(&family, KVTEL_HISTOGRAMS_NATIVE, "49 0a 01 'h' 12 00 18 04 22 40 3a 3e" SUMS NATIVE);
    check(&family, KVTEL_HISTOGRAMS_CLASSIC, "30 0a 01 'h' 12 00 18 04 22 27 3a 25" SUMS CLASSIC);
    /* no value: an empty span tells that the histogram is native */
    series = (struct kvtel_snapshot_series){ .count = 0 };
    check(&family, KVTEL_HISTOGRAMS_NATIVE,
          "29 0a 01 'h' 12 00 18 04 22 20 3a 1e 08 00 11 0000000000000000 28 06 31 000000000000803e 38 00 62 04 08 00 "
          "10 00");
    series.started = 1000000001; /* the time in which every value came */
    check(&family, KVTEL_HISTOGRAMS_CLASSIC,
          "36 0a 01 'h' 12 00 18 04 22 2d 3a 2b 08 00 11 0000000000000000 1a 0b 08 00 11 000000000000f03f 1a 0b 08 00 "
          "11 0000000000001440 7a 04 08 01 10 01");
    free(counts);
    kvtel_bins_free(list);
}

/* The size of a family is right, whatever number of bytes it takes, and the bytes before the family stay. */
static void test_sizes(void **state)
{
    (void)state;
    enum { MOST = 400 };
    static struct kvtel_snapshot_series series[MOST];
    struct kvtel_exposition_options options = kvtel_exposition_defaults(KVTEL_FORMAT_PROTOBUF);
    char value[4096];
    memset(value, 'v', sizeof value);
    for (size_t length = 0; length < sizeof value; length = length * 5 + 7) {
        value[length] = '\0';
        const char *const values[] = { value };
        for (size_t i = 0; i < MOST; i++)
            series[i] = (struct kvtel_snapshot_series){ .values = values, .value = (double)i };
        for (size_t count = 0; count <= MOST; count = count < 20 ? count + 1 : count * 2) {
            const struct kvtel_snapshot_family family = { .name = "g",
                                                          .type = KVTEL_GAUGE,
                                                          .help = "",
                                                          .labelnames = STRINGS("l"),
                                                          .label_count = 1,
                                                          .series = series,
                                                          .series_count = count };
            struct kvtel_buffer buffer = { 0 };
            assert_int_equal(kvtel_buffer_append_text(&buffer, "before"), KVTEL_OK);
            assert_int_equal(kvtel_protobuf_family(&family, &options, &buffer), KVTEL_OK);
            assert_memory_equal(buffer.bytes, "before", 6);
            size_t size = 0, at = 6;
            for (int shift = 0;; shift += 7) {
                unsigned char byte = (unsigned char)buffer.bytes[at++];
                size |= (size_t)(byte & 0x7F) << shift;
                if (byte < 0x80) {
                    assert_true(byte > 0); /* no byte too many */
                    break;
                }
            }
            assert_int_equal(at + size, buffer.size);
            assert_memory_equal(buffer.bytes + at, "\x0A\x01g\x12\x00\x18\x01", 7);
            kvtel_buffer_free(&buffer);
        }
        value[length] = 'v';
    }
}

static void test_varint_sizes(void **state)
{
    (void)state;
    char bytes[WIRE_VARINT];
    for (int shift = 0; shift < 64; shift++) {
        uint64_t value = UINT64_C(1) << shift;
        assert_int_equal(wire_varint(bytes, value) - bytes, wire_varint_size(value));
        assert_int_equal(wire_varint(bytes, value - 1) - bytes, wire_varint_size(value - 1));
    }
    assert_int_equal(wire_varint(bytes, UINT64_MAX) - bytes, wire_varint_size(UINT64_MAX));
}

static void test_no_memory(void **state)
{
    (void)state;
    static const double bounds[] = { 0.5, 0.75, 1 };
    static const uint32_t explicit_bins[] = { 1 }, exponential_bins[] = { 0, 2 };
    const uint64_t bins[] = { 1, 2, 3, 4 };
    static struct kvtel_snapshot_exemplar exemplars[] = {
        { .time_ns = 1, .value = 0.6, .text_size = 4, .text = "a\0b" }, { .time_ns = 2, .value = 2 }
    };
    const struct kvtel_snapshot_series series = { .values = STRINGS("m"),
                                                  .count = 10,
                                                  .bins = bins,
                                                  .bin_count = 4,
                                                  .exemplars = exemplars,
                                                  .exemplar_count = COUNT(exemplars) };
    const struct kvtel_snapshot_family family = {
        .name = "h",
        .type = KVTEL_HISTOGRAM,
        .help = "H.",
        .labelnames = STRINGS("l"),
        .label_count = 1,
        .bounds = bounds,
        .bound_count = COUNT(bounds),
        .explicit_bins = explicit_bins,
        .explicit_count = COUNT(explicit_bins),
        .exponential_bins = exponential_bins,
        .exponential_count = COUNT(exponential_bins),
        .exponential_first = -1,
        .schema = 0,
        .series = &series,
        .series_count = 1,
    };
    const struct kvtel_exposition_options options = kvtel_exposition_defaults(KVTEL_FORMAT_PROTOBUF);
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct kvtel_buffer buffer = { 0 };
        assert_int_equal(kvtel_buffer_append_text(&buffer, "before"), KVTEL_OK);
        fail_allocation(n);
        enum kvtel_status status = kvtel_protobuf_family(&family, &options, &buffer);
        failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        assert_true(!failed || buffer.size == 6);
        assert_true(failed || n > 5);
        assert_memory_equal(buffer.bytes, "before", 6);
        kvtel_buffer_free(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),        cmocka_unit_test(test_histogram), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_varint_sizes), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
