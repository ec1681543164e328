/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of a histogram's parts, which a source keeps while native buckets are read: they are the sums of its bins
 * at all times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/snapshot_state.h"
#include "collect/source.h"
#include "exposition/exposition.h"
#include "record/store.h"
#include "support/native.h"
#include "support/stores.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */

#include <kvtel/recorder.h>
#include <stdlib.h>

enum { LABELS = 3 };

struct fixture {
    struct kvtel_store *store;
    struct kvtel_lane *lane;
    struct kvtel_workers workers;
    struct kvtel_source source;
    uint32_t random;
};

static int setup(void **state)
{
    struct fixture *f = *state = test_calloc(1, sizeof *f);
    f->store = kvtel_store_create(NULL);
    assert_int_equal(kvtel_lane_open(f->store, &f->lane), KVTEL_OK);
    f->random = 11;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kvtel_source_free(&f->source);
    kvtel_workers_free(&f->workers);
    kvtel_lane_close(f->lane);
    kvtel_store_close(f->store);
    test_free(f);
    return 0;
}

static uint32_t random_below(struct fixture *f, uint32_t limit)
{
    f->random = f->random * 1664525u + 1013904223u;
    return (f->random >> 8) % limit;
}

static uint32_t make(struct fixture *f, uint32_t label)
{
    static const char *const labels[LABELS] = { "a", "b", "c" };
    return make_labelled(f->store, "h", KVTEL_HISTOGRAM, labels[label]);
}

static void observe(struct fixture *f, uint32_t series, double value)
{
    assert_int_equal(kvtel_lane_observe(f->lane, series, &value, 1), 1);
}

/* Nothing was asked for, or it was long ago. */
static void ask_no_more(struct fixture *f)
{
    for (size_t i = 0; i < KVTEL_WORKERS; i++)
        atomic_store(&f->workers.each[i].parts_until, f->random % 2);
}

/* Returns how many histograms have counts of their parts, which are the sums of their bins. */
static size_t check(const struct fixture *f, const struct kvtel_view *view)
{
    size_t found = 0;
    for (uint32_t i = 0; i < f->source.series_count; i++) {
        const struct kvtel_collected *value = &f->source.series[i].value;
        const struct kvtel_bins *layout = f->workers.each[0].of_families[view->series[i].family];
        if (!value->parts)
            continue;
        found++;
        assert_ptr_equal(value->parts, f->source.series[i].parts);
        const uint32_t needed = kvtel_parts_needed(layout, value->first, value->bin_count);
        struct kvtel_parts *sums = test_malloc(kvtel_parts_size(needed));
        kvtel_parts_sum(sums, layout, value->bins, value->first, value->bin_count);
        assert_int_equal(value->parts->first, sums->first);
        assert_int_equal(value->parts->count, sums->count);
        assert_true(value->parts->count <= value->parts->room);
        assert_memory_equal(value->parts->counts, sums->counts, needed * sizeof(*sums->counts));
        test_free(sums);
    }
    return found;
}

static enum kvtel_status refresh(struct fixture *f, struct kvtel_view *view)
{
    *view = kvtel_store_view(f->store);
    return kvtel_source_refresh(&f->source, view, &f->workers.each[0]);
}

static size_t refresh_and_check(struct fixture *f)
{
    struct kvtel_view view;
    assert_int_equal(refresh(f, &view), KVTEL_OK);
    return check(f, &view);
}

static double random_value(struct fixture *f)
{
    static const double odd[] = { 0, 5e-324, 0.5, 1, 2, 1e12 };
    const uint32_t kind = random_below(f, 8);
    return kind == 0 ? odd[random_below(f, sizeof odd / sizeof *odd)] : random_below(f, kind < 4 ? 100 : 1000000);
}

/* Single values, more than are read one by one, series that leave and come, and times when nobody asks. */
static void test_sums_follow_values(void **state)
{
    struct fixture *f = *state;
    size_t kept = 0, none = 0;
    for (int step = 0; step < 3000; step++) {
        if (random_below(f, 50) == 0)
            ask_no_more(f);
        else if (random_below(f, 10) == 0)
            kvtel_workers_ask_parts(&f->workers);
        const uint32_t series = make(f, random_below(f, LABELS));
        for (uint32_t k = random_below(f, 20) == 0 ? 300 : random_below(f, 3); k > 0; k--)
            observe(f, series, random_value(f));
        if (random_below(f, 200) == 0)
            assert_int_equal(kvtel_store_series_remove(f->store, make(f, 0)), KVTEL_OK);
        if (random_below(f, 100) == 0)
            kvtel_source_forget(&f->source);
        const size_t found = refresh_and_check(f);
        assert_true(found == 0 || kvtel_worker_wants_parts(&f->workers.each[0]));
        kept += found;
        none += found == 0;
    }
    assert_true(kept > 1000 && none > 100);
}

/* One value moves one count, at rest nothing moves, and when nobody asks the memory is given back. */
static void test_asked_for(void **state)
{
    struct fixture *f = *state;
    const uint32_t series = make(f, 0);
    observe(f, series, 5);
    assert_int_equal(refresh_and_check(f), 0);
    kvtel_workers_ask_parts(&f->workers);
    assert_int_equal(refresh_and_check(f), 1);
    const uint64_t asked = f->source.state;
    assert_int_equal(f->source.series[series].changed, asked); /* who points to the series looks at it again */
    assert_int_equal(refresh_and_check(f), 1);
    assert_int_equal(f->source.state, asked);
    observe(f, series, 5);
    const struct kvtel_parts *parts = f->source.series[series].value.parts;
    assert_int_equal(refresh_and_check(f), 1);
    assert_ptr_equal(f->source.series[series].value.parts, parts);
    assert_int_equal(parts->counts[0], 2);
    observe(f, series, 4000); /* far from the first bins */
    assert_int_equal(refresh_and_check(f), 1);
    ask_no_more(f);
    const uint64_t before = f->source.state;
    assert_int_equal(refresh_and_check(f), 0);
    assert_null(f->source.series[series].parts);
    assert_true(f->source.series[series].changed > before);
}

/* Without memory for them there are none, and the numbers are there. */
static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    size_t without = 0;
    for (uint32_t label = 0; label < LABELS; label++)
        observe(f, make(f, label), 5);
    (void)refresh_and_check(f);
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct kvtel_view view;
        ask_no_more(f);
        assert_int_equal(refresh_and_check(f), 0);
        kvtel_workers_ask_parts(&f->workers);
        observe(f, make(f, 0), (double)n * 1000);
        fail_allocation(n);
        const enum kvtel_status status = refresh(f, &view);
        failed = allocation_did_fail();
        fail_allocation(0);
        const size_t found = check(f, &view);
        without += status == KVTEL_OK && found < LABELS;
        assert_true(status == KVTEL_OK || (status == KVTEL_E_NOMEM && failed));
        assert_true(failed || found == LABELS);
        observe(f, make(f, 1), 7);
        (void)refresh_and_check(f);
        assert_int_equal(f->source.series[make(f, 0)].value.count, n + 1);
    }
    assert_true(without > 0);
}

/* All schemas and limits, from the source that a snapshot keeps, which protobuf alone makes keep sums. */
static void test_bytes(void **state)
{
    struct fixture *f = *state;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_buffer page = { 0 };
    for (int round = 0; round < 12; round++) {
        for (int k = 0; k < 100; k++)
            observe(f, make(f, random_below(f, LABELS)), random_value(f));
        kvtel_snapshot_reset(snapshot);
        assert_int_equal(kvtel_snapshot_add(snapshot, f->store), KVTEL_OK);
        assert_int_equal(kvtel_exposition_text(snapshot, &page), KVTEL_OK);
        size_t kept = 0;
        for (int schema = KVTEL_NATIVE_SCHEMA_LEAST; schema <= KVTEL_NATIVE_SCHEMA_MOST; schema++)
            for (unsigned most = 1; most <= 160; most = 3 * most + 1)
                kept = check_buckets(snapshot, schema, most);
        assert_int_equal(kept, round < 6 ? 0 : LABELS);
        if (round >= 5)
            assert_int_equal(kvtel_exposition(snapshot, KVTEL_FORMAT_PROTOBUF, &page), KVTEL_OK);
    }
    kvtel_buffer_free(&page);
    kvtel_snapshot_destroy(snapshot);
}

/* A series of several stores: the snapshot sums it up itself, and adds another store's to none of them. */
static void test_series_of_several_stores(void **state)
{
    struct fixture *f = *state;
    struct kvtel_store *other = kvtel_store_create(NULL);
    struct kvtel_lane *lane;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_lane_open(other, &lane), KVTEL_OK);
    kvtel_snapshot_ask_parts(snapshot);
    for (int round = 0; round < 200; round++) {
        observe(f, make(f, random_below(f, LABELS)), random_value(f));
        const double value = random_value(f);
        assert_int_equal(kvtel_lane_observe(lane, make_labelled(other, "h", KVTEL_HISTOGRAM, "a"), &value, 1), 1);
        kvtel_snapshot_reset(snapshot);
        assert_int_equal(kvtel_snapshot_add(snapshot, f->store), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_add(snapshot, other), KVTEL_OK);
        (void)check_buckets(snapshot, 3, 160);
        const struct kvtel_kept_store *kept = snapshot->kept.stores;
        for (uint32_t i = 0; i < kept->source.series_count && kept->source.series[i].value.parts; i++) {
            uint64_t sum = 0;
            const struct kvtel_collected *of = &kept->source.series[i].value;
            for (uint32_t k = 0; k < of->parts->count; k++)
                sum += of->parts->counts[k];
            assert_int_equal(sum, of->count);
        }
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_lane_close(lane);
    kvtel_store_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sums_follow_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_series_of_several_stores, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
