/* SPDX-License-Identifier: Apache-2.0 */
/* Names and texts without end in payloads: past 10,000 the rest is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/payloads.h"

#define STORE_ROW(seconds, keys, status)                                                                \
    "{\"duration_seconds\": " seconds ", \"num_keys\": " keys ", \"num_bytes\": 0, \"status\": " status \
    ", \"num_failed_keys\": "                                                                           \
    "0}"

/* Names without end: past 10,000 the rest is counted, in one payload and over many that are aggregated. */
static void append_names(struct kvtel_buffer *payload, unsigned from, unsigned count, const char *value)
{
    payload->size = 0;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(kvtel_buffer_printf(payload, "%s\"%u\": %s", i == 0 ? "{" : ", ", from + i, value), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(payload, "}", 2), KVTEL_OK);
}

static void test_operations_without_end(void **state)
{
    (void)state;
    struct kvtel_buffer payload = { 0 };
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    struct kvtel_stats *stats = make_stats("UMBPStoreConnector", diagnostics),
                       *sum = make_stats("UMBPStoreConnector", diagnostics);
    append_names(&payload, 0, 12000, "{\"submitted\": 1}");
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload.bytes, payload.size - 1, NULL), KVTEL_OK);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_SERIES_LIMIT), 2000);
    for (unsigned i = 0; i < 3; i++) {
        append_names(&payload, i * 4000, 4000, "{\"submitted\": 1}");
        assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload.bytes, payload.size - 1, NULL), KVTEL_OK);
        assert_int_equal(kvtel_stats_aggregate(sum, stats), KVTEL_OK);
    }
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_SERIES_LIMIT), 4000);
    struct kvtel_reduced *reduced;
    assert_int_equal(kvtel_stats_reduce(sum, &reduced), KVTEL_OK);
    assert_int_equal(kvtel_reduced_count(reduced), 4 * 10000);
    kvtel_reduced_destroy(reduced);
    kvtel_stats_destroy(stats);
    kvtel_stats_destroy(sum);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_buffer_free(&payload);
}

static void append_statuses(struct kvtel_buffer *payload, unsigned from, unsigned count)
{
    payload->size = 0;
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(
            kvtel_buffer_printf(payload, "%s" STORE_ROW("1", "2", "\"s%u\""), i == 0 ? "{\"get\": [" : ", ", from + i),
            KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(payload, "]}", 3), KVTEL_OK);
}

static void test_texts_without_end(void **state)
{
    (void)state;
    struct kvtel_buffer payload = { 0 };
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    struct kvtel_stats *stats = make_stats("MooncakeStoreConnector", diagnostics);
    struct kvtel_stats *sum = make_stats("MooncakeStoreConnector", diagnostics);
    append_statuses(&payload, 0, 10500);
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload.bytes, payload.size - 1, NULL), KVTEL_OK);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_SERIES_LIMIT), 500);
    for (unsigned i = 0; i < 3; i++) {
        append_statuses(&payload, i * 4000, 4000);
        assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload.bytes, payload.size - 1, NULL), KVTEL_OK);
        assert_int_equal(kvtel_stats_aggregate(sum, stats), KVTEL_OK);
    }
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_SERIES_LIMIT), 2500);
    struct kvtel_reduced *reduced;
    assert_int_equal(kvtel_stats_reduce(sum, &reduced), KVTEL_OK);
    assert_int_equal(kvtel_reduced_find(reduced, "get_count")->integer,
                     12000); /* the rows stay, what they say is "other" */
    assert_int_equal(kvtel_reduced_find(reduced, "get_total_keys")->integer, 24000);
    kvtel_reduced_destroy(reduced);
    kvtel_stats_destroy(stats);
    kvtel_stats_destroy(sum);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_buffer_free(&payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operations_without_end),
        cmocka_unit_test(test_texts_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
