/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets from kept sums have the bytes of those that are summed up from bins. */
#ifndef KVTEL_TEST_NATIVE_H
#define KVTEL_TEST_NATIVE_H

#include "base/buffer.h"
#include "collect/series.h"
#include "exposition/exposition.h"
#include "exposition/otlp.h"

#include <string.h>

/* Appends a family as protobuf and as OTLP, with both kinds of buckets. */
static inline void put_all_buckets(const struct kvtel_snapshot_family *family, int schema, unsigned most,
                                   struct kvtel_buffer *buffer)
{
    for (int kinds = KVTEL_HISTOGRAMS_BOTH; kinds <= KVTEL_HISTOGRAMS_NATIVE; kinds++) {
        const enum kvtel_histograms histograms = (enum kvtel_histograms)kinds;
        struct kvtel_exposition_options options = kvtel_exposition_defaults(KVTEL_FORMAT_PROTOBUF);
        const struct kvtel_otlp_options otlp = {
            .histograms = histograms, .native_schema = schema, .most_buckets = most, .time_ns = 1
        };
        options.histograms = histograms;
        options.native_schema = schema;
        options.most_buckets = most;
        assert_int_equal(kvtel_exposition_family(family, &options, buffer), KVTEL_OK);
        assert_int_equal(kvtel_otlp_family(family, &otlp, buffer), KVTEL_OK);
    }
}

/* Compares each family with one of the same bins without sums. Returns how many series have counts of their parts. */
static inline size_t check_buckets(const struct kvtel_snapshot *snapshot, int schema, unsigned most)
{
    size_t kept = 0;
    struct kvtel_buffer is = { 0 }, expected = { 0 };
    for (size_t i = 0; i < kvtel_snapshot_family_count(snapshot); i++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, i);
        struct kvtel_snapshot_family bare = *family;
        struct kvtel_snapshot_series *series = test_calloc(family->series_count + 1, sizeof *series);
        for (size_t k = 0; k < family->series_count; k++) {
            series[k] = family->series[k];
            kept += series[k].parts != NULL;
            series[k].parts = NULL;
            series[k].buckets = NULL;
        }
        bare.series = series;
        is.size = expected.size = 0;
        put_all_buckets(family, schema, most, &is);
        put_all_buckets(&bare, schema, most, &expected);
        assert_int_equal(is.size, expected.size);
        assert_memory_equal(is.bytes, expected.bytes, is.size);
        test_free(series);
    }
    kvtel_buffer_free(&is);
    kvtel_buffer_free(&expected);
    return kept;
}

#endif
