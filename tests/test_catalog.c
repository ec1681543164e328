/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that follows its sources shows what one does to which all of them were just added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "collect/catalog.h"
#include "collect/series.h"
#include "record/store.h"
#include "totals/relabel.h"
#include "support/native.h"
#include "support/stores.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */

#include <kvtel/exposition.h>
#include <kvtel/recorder.h>
#include <stdio.h>
#include <string.h>

enum { STORES = 5 };

/* Stores, the sources that read them, and snapshots that follow these. */
struct fixture {
    struct kvtel_store *stores[STORES];
    struct kvtel_lane *lanes[STORES];
    struct kvtel_source sources[STORES];
    struct kvtel_followed followed[STORES];
    size_t count;
    struct kvtel_workers workers;
    struct kvtel_snapshot *snapshot, *whole;
    bool borrows;
    struct kvtel_buffer text, expected;
    size_t parts; /* series that had counts of their parts, in all checks */
};

static int setup(void **state)
{
    struct fixture *f = *state = test_calloc(1, sizeof *f);
    for (int i = 0; i < STORES; i++) {
        f->stores[i] = kvtel_store_create(NULL);
        assert_int_equal(kvtel_lane_open(f->stores[i], &f->lanes[i]), KVTEL_OK);
    }
    f->count = STORES;
    f->snapshot = kvtel_snapshot_create();
    f->whole = kvtel_snapshot_create();
    return 0;
}

/* The snapshot points to the bins of sources. */
static int setup_borrowing(void **state)
{
    int status = setup(state);
    struct fixture *f = *state;
    kvtel_snapshot_borrow(f->snapshot);
    f->borrows = true;
    return status;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < STORES; i++) {
        kvtel_source_free(&f->sources[i]);
        kvtel_lane_close(f->lanes[i]);
        kvtel_store_close(f->stores[i]);
    }
    kvtel_workers_free(&f->workers);
    kvtel_snapshot_destroy(f->snapshot);
    kvtel_snapshot_destroy(f->whole);
    kvtel_buffer_free(&f->text);
    kvtel_buffer_free(&f->expected);
    test_free(f);
    return 0;
}

static uint32_t state_of_random = 3;

static uint32_t random_below(uint32_t limit)
{
    state_of_random = state_of_random * 1664525u + 1013904223u;
    return (state_of_random >> 8) % limit;
}

/* A value, an amount or a reading of one of three label sets, in a random store. */
static void record(struct fixture *f)
{
    static const char *const labels[] = { "a", "b", "c" };
    uint32_t store = random_below(STORES), label = random_below(3);
    struct kvtel_lane *lane = f->lanes[store];
    double value = random_below(4) > 0 ? random_below(100) : random_below(1000000);
    switch (random_below(3)) {
    case 0:
        assert_int_equal(
            kvtel_lane_observe(lane, make_labelled(f->stores[store], "h", KVTEL_HISTOGRAM, labels[label]), &value, 1),
            1);
        break;
    case 1:
        assert_true(
            kvtel_lane_increase(lane, make_labelled(f->stores[store], "c", KVTEL_COUNTER, labels[label]), value / 7));
        break;
    default:
        assert_true(kvtel_lane_set(lane, make_labelled(f->stores[store], "g", KVTEL_GAUGE, labels[label]), value));
    }
}

/* Reads the stores and lists the first `count` of them. */
static void read_all(struct fixture *f)
{
    for (size_t i = 0; i < f->count; i++) {
        f->followed[i] = (struct kvtel_followed){ .source = &f->sources[i], .view = kvtel_store_view(f->stores[i]) };
        assert_int_equal(kvtel_source_refresh(&f->sources[i], &f->followed[i].view, &f->workers.each[0]), KVTEL_OK);
    }
}

static void write_text(const struct kvtel_snapshot *snapshot, struct kvtel_buffer *text)
{
    text->size = 0;
    assert_int_equal(kvtel_exposition_text(snapshot, text), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(text, "", 1), KVTEL_OK);
}

/* Compares with a snapshot to which each store is added. */
static void check(struct fixture *f)
{
    kvtel_snapshot_trim(f->whole);
    for (size_t i = 0; i < f->count; i++)
        assert_int_equal(kvtel_snapshot_add(f->whole, f->stores[i]), KVTEL_OK);
    write_text(f->snapshot, &f->text);
    write_text(f->whole, &f->expected);
    assert_string_equal(f->text.bytes, f->expected.bytes);
    f->parts += check_buckets(f->snapshot, (int)random_below(8) - 4, 1 + random_below(160));
    for (size_t i = 0; i < kvtel_snapshot_family_count(f->whole); i++) {
        const struct kvtel_snapshot_family *is = kvtel_snapshot_family(f->snapshot, i),
                                           *expected = kvtel_snapshot_family(f->whole, i);
        for (size_t k = 0; k < expected->series_count; k++)
            assert_true(kvtel_snapshot_quantile(is, &is->series[k], 0.9) ==
                            kvtel_snapshot_quantile(expected, &expected->series[k], 0.9) ||
                        expected->series[k].count == 0);
    }
}

static void follow(struct fixture *f)
{
    read_all(f);
    assert_int_equal(kvtel_snapshot_follow(f->snapshot, f->followed, f->count), KVTEL_OK);
}

static void test_it_shows_what_a_new_snapshot_does(void **state)
{
    struct fixture *f = *state;
    for (int step = 0; step < 2000; step++) {
        for (uint32_t k = random_below(4); k > 0; k--)
            record(f);
        if (random_below(50) == 0)
            f->count = 1 + random_below(STORES); /* stores come and go */
        if (random_below(20) == 0)
            kvtel_workers_ask_parts(&f->workers);
        else if (random_below(100) == 0)
            atomic_store(&f->workers.each[0].parts_until, 0);
        follow(f);
        check(f);
    }
    assert_true(f->borrows == (f->parts > 1000));
}

static void test_only_what_moved_changes(void **state)
{
    struct fixture *f = *state;
    uint32_t a = make_labelled(f->stores[0], "h", KVTEL_HISTOGRAM, "a"),
             b = make_labelled(f->stores[0], "h", KVTEL_HISTOGRAM, "b");
    assert_int_equal(kvtel_lane_observe(f->lanes[0], a, &(double){ 1 }, 1), 1);
    assert_int_equal(kvtel_lane_observe(f->lanes[0], b, &(double){ 1 }, 1), 1);
    follow(f);
    uint64_t structure = kvtel_snapshot_structure(f->snapshot), before = kvtel_snapshot_state(f->snapshot);
    follow(f);
    assert_int_equal(kvtel_snapshot_state(f->snapshot), before);
    assert_int_equal(kvtel_lane_observe(f->lanes[0], b, &(double){ 1 }, 1), 1);
    follow(f);
    assert_int_equal(kvtel_snapshot_structure(f->snapshot), structure);
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(f->snapshot, "h");
    assert_true(family->series[0].changed <= before);
    assert_true(family->series[1].changed > before && family->series[1].changed == kvtel_snapshot_state(f->snapshot));
    (void)make_labelled(f->stores[0], "h", KVTEL_HISTOGRAM, "c");
    follow(f);
    assert_true(kvtel_snapshot_structure(f->snapshot) > structure);
}

/* A series that was removed leaves, and one of the same label values begins at 0. */
static void test_a_removed_series_leaves(void **state)
{
    struct fixture *f = *state;
    uint32_t series = make_labelled(f->stores[0], "c", KVTEL_COUNTER, "a");
    assert_true(kvtel_lane_increase(f->lanes[0], series, 5));
    follow(f);
    assert_int_equal(kvtel_store_series_remove(f->stores[0], series), KVTEL_OK);
    follow(f);
    check(f);
    assert_int_equal(kvtel_snapshot_find(f->snapshot, "c")->series_count, 0);
    assert_true(kvtel_lane_increase(f->lanes[0], make_labelled(f->stores[0], "c", KVTEL_COUNTER, "a"), 1));
    follow(f);
    check(f);
    assert_true(kvtel_snapshot_find(f->snapshot, "c")->series[0].value == 1);
}

/* The same under a label of the rank, which copies the tables. */
static void test_a_removed_series_leaves_its_copy(void **state)
{
    struct fixture *f = *state;
    struct kvtel_relabel rank = { .name = "rank", .value = "3" };
    uint32_t series = make_labelled(f->stores[0], "c", KVTEL_COUNTER, "a");
    assert_true(kvtel_lane_increase(f->lanes[0], series, 5));
    for (size_t i = 0; i < 2; i++) {
        f->count = 1;
        read_all(f);
        assert_int_equal(kvtel_relabel_view(&rank, &f->followed[0].view), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_follow(f->snapshot, f->followed, 1), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_find(f->snapshot, "c")->series_count, 1 - i);
        if (i == 0)
            assert_int_equal(kvtel_store_series_remove(f->stores[0], series), KVTEL_OK);
    }
    kvtel_relabel_free(&rank);
}

/* Changes within known bins, and none at all, take no memory. */
static void test_a_warm_one_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    uint32_t series = make_labelled(f->stores[0], "h", KVTEL_HISTOGRAM, "a");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(kvtel_lane_observe(f->lanes[0], series, &(double){ 7 }, 1), 1);
        read_all(f);
        fail_allocation(i < 2 ? SIZE_MAX : 1);
        assert_int_equal(kvtel_snapshot_follow(f->snapshot, f->followed, f->count), KVTEL_OK);
        assert_false(allocation_did_fail());
    }
    check(f);
}

/* A family that another source defines otherwise is left out, as long as that one is there. */
static void test_a_family_of_another_definition(void **state)
{
    struct fixture *f = *state;
    assert_true(kvtel_lane_increase(f->lanes[0], make_labelled(f->stores[0], "x", KVTEL_COUNTER, "a"), 1));
    assert_true(kvtel_lane_set(f->lanes[1], make_labelled(f->stores[1], "x", KVTEL_GAUGE, "a"), 5));
    for (int i = 0; i < 2; i++) {
        follow(f);
        assert_int_equal(f->followed[0].status, KVTEL_OK);
        assert_int_equal(f->followed[1].status, KVTEL_E_MISMATCH);
        assert_int_equal(kvtel_snapshot_find(f->snapshot, "x")->type, KVTEL_COUNTER);
    }
    read_all(f);
    assert_int_equal(kvtel_snapshot_follow(f->snapshot, f->followed + 1, 2), KVTEL_OK);
    assert_int_equal(f->followed[1].status, KVTEL_OK);
    assert_int_equal(kvtel_snapshot_find(f->snapshot, "x")->type, KVTEL_GAUGE);
}

/* Amounts that cannot be added up leave their source out, and only it; when the sum fits again, it is back. */
static void test_amounts_that_do_not_fit(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++)
        assert_true(kvtel_lane_increase(f->lanes[i], make_labelled(f->stores[i], "c", KVTEL_COUNTER, "a"), 1));
    follow(f);
    struct kvtel_collected large = { .value = 0x1.8p999 };
    read_all(f);
    for (int i = 0; i < 2; i++)
        assert_int_equal(kvtel_source_set(&f->sources[i], &large, 1), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_follow(f->snapshot, f->followed, 2), KVTEL_OK);
    assert_int_equal(f->followed[0].status, KVTEL_OK);
    assert_int_equal(f->followed[1].status, KVTEL_E_LIMIT);
    assert_true(kvtel_snapshot_find(f->snapshot, "c")->series[0].value == 0x1.8p999);
    large.value = 2;
    assert_int_equal(kvtel_source_set(&f->sources[0], &large, 1), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_follow(f->snapshot, f->followed, 2), KVTEL_OK);
    assert_int_equal(f->followed[1].status, KVTEL_OK);
    assert_true(kvtel_snapshot_find(f->snapshot, "c")->series[0].value == 0x1.8p999 + 2);
}

/* Each allocation fails once: the snapshot is empty or complete, and the next time it is complete. */
static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 200; i++)
        record(f);
    read_all(f);
    enum kvtel_status status = KVTEL_E_NOMEM;
    for (size_t n = 1; status != KVTEL_OK; n++) {
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        fail_allocation(n);
        status = kvtel_snapshot_follow(snapshot, f->followed, f->count);
        bool failed = allocation_did_fail();
        assert_true(status == KVTEL_OK || failed);
        if (status != KVTEL_OK)
            assert_int_equal(kvtel_snapshot_family_count(snapshot), 0);
        assert_int_equal(kvtel_snapshot_follow(snapshot, f->followed, f->count), KVTEL_OK);
        write_text(snapshot, &f->text);
        kvtel_snapshot_destroy(snapshot);
        follow(f);
        write_text(f->snapshot, &f->expected);
        assert_string_equal(f->text.bytes, f->expected.bytes);
    }
}

/* Bins that moved before memory ran out are found again, although no number changed. */
static void test_bins_that_moved_without_memory(void **state)
{
    struct fixture *f = *state;
    uint32_t series[2];
    double value = 1;
    for (int i = 0; i < 2; i++)
        series[i] = make_labelled(f->stores[0], "h", KVTEL_HISTOGRAM, i == 0 ? "a" : "b");
    f->count = 1;
    for (int step = 0; step < 20; step++) {
        for (int i = 0; i < 2; i++)
            assert_int_equal(kvtel_lane_observe(f->lanes[0], series[i], &value, 1), 1);
        value *= 2; /* needs new bins in both */
        enum kvtel_status status = KVTEL_E_NOMEM;
        for (size_t n = 1; status != KVTEL_OK; n++) {
            fail_allocation(n);
            f->followed[0].view = kvtel_store_view(f->stores[0]);
            f->followed[0].source = &f->sources[0];
            status = kvtel_source_refresh(&f->sources[0], &f->followed[0].view, &f->workers.each[0]);
            fail_allocation(SIZE_MAX);
            if (!f->sources[0].valid)
                continue;
            assert_int_equal(kvtel_snapshot_follow(f->snapshot, f->followed, 1), KVTEL_OK);
            write_text(f->snapshot, &f->text);
            const struct kvtel_snapshot_family *family = kvtel_snapshot_find(f->snapshot, "h");
            for (size_t i = 0; i < 2; i++) {
                uint64_t total = 0;
                for (uint32_t k = 0; k < family->series[i].bin_count; k++)
                    total += family->series[i].bins[k];
                assert_int_equal(total, family->series[i].count);
            }
        }
    }
    check(f);
}

/* Ranges of bins that grow without end do not make the memory grow. */
static void test_wider_bins_leave_no_memory_behind(void **state)
{
    struct fixture *f = *state;
    uint32_t series[64];
    char label[16];
    for (int i = 0; i < 64; i++) {
        snprintf(label, sizeof label, "%d", i);
        series[i] = make_labelled(f->stores[0], "h", KVTEL_HISTOGRAM, label);
    }
    for (int step = 0; step < 60; step++) {
        for (int i = 0; i < 64; i++) {
            double value = 1;
            for (int k = 0; k < step; k++)
                value *= 1.3;
            assert_int_equal(kvtel_lane_observe(f->lanes[0], series[i], &value, 1), 1);
        }
        follow(f);
    }
    check(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_shows_what_a_new_snapshot_does, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_shows_what_a_new_snapshot_does, setup_borrowing, teardown),
        cmocka_unit_test_setup_teardown(test_only_what_moved_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_removed_series_leaves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_removed_series_leaves, setup_borrowing, teardown),
        cmocka_unit_test_setup_teardown(test_a_removed_series_leaves_its_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_warm_one_allocates_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_warm_one_allocates_nothing, setup_borrowing, teardown),
        cmocka_unit_test_setup_teardown(test_a_family_of_another_definition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_amounts_that_do_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_amounts_that_do_not_fit, setup_borrowing, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bins_that_moved_without_memory, setup_borrowing, teardown),
        cmocka_unit_test_setup_teardown(test_wider_bins_leave_no_memory_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wider_bins_leave_no_memory_behind, setup_borrowing, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
