/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a file of totals: it is decoded as it was encoded, and damage is detected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/store.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "collect/series.h"
#include "totals/layout.h"
#include "totals/selector.h"
#include "totals/totals.h"
#include "collect/snapshot.h"

static const char *const labelnames[] = { "model_name", "engine" };
static const struct kvtel_buckets buckets = { .bounds = (const double[]){ 0.001, 0.01, 1 }, .count = 3 };
static const struct kvtel_family_spec counter = {
    .name = "c", .type = KVTEL_COUNTER, .help = "Help.", .labelnames = labelnames, .label_count = 2
};
static const struct kvtel_family_spec gauge = {
    .name = "g", .type = KVTEL_GAUGE, .help = "", .labelnames = labelnames, .label_count = 2, .unit = KVTEL_UNIT_BYTES
};
static const struct kvtel_family_spec histogram = { .name = "h",
                                                    .type = KVTEL_HISTOGRAM,
                                                    .help = "Help.",
                                                    .labelnames = labelnames,
                                                    .label_count = 2,
                                                    .buckets = &buckets,
                                                    .unit = KVTEL_UNIT_SECONDS };
static const struct kvtel_family_spec plain = {
    .name = "p", .type = KVTEL_COUNTER, .help = "No label.", .label_count = 0
};

static uint32_t make_series(struct kvtel_store *store, const struct kvtel_family_spec *spec, unsigned engine)
{
    char text[16];
    const char *const values[] = { "m", text };
    uint32_t family, series;
    (void)snprintf(text, sizeof text, "%u", engine);
    assert_int_equal(kvtel_store_family(store, spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, values, spec->label_count, &series), KVTEL_OK);
    return series;
}

/* A snapshot of a store in which each engine recorded `engine` + 1 times. */
static struct kvtel_snapshot *record(unsigned first, unsigned end, double value)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    for (unsigned engine = first; engine < end; engine++) {
        for (unsigned i = 0; i <= engine; i++) {
            const double observed = value * (i + 1);
            kvtel_lane_observe(lane, make_series(store, &histogram, engine), &observed, 1);
            kvtel_lane_increase(lane, make_series(store, &counter, engine), value);
        }
        kvtel_lane_set(lane, make_series(store, &gauge, engine), -value);
    }
    kvtel_lane_increase(lane, make_series(store, &plain, 0), 7);
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    kvtel_lane_close(lane);
    kvtel_store_close(store);
    return snapshot;
}

static struct kvtel_buffer encode(const struct kvtel_snapshot *snapshot, const struct totals *old, size_t limit,
                                  uint64_t *folded)
{
    static const char *const stores[] = { "1-a.kvtel", "2-b.kvtel" };
    const struct totals_contents contents = {
        .snapshot = snapshot, .stores = stores, .store_count = 2, .limit = limit
    };
    struct kvtel_buffer bytes = { 0 };
    assert_int_equal(totals_encode(&contents, old, &bytes, folded), KVTEL_OK);
    return bytes;
}

/* Their values are no amounts: each stays as it was, past any limit. */
static void test_label_sets_that_are_not_added_up(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = record(0, 9, 0.5), *again = kvtel_snapshot_create();
    const struct totals_contents contents = { .snapshot = snapshot, .limit = 2, .separate = "g" };
    struct kvtel_buffer bytes = { 0 };
    struct totals totals;
    uint64_t folded;
    assert_int_equal(totals_encode(&contents, NULL, &bytes, &folded), KVTEL_OK);
    assert_int_equal(folded, 2 * 7);
    assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    assert_int_equal(totals_add_to(&totals, again), KVTEL_OK);
    const struct kvtel_snapshot_family *before = kvtel_snapshot_find(snapshot, "g"),
                                       *after = kvtel_snapshot_find(again, "g");
    assert_int_equal(kvtel_snapshot_find(again, "h")->series_count, 3);
    assert_int_equal(after->series_count, before->series_count);
    for (size_t i = 0; i < after->series_count; i++) {
        assert_true(after->series[i].value == before->series[i].value);
        assert_string_equal(after->series[i].values[1], before->series[i].values[1]);
    }
    totals_free(&totals);
    kvtel_buffer_free(&bytes);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(again);
}

static struct kvtel_buffer copy(const struct kvtel_buffer *bytes, size_t size)
{
    struct kvtel_buffer other = { 0 };
    assert_int_equal(kvtel_buffer_append(&other, bytes->bytes, size), KVTEL_OK);
    return other;
}

static void assert_same(const struct kvtel_snapshot *left, const struct kvtel_snapshot *right)
{
    assert_int_equal(kvtel_snapshot_family_count(left), kvtel_snapshot_family_count(right));
    for (size_t f = 0; f < kvtel_snapshot_family_count(left); f++) {
        const struct kvtel_snapshot_family *a = kvtel_snapshot_family(left, f), *b = kvtel_snapshot_family(right, f);
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->help, b->help);
        assert_int_equal(a->type, b->type);
        assert_int_equal(a->unit, b->unit);
        assert_int_equal(a->bound_count, b->bound_count);
        assert_int_equal(a->series_count, b->series_count);
        for (size_t i = 0; i < a->series_count; i++) {
            const struct kvtel_snapshot_series *x = &a->series[i], *y = &b->series[i];
            for (size_t k = 0; k < a->label_count; k++)
                assert_string_equal(x->values[k], y->values[k]);
            assert_true(x->value == y->value && x->sum == y->sum && x->stamp == y->stamp && x->count == y->count);
            for (uint32_t bin = 0; bin <= a->bound_count; bin++) {
                uint64_t in_x = bin - x->first_bin < x->bin_count ? x->bins[bin - x->first_bin] : 0;
                uint64_t in_y = bin - y->first_bin < y->bin_count ? y->bins[bin - y->first_bin] : 0;
                assert_int_equal(in_x, in_y);
            }
        }
    }
}

static void test_what_goes_in_comes_out(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = record(0, 5, 0.0042), *again = kvtel_snapshot_create();
    struct kvtel_buffer bytes = encode(snapshot, NULL, 0, NULL);
    struct totals totals;
    assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    assert_int_equal(totals.store_count, 2);
    assert_string_equal(totals.stores, "1-a.kvtel");
    assert_int_equal(totals_add_to(&totals, again), KVTEL_OK);
    assert_same(snapshot, again);
    for (int i = 0; i < 2; i++) { /* as a second store */
        assert_int_equal(totals_add_to(&totals, again), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_find(again, "h")->series[4].count, 5 * (i + 2));
        assert_true(kvtel_snapshot_find(again, "p")->series[0].value == 7 * (i + 2));
    }
    totals_free(&totals);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(again);
}

/* Merging widens histograms in memory; what is written has the bins in use alone. */
static void test_written_again_and_again(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = record(0, 3, 0.0042), *other = record(0, 3, 0.9);
    struct kvtel_buffer bytes = encode(snapshot, NULL, 0, NULL), wide = encode(other, NULL, 0, NULL);
    struct totals totals, apart;
    assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    assert_int_equal(totals_decode(&wide, &apart, NULL), KVTEL_OK);
    size_t first = 0;
    for (int i = 0; i < 100; i++) {
        kvtel_snapshot_reset(snapshot);
        assert_int_equal(totals_add_to(&totals, snapshot), KVTEL_OK);
        assert_int_equal(totals_add_to(&apart, snapshot), KVTEL_OK);
        bytes = encode(snapshot, &totals, 0, NULL);
        first = i == 0 ? bytes.size : first;
        assert_true(bytes.size <= first + 64 && bytes.size < 2000);
        totals_free(&totals);
        assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    }
    kvtel_snapshot_reset(snapshot);
    assert_int_equal(totals_add_to(&totals, snapshot), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_find(snapshot, "h")->series[2].count, 3 * 101);
    totals_free(&totals);
    totals_free(&apart);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(other);
}

static void test_each_bit_and_each_length(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = record(0, 2, 0.0042);
    struct kvtel_buffer bytes = encode(snapshot, NULL, 0, NULL);
    struct totals totals;
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        struct kvtel_buffer changed = copy(&bytes, bytes.size);
        struct kvtel_error error = { 0 };
        changed.bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_not_equal(totals_decode(&changed, &totals, &error), KVTEL_OK);
        assert_true(error.message[0] && !kvtel_error_is_passing(&error));
        assert_null(totals.bytes.bytes);
    }
    for (size_t size = 0; size < bytes.size; size++) {
        struct kvtel_buffer cut = { 0 };
        if (size > 0)
            cut = copy(&bytes, size);
        assert_int_not_equal(totals_decode(&cut, &totals, NULL), KVTEL_OK);
    }
    kvtel_buffer_free(&bytes);
    kvtel_snapshot_destroy(snapshot);
}

/* Changed at random, with a checksum that is right: refused or read, and what is read can be added and written. */
static void test_hostile_content(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = record(0, 3, 0.0042), *merged = kvtel_snapshot_create();
    struct kvtel_buffer bytes = encode(snapshot, NULL, 0, NULL);
    unsigned read = 0;
    srand(5);
    for (int i = 0; i < 20000; i++) {
        struct kvtel_buffer changed = copy(&bytes, bytes.size);
        struct totals totals;
        for (int k = rand() % 3; k >= 0; k--)
            changed.bytes[24 + (size_t)rand() % (changed.size - 24)] = (char)(rand() % 4 == 0 ? 255 : rand());
        size_t size = rand() % 5 == 0 ? 68 + (size_t)rand() % (changed.size - 68) : changed.size;
        uint64_t told = changed.size = size;
        memcpy(changed.bytes + offsetof(struct totals_header, size), &told, sizeof told);
        uint32_t checksum = (uint32_t)crc32_z(0, (const unsigned char *)changed.bytes, size - sizeof checksum);
        memcpy(changed.bytes + size - sizeof checksum, &checksum, sizeof checksum);
        if (totals_decode(&changed, &totals, NULL) != KVTEL_OK)
            continue;
        read++;
        kvtel_snapshot_reset(merged);
        assert_int_equal(totals_add_to(&totals, merged), KVTEL_OK);
        struct kvtel_buffer again = encode(merged, &totals, 0, NULL);
        totals_free(&totals);
        assert_int_equal(totals_decode(&again, &totals, NULL), KVTEL_OK);
        totals_free(&totals);
    }
    assert_true(read > 100 && read < 20000);
    kvtel_buffer_free(&bytes);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(merged);
}

/* Another exponential range than this version makes. */
static void test_other_bounds(void **state)
{
    (void)state;
    const char text[] = "odd\0Help.\0";
    const struct kvtel_layout_family family = {
        .type = KVTEL_HISTOGRAM, .text_size = 10, .exponential_first = -77, .exponential_count = 9
    };
    const struct kvtel_layout_series series = { .text_size = 0 };
    const struct kvtel_view view = {
        .families = &family, .series = &series, .strings = text, .family_count = 1, .series_count = 1
    };
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create(), *again = kvtel_snapshot_create();
    struct kvtel_addition addition = { .view = &view };
    assert_int_equal(kvtel_snapshot_begin(snapshot, &addition), KVTEL_OK);
    uint64_t bins[] = { 1, 0, 5 };
    addition.collected[0].bins = bins;
    addition.collected[0].first = 7;
    addition.collected[0].bin_count = 3;
    addition.collected[0].count = 6;
    assert_int_equal(kvtel_snapshot_finish(snapshot, &addition, KVTEL_OK), KVTEL_OK);
    struct kvtel_buffer bytes = encode(snapshot, NULL, 0, NULL);
    struct totals totals;
    assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    assert_int_equal(totals_add_to(&totals, again), KVTEL_OK);
    assert_same(snapshot, again);
    totals_free(&totals);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(again);
}

static double sum_of(const struct kvtel_snapshot *snapshot, const char *name, uint64_t *count)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, name);
    double sum = 0;
    *count = 0;
    for (size_t i = 0; i < family->series_count; i++) {
        sum += family->type == KVTEL_HISTOGRAM ? family->series[i].sum : family->series[i].value;
        for (uint32_t k = 0; k < family->series[i].bin_count; k++)
            *count += family->series[i].bins[k];
    }
    return sum;
}

static void test_label_sets_past_the_limit(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = record(0, 4, 0.5), *again = kvtel_snapshot_create();
    struct kvtel_buffer bytes = encode(snapshot, NULL, 10, NULL);
    struct totals totals;
    uint64_t folded = 0, before, after;
    assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    kvtel_snapshot_destroy(snapshot);
    snapshot = kvtel_snapshot_create();
    struct kvtel_snapshot *more = record(2, 9, 0.5);
    struct kvtel_buffer more_bytes = encode(more, NULL, 0, NULL);
    struct totals other;
    assert_int_equal(totals_decode(&more_bytes, &other, NULL), KVTEL_OK);
    assert_int_equal(totals_add_to(&totals, snapshot), KVTEL_OK);
    assert_int_equal(totals_add_to(&other, snapshot), KVTEL_OK);
    bytes = encode(snapshot, &totals, 3, &folded); /* lower than what is there, which stays */
    totals_free(&totals);
    assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    assert_int_equal(folded, 3 * 5);
    assert_int_equal(totals_add_to(&totals, again), KVTEL_OK);
    const char *const names[] = { "h", "c", "p" };
    for (size_t i = 0; i < 3; i++) {
        double left = sum_of(snapshot, names[i], &before), right = sum_of(again, names[i], &after);
        assert_int_equal(before, after);
        assert_true(left - right < 1e-9 && right - left < 1e-9);
    }
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(again, "h");
    assert_int_equal(family->series_count, 5);
    assert_string_equal(family->series[4].values[0], TOTALS_OTHER);
    assert_string_equal(family->series[4].values[1], TOTALS_OTHER);
    totals_free(&totals);
    totals_free(&other);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(again);
    kvtel_snapshot_destroy(more);
}

/* More families than there may be is a failure of that batch, not damage. */
static void test_more_families_than_there_may_be(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    const struct totals_contents contents = { .snapshot = snapshot };
    struct kvtel_buffer bytes = { 0 };
    for (unsigned made = 0; made < TOTALS_FAMILIES + 1;) {
        struct kvtel_store *store = kvtel_store_create(NULL);
        for (unsigned i = 0; i < 1000 && made < TOTALS_FAMILIES + 1; i++, made++) {
            char name[16];
            uint32_t family, series;
            (void)snprintf(name, sizeof name, "c%u", made);
            const struct kvtel_family_spec spec = { .name = name, .type = KVTEL_COUNTER };
            assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
            assert_int_equal(kvtel_store_series(store, family, NULL, 0, &series), KVTEL_OK);
        }
        assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
        kvtel_store_close(store);
    }
    assert_int_equal(totals_encode(&contents, NULL, &bytes, NULL), KVTEL_E_LIMIT);
    kvtel_buffer_free(&bytes);
    kvtel_snapshot_destroy(snapshot);
}

static void test_one_more_label(void **state)
{
    (void)state;
    struct kvtel_snapshot *snapshot = record(0, 1, 0.5), *again = kvtel_snapshot_create();
    struct kvtel_buffer bytes = encode(snapshot, NULL, 0, NULL);
    struct totals totals;
    assert_int_equal(totals_decode(&bytes, &totals, NULL), KVTEL_OK);
    assert_int_equal(totals_add_label(&totals, "rank"), KVTEL_OK);
    assert_int_equal(totals_add_to(&totals, again), KVTEL_OK);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(again, "h");
    assert_int_equal(family->label_count, 3);
    assert_string_equal(family->labelnames[2], "rank");
    assert_string_equal(family->series[0].values[2], "");
    assert_int_equal(family->series[0].count, 1);
    totals_free(&totals);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(again);
}

static void test_selectors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool matches;
    } rows[] = {
        { "h", true },
        { "h_count", true },
        { "h_total", false },
        { "hh", false },
        { "{engine=\"1\"}", true },
        { "{engine=\"10\"}", false },
        { " h { engine = \"1\" , model_name = \"m\" , } ", true },
        { "h{engine!=\"1\"}", false },
        { "{engine=~\"[0-9]\"}", true },
        { "{engine=~\"1|2\",model_name!~\"n.*\"}", true },
        { "{engine=~\"\"}", false },
        { "{rank=\"\"}", true },
        { "{rank!=\"\"}", false },
        { "{engine=\"\\\"\\\\n\\n\"}", false },
    };
    struct kvtel_snapshot *snapshot = record(1, 2, 0.5);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "h");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct selector *selector;
        assert_int_equal(selector_parse(rows[i].text, &selector, NULL), KVTEL_OK);
        if (selector_matches(selector, family, &family->series[0]) != rows[i].matches)
            fail_msg("%s", rows[i].text);
        selector_free(selector);
    }
    kvtel_snapshot_destroy(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_written_again_and_again),
        cmocka_unit_test(test_each_bit_and_each_length),
        cmocka_unit_test(test_hostile_content),
        cmocka_unit_test(test_other_bounds),
        cmocka_unit_test(test_label_sets_past_the_limit),
        cmocka_unit_test(test_label_sets_that_are_not_added_up),
        cmocka_unit_test(test_more_families_than_there_may_be),
        cmocka_unit_test(test_one_more_label),
        cmocka_unit_test(test_selectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
