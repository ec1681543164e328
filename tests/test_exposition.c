/* SPDX-License-Identifier: Apache-2.0 */
/* The text formats, from families made by hand and from a store. */
#include "collect/series.h"
#include "base/buffer.h"
#include "exposition/text.h"

#include <kvtel/exposition.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define STRINGS(...)      \
    (const char *const[]) \
    {                     \
        __VA_ARGS__       \
    }

/* The allocation with this number fails; 0: none does. */
static size_t failing, allocations;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return ++allocations == failing ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    return ++allocations == failing ? NULL : __real_realloc(old, size);
}

static void check_family(const struct kvtel_snapshot_family *family, const char *expected)
{
    struct kvtel_buffer buffer = { 0 };
    assert_int_equal(kvtel_text_family(family, &buffer), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(&buffer, "", 1), KVTEL_OK);
    assert_string_equal(buffer.bytes, expected);
    kvtel_buffer_free(&buffer);
}

/* OpenMetrics differs from the text in the head alone. */
static void check_openmetrics(const struct kvtel_snapshot_family *family, const char *head)
{
    struct kvtel_buffer text = { 0 }, buffer = { 0 };
    assert_int_equal(kvtel_text_family(family, &text), KVTEL_OK);
    assert_int_equal(kvtel_openmetrics_family(family, false, &buffer), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(&text, "", 1), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(&buffer, "", 1), KVTEL_OK);
    const char *samples = strchr(strchr(text.bytes, '\n') + 1, '\n') + 1;
    assert_memory_equal(buffer.bytes, head, strlen(head));
    assert_string_equal(buffer.bytes + strlen(head), samples);
    kvtel_buffer_free(&text);
    kvtel_buffer_free(&buffer);
}

static void test_counter(void **state)
{
    (void)state;
    const struct kvtel_snapshot_series series[] = {
        { .values = STRINGS("m", "0", "save"), .value = 109 },
        { .values = STRINGS("m", "1", "load"), .value = 2004433706498.0 },
        { .values = STRINGS("m", "10", ""), .value = 0.006 },
    };
    const struct kvtel_snapshot_family family = {
        .name = "vllm:umbp_transfer_bytes",
        .type = KVTEL_COUNTER,
        .help = "Bytes.",
        .labelnames = STRINGS("model_name", "engine", "operation"),
        .label_count = 3,
        .series = series,
        .series_count = COUNT(series),
    };
    check_family(&family,
                 "# HELP vllm:umbp_transfer_bytes_total Bytes.\n"
                 "# TYPE vllm:umbp_transfer_bytes_total counter\n"
                 "vllm:umbp_transfer_bytes_total{engine=\"0\",model_name=\"m\",operation=\"save\"} 109.0\n"
                 "vllm:umbp_transfer_bytes_total{engine=\"1\",model_name=\"m\",operation=\"load\"} 2.004433706498e+12\n"
                 "vllm:umbp_transfer_bytes_total{engine=\"10\",model_name=\"m\",operation=\"\"} 0.006\n");
    check_openmetrics(&family, "# HELP vllm:umbp_transfer_bytes Bytes.\n# TYPE vllm:umbp_transfer_bytes counter\n");
}

static void test_openmetrics_heads(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum kvtel_unit unit;
        enum kvtel_metric_type type;
        const char *line; /* "": without UNIT */
    } rows[] = {
        { "a_seconds", KVTEL_UNIT_SECONDS, KVTEL_COUNTER, "# UNIT a_seconds seconds\n" },
        { "a_bytes", KVTEL_UNIT_BYTES, KVTEL_GAUGE, "# UNIT a_bytes bytes\n" },
        { "a_ratio", KVTEL_UNIT_RATIO, KVTEL_GAUGE, "# UNIT a_ratio ratio\n" },
        { "a_bytes", KVTEL_UNIT_SECONDS, KVTEL_GAUGE, "" },
        { "a_bytes_read", KVTEL_UNIT_BYTES, KVTEL_COUNTER, "" },
        { "abytes", KVTEL_UNIT_BYTES, KVTEL_GAUGE, "" },
        { "bytes", KVTEL_UNIT_BYTES, KVTEL_GAUGE, "" },
        { "_bytes", KVTEL_UNIT_BYTES, KVTEL_GAUGE, "# UNIT _bytes bytes\n" },
        { "a_", KVTEL_UNIT_COUNT, KVTEL_GAUGE, "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct kvtel_snapshot_family family = {
            .name = rows[i].name, .type = rows[i].type, .help = "\"H\"\\\n", .unit = rows[i].unit
        };
        char head[256];
        (void)snprintf(head, sizeof head, "# HELP %s \\\"H\\\"\\\\\\n\n# TYPE %s %s\n%s", rows[i].name, rows[i].name,
                       rows[i].type == KVTEL_COUNTER ? "counter" : "gauge", rows[i].line);
        check_openmetrics(&family, head);
    }
}

static void test_gauge(void **state)
{
    (void)state;
    struct kvtel_snapshot_series series = { .value = -INFINITY };
    struct kvtel_snapshot_family family = {
        .name = "up",
        .type = KVTEL_GAUGE,
        .help = "A back\\slash,\na new line, \"quotes\" and a bad byte \xFF.",
        .series = &series,
        .series_count = 1,
    };
    const char *head =
        "# HELP up A back\\\\slash,\\na new line, \"quotes\" and a bad byte \xEF\xBF\xBD.\n# TYPE up gauge\n";
    char expected[256];
    strcat(strcpy(expected, head), "up -Inf\n");
    check_family(&family, expected);
    series.value = NAN;
    strcat(strcpy(expected, head), "up NaN\n");
    check_family(&family, expected);
    series.value = -2097152;
    strcat(strcpy(expected, head), "up -2097152.0\n");
    check_family(&family, expected);
    family.series_count = 0;
    check_family(&family, head);
}

/* Explicit bounds 0.1 and 1e6 among exponential ones; bins outside first_bin .. first_bin + bin_count - 1 hold nothing.
 */
static const double bounds[] = { 0.0625, 0.1, 0.125, 0.25, 1e6 };
static const uint32_t explicit_bins[] = { 1, 4 };
static const struct kvtel_snapshot_family histogram = {
    .name = "h_seconds",
    .type = KVTEL_HISTOGRAM,
    .help = "H.",
    .bounds = bounds,
    .bound_count = COUNT(bounds),
    .explicit_bins = explicit_bins,
    .explicit_count = COUNT(explicit_bins),
    .series_count = 1,
};

static void check_histogram(const char *const *labelnames, size_t label_count,
                            const struct kvtel_snapshot_series *series, const char *expected)
{
    struct kvtel_snapshot_family family = histogram;
    family.labelnames = labelnames;
    family.label_count = label_count;
    family.series = series;
    char text[1024];
    strcat(strcpy(text, "# HELP h_seconds H.\n# TYPE h_seconds histogram\n"), expected);
    check_family(&family, text);
}

static void test_histogram_labels(void **state)
{
    (void)state;
    const uint64_t bins[] = { 1, 2, 3, 4, 5, 6 };
    struct kvtel_snapshot_series series = { .count = 21, .sum = 12.5, .bins = bins, .bin_count = COUNT(bins) };
    check_histogram(NULL, 0, &series,
                    "h_seconds_bucket{le=\"0.1\"} 3.0\n"
                    "h_seconds_bucket{le=\"1e+06\"} 15.0\n"
                    "h_seconds_bucket{le=\"+Inf\"} 21.0\n"
                    "h_seconds_count 21.0\n"
                    "h_seconds_sum 12.5\n");
    struct kvtel_snapshot_family family = histogram;
    family.series = &series;
    family.unit = KVTEL_UNIT_SECONDS;
    check_openmetrics(&family, "# HELP h_seconds H.\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n");
    series.values = STRINGS("m", "0");
    check_histogram(STRINGS("model_name", "engine"), 2, &series,
                    "h_seconds_bucket{engine=\"0\",le=\"0.1\",model_name=\"m\"} 3.0\n"
                    "h_seconds_bucket{engine=\"0\",le=\"1e+06\",model_name=\"m\"} 15.0\n"
                    "h_seconds_bucket{engine=\"0\",le=\"+Inf\",model_name=\"m\"} 21.0\n"
                    "h_seconds_count{engine=\"0\",model_name=\"m\"} 21.0\n"
                    "h_seconds_sum{engine=\"0\",model_name=\"m\"} 12.5\n");
    check_histogram(STRINGS("b", "a"), 2, &series,
                    "h_seconds_bucket{a=\"0\",b=\"m\",le=\"0.1\"} 3.0\n"
                    "h_seconds_bucket{a=\"0\",b=\"m\",le=\"1e+06\"} 15.0\n"
                    "h_seconds_bucket{a=\"0\",b=\"m\",le=\"+Inf\"} 21.0\n"
                    "h_seconds_count{a=\"0\",b=\"m\"} 21.0\n"
                    "h_seconds_sum{a=\"0\",b=\"m\"} 12.5\n");
    check_histogram(STRINGS("tier", "op"), 2, &series,
                    "h_seconds_bucket{le=\"0.1\",op=\"0\",tier=\"m\"} 3.0\n"
                    "h_seconds_bucket{le=\"1e+06\",op=\"0\",tier=\"m\"} 15.0\n"
                    "h_seconds_bucket{le=\"+Inf\",op=\"0\",tier=\"m\"} 21.0\n"
                    "h_seconds_count{op=\"0\",tier=\"m\"} 21.0\n"
                    "h_seconds_sum{op=\"0\",tier=\"m\"} 12.5\n");
}

/* For each range of bins that a series may give: the same as with all bins given. */
static void test_histogram_ranges(void **state)
{
    (void)state;
    for (uint32_t first = 0; first <= COUNT(bounds) + 1; first++) {
        for (uint32_t end = first; end <= COUNT(bounds) + 1; end++) {
            uint64_t bins[COUNT(bounds) + 1] = { 0 }, below[2] = { 0 }, count = 0;
            for (uint32_t i = first; i < end; i++) {
                bins[i] = 10 + i;
                count += bins[i];
                below[0] += i <= explicit_bins[0] ? bins[i] : 0;
                below[1] += i <= explicit_bins[1] ? bins[i] : 0;
            }
            const struct kvtel_snapshot_series series = {
                .count = count, .bins = bins + first, .first_bin = first, .bin_count = end - first
            };
            struct kvtel_buffer expected = { 0 };
            assert_int_equal(
                kvtel_buffer_printf(&expected,
                                    "h_seconds_bucket{le=\"0.1\"} %u.0\nh_seconds_bucket{le=\"1e+06\"} %u.0\n"
                                    "h_seconds_bucket{le=\"+Inf\"} %u.0\nh_seconds_count %u.0\nh_seconds_sum 0.0\n",
                                    (unsigned)below[0], (unsigned)below[1], (unsigned)count, (unsigned)count),
                KVTEL_OK);
            check_histogram(NULL, 0, &series, expected.bytes);
            kvtel_buffer_free(&expected);
        }
    }
}

/* Label values, and what Python prints for them after decode("utf-8", "replace"). */
static const struct {
    const char *what, *value, *printed;
} values[] = {
    { "plain", "meta-llama/Llama-3-70B", "meta-llama/Llama-3-70B" },
    { "escapes", "a\"b\\c\nd", "a\\\"b\\\\c\\nd" },
    { "two to four bytes", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80" },
    { "lone continuation", "a\x80z", "a\xEF\xBF\xBDz" },
    { "cut three bytes", "a\xE2\x82z", "a\xEF\xBF\xBDz" },
    { "cut at the end", "a\xF0\x9F\x98", "a\xEF\xBF\xBD" },
    { "overlong", "\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD" },
    { "overlong three", "\xE0\x80\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
    { "surrogate", "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
    { "past U+10FFFF", "\xF4\x90\x80\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
    { "all bad", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
      "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
      "\xEF\xBF\xBD\xEF\xBF\xBD" },
};

static void test_label_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(values); i++) {
        const struct kvtel_snapshot_series series = { .values = STRINGS(values[i].value), .value = 1 };
        const struct kvtel_snapshot_family family = { .name = "g",
                                                      .type = KVTEL_GAUGE,
                                                      .help = "",
                                                      .labelnames = STRINGS("l"),
                                                      .label_count = 1,
                                                      .series = &series,
                                                      .series_count = 1 };
        char expected[256];
        strcat(strcat(strcpy(expected, "# HELP g \n# TYPE g gauge\ng{l=\""), values[i].printed), "\"} 1.0\n");
        check_family(&family, expected);
    }
}

/* Long names and values that only replacing can make longer still: the room reserved is enough (ASan watches). */
static void test_long_label_values(void **state)
{
    (void)state;
    enum { SIZE = 5000 };
    char value[SIZE + 1];
    memset(value, 0xFF, SIZE);
    value[SIZE] = '\0';
    const uint64_t bins[] = { 7 };
    const struct kvtel_snapshot_series series = {
        .values = STRINGS(value, value), .count = 7, .sum = -1.7976931348623157e308, .bins = bins, .bin_count = 1
    };
    struct kvtel_snapshot_family family = histogram;
    family.labelnames = STRINGS("zz", "aa");
    family.label_count = 2;
    family.series = &series;
    struct kvtel_buffer buffer = { 0 };
    assert_int_equal(kvtel_text_family(&family, &buffer), KVTEL_OK);
    assert_true(buffer.size > 5 * 2 * 3 * (size_t)SIZE);
    kvtel_buffer_free(&buffer);
}

static void test_no_memory(void **state)
{
    (void)state;
    const uint64_t bins[] = { 1 };
    const struct kvtel_snapshot_series series = {
        .values = STRINGS("m", "0"), .count = 1, .bins = bins, .bin_count = 1
    };
    struct kvtel_snapshot_family family = histogram;
    family.labelnames = STRINGS("model_name", "engine");
    family.label_count = 2;
    family.series = &series;
    enum kvtel_status status = KVTEL_E_NOMEM;
    for (size_t n = 1; status != KVTEL_OK; n++) {
        struct kvtel_buffer buffer = { 0 };
        assert_int_equal(kvtel_buffer_append_text(&buffer, "before\n"), KVTEL_OK);
        allocations = 0;
        failing = n;
        status = kvtel_text_family(&family, &buffer);
        failing = 0;
        if (status != KVTEL_OK) {
            assert_int_equal(status, KVTEL_E_NOMEM);
            assert_int_equal(buffer.size, 7);
        } else {
            assert_true(n > 3);
        }
        assert_memory_equal(buffer.bytes, "before\n", 7);
        kvtel_buffer_free(&buffer);
    }
}

static void check_whole(const struct kvtel_snapshot *snapshot, enum kvtel_exposition_format format,
                        const char *expected)
{
    enum kvtel_status status = KVTEL_E_NOMEM;
    for (size_t n = 1; status != KVTEL_OK; n++) {
        struct kvtel_buffer buffer = { 0 };
        assert_int_equal(kvtel_buffer_append_text(&buffer, "before\n"), KVTEL_OK);
        allocations = 0;
        failing = n;
        status = kvtel_exposition(snapshot, format, &buffer);
        failing = 0;
        assert_int_equal(buffer.size, status == KVTEL_OK ? strlen(expected) : 7);
        assert_memory_equal(buffer.bytes, expected, buffer.size);
        kvtel_buffer_free(&buffer);
    }
}

#define SAMPLES                                                                                                 \
    "h_seconds_bucket{le=\"0.005\"} 1.0\nh_seconds_bucket{le=\"1.0\"} 2.0\nh_seconds_bucket{le=\"+Inf\"} 3.0\n" \
    "h_seconds_count 3.0\nh_seconds_sum 64.255\n"

/* A store's snapshot, whole, in each format; without memory the buffer stays as it was, whichever family it was that
 * found none. */
static void test_snapshot(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_lane *lane;
    uint32_t family, series;
    assert_non_null(store);
    assert_non_null(snapshot);
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    const double explicit_bounds[] = { 0.005, 1 };
    const struct kvtel_family_spec specs[] = {
        { .name = "c_events",
          .type = KVTEL_COUNTER,
          .help = "Events.",
          .labelnames = STRINGS("z", "a"),
          .label_count = 2 },
        { .name = "h_seconds",
          .type = KVTEL_HISTOGRAM,
          .help = "H.",
          .label_count = 0,
          .buckets = &(const struct kvtel_buckets){ .bounds = explicit_bounds, .count = 2 },
          .unit = KVTEL_UNIT_SECONDS },
    };
    assert_int_equal(kvtel_store_family(store, &specs[0], &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, STRINGS("1", "2"), 2, &series), KVTEL_OK);
    assert_true(kvtel_lane_increase(lane, series, 2097152));
    assert_int_equal(kvtel_store_family(store, &specs[1], &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, NULL, 0, &series), KVTEL_OK);
    assert_int_equal(kvtel_lane_observe(lane, series, (const double[]){ 0.005, 0.25, 64 }, 3), 3);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);

    check_whole(snapshot, KVTEL_FORMAT_TEXT,
                "before\n"
                "# HELP c_events_total Events.\n# TYPE c_events_total counter\n"
                "c_events_total{a=\"2\",z=\"1\"} 2.097152e+06\n"
                "# HELP h_seconds H.\n# TYPE h_seconds histogram\n" SAMPLES);
    check_whole(snapshot, KVTEL_FORMAT_OPENMETRICS,
                "before\n"
                "# HELP c_events Events.\n# TYPE c_events counter\n"
                "c_events_total{a=\"2\",z=\"1\"} 2.097152e+06\n"
                "# HELP h_seconds H.\n# TYPE h_seconds histogram\n# UNIT h_seconds seconds\n" SAMPLES "# EOF\n");
    struct kvtel_buffer text = { 0 }, same = { 0 };
    assert_int_equal(kvtel_exposition(snapshot, (enum kvtel_exposition_format)99, &text), KVTEL_E_ARGUMENT);
    assert_int_equal(text.size, 0);
    assert_int_equal(kvtel_exposition(snapshot, KVTEL_FORMAT_TEXT, &text), KVTEL_OK);
    assert_int_equal(kvtel_exposition_text(snapshot, &same), KVTEL_OK);
    assert_int_equal(text.size, same.size);
    assert_memory_equal(text.bytes, same.bytes, same.size);
    kvtel_buffer_free(&text);
    kvtel_buffer_free(&same);
    kvtel_lane_close(lane);
    kvtel_snapshot_destroy(snapshot);
    kvtel_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter),           cmocka_unit_test(test_gauge),
        cmocka_unit_test(test_openmetrics_heads), cmocka_unit_test(test_histogram_labels),
        cmocka_unit_test(test_histogram_ranges),  cmocka_unit_test(test_label_values),
        cmocka_unit_test(test_long_label_values), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
