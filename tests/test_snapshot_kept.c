/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that is reset and filled time and again, from what it kept, shows what a new one shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/snapshot.h"
#include "support/native.h"
#include "support/stores.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */

#include <kvtel/exposition.h>
#include <kvtel/recorder.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STORES = 4, LABELS = 3 };

struct fixture {
    struct kvtel_store *stores[STORES];
    struct kvtel_lane *lanes[STORES];
    struct kvtel_snapshot *kept;
    uint32_t random;
};

static void open_store(struct fixture *f, size_t i)
{
    f->stores[i] = kvtel_store_create(NULL);
    assert_non_null(f->stores[i]);
    assert_int_equal(kvtel_lane_open(f->stores[i], &f->lanes[i]), KVTEL_OK);
}

static void close_store(struct fixture *f, size_t i)
{
    kvtel_lane_close(f->lanes[i]);
    kvtel_store_close(f->stores[i]);
}

static int setup(void **state)
{
    struct fixture *f = *state = test_calloc(1, sizeof *f);
    for (size_t i = 0; i < STORES; i++)
        open_store(f, i);
    f->kept = kvtel_snapshot_create();
    f->random = 7;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kvtel_snapshot_destroy(f->kept);
    for (size_t i = 0; i < STORES; i++)
        close_store(f, i);
    test_free(f);
    return 0;
}

static uint32_t random_below(struct fixture *f, uint32_t limit)
{
    f->random = f->random * 1664525u + 1013904223u;
    return (f->random >> 8) % limit;
}

/* A value, an amount, a reading or a removal of a label set in a store. The labels \xff and \xfe are shown as one. */
static void change(struct fixture *f, size_t i)
{
    static const char *const labels[LABELS] = { "a", "\xff", "\xfe" };
    const char *label = labels[random_below(f, LABELS)];
    const double value = random_below(f, 100000);
    struct kvtel_store *store = f->stores[i];
    switch (random_below(f, 7)) {
    case 0:
        assert_true(kvtel_lane_increase(f->lanes[i], make_labelled(store, "c", KVTEL_COUNTER, label), value));
        break;
    case 1:
        assert_true(kvtel_lane_set(f->lanes[i], make_labelled(store, "g", KVTEL_GAUGE, label), value));
        break;
    case 2:
        if (random_below(f, 8) == 0)
            assert_int_equal(kvtel_store_series_remove(store, make_labelled(store, "h", KVTEL_HISTOGRAM, label)),
                             KVTEL_OK);
        break;
    default:
        for (uint32_t k = random_below(f, 3) * 100 + 1; k > 0; k--)
            assert_int_equal(kvtel_lane_observe(f->lanes[i], make_labelled(store, "h", KVTEL_HISTOGRAM, label),
                                                &(double){ value + k }, 1),
                             1);
    }
}

static void write_text(const struct kvtel_snapshot *snapshot, struct kvtel_buffer *text)
{
    text->size = 0;
    assert_int_equal(kvtel_exposition_text(snapshot, text), KVTEL_OK);
}

/* Compares texts, and the bins of all series. */
static void compare(const struct kvtel_snapshot *is, const struct kvtel_snapshot *expected)
{
    struct kvtel_buffer left = { 0 }, right = { 0 };
    write_text(is, &left);
    write_text(expected, &right);
    assert_int_equal(left.size, right.size);
    assert_true(left.size == 0 || memcmp(left.bytes, right.bytes, left.size) == 0);
    kvtel_buffer_free(&left);
    kvtel_buffer_free(&right);
    const struct kvtel_snapshot_family *h = kvtel_snapshot_find(is, "h"), *other = kvtel_snapshot_find(expected, "h");
    for (size_t i = 0; h && i < h->series_count; i++)
        for (double q = 0; q <= 1 && h->series[i].count > 0; q += 0.125)
            assert_true(kvtel_snapshot_quantile(h, &h->series[i], q) ==
                        kvtel_snapshot_quantile(other, &other->series[i], q));
}

/* Fills the kept snapshot and a new one with the stores whose bits are set, and compares them. */
static void check(struct fixture *f, uint32_t stores, size_t twice)
{
    struct kvtel_snapshot *fresh = kvtel_snapshot_create();
    kvtel_snapshot_reset(f->kept);
    for (size_t i = 0; i < STORES; i++) {
        for (size_t k = 0; k < (i == twice ? 2 : 1) && (stores >> i & 1); k++) {
            assert_int_equal(kvtel_snapshot_add(f->kept, f->stores[i]), KVTEL_OK);
            assert_int_equal(kvtel_snapshot_add(fresh, f->stores[i]), KVTEL_OK);
        }
    }
    compare(f->kept, fresh);
    kvtel_snapshot_destroy(fresh);
}

static void test_it_shows_what_a_new_one_does(void **state)
{
    struct fixture *f = *state;
    uint32_t stores = (1 << STORES) - 1;
    size_t parts = 0; /* series that had counts of their parts, in all rounds */
    for (int round = 0; round < 1500; round++) {
        for (uint32_t k = random_below(f, 4); k > 0; k--)
            change(f, random_below(f, STORES));
        if (random_below(f, 20) == 0)
            stores = random_below(f, 1 << STORES);
        if (random_below(f, 50) == 0) { /* another store, maybe at the same address */
            close_store(f, 1);
            open_store(f, 1);
        }
        if (random_below(f, 100) == 0)
            kvtel_snapshot_reset(f->kept);
        check(f, stores, random_below(f, 10) == 0 ? random_below(f, STORES) : STORES);
        parts += check_buckets(f->kept, 3, 160);
        if (round == 100)
            kvtel_snapshot_ask_parts(f->kept);
    }
    assert_true(parts > 100);
}

/* A store whose families do not match those of another one is left out in part each time, at rest or not. */
static void test_a_family_that_does_not_match(void **state)
{
    struct fixture *f = *state;
    assert_true(kvtel_lane_increase(f->lanes[0], make_labelled(f->stores[0], "x", KVTEL_COUNTER, "a"), 1));
    assert_true(kvtel_lane_set(f->lanes[1], make_labelled(f->stores[1], "x", KVTEL_GAUGE, "a"), 5));
    for (int round = 0; round < 5; round++) {
        kvtel_snapshot_reset(f->kept);
        assert_int_equal(kvtel_snapshot_add(f->kept, f->stores[0]), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_add(f->kept, f->stores[1]), KVTEL_E_MISMATCH);
        assert_true(kvtel_snapshot_find(f->kept, "x")->series[0].value == 1);
    }
}

/* Values in known cells take no memory: what a scrape needs is there since the one before. */
static void test_a_warm_one_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    struct kvtel_buffer text = { 0 };
    const uint32_t h = make_labelled(f->stores[0], "h", KVTEL_HISTOGRAM, "a"),
                   c = make_labelled(f->stores[0], "c", KVTEL_COUNTER, "a");
    for (int round = 0; round < 700; round++) {
        assert_int_equal(kvtel_lane_observe(f->lanes[0], h, &(double){ 1 + round % 3 }, 1), 1);
        assert_true(kvtel_lane_increase(f->lanes[0], c, 1));
        fail_allocation(round < 300 ? SIZE_MAX : 1); /* the first block was folded */
        kvtel_snapshot_reset(f->kept);
        assert_int_equal(kvtel_snapshot_add(f->kept, f->stores[0]), KVTEL_OK);
        assert_false(allocation_did_fail());
        fail_allocation(0);
        write_text(f->kept, &text);
    }
    assert_int_equal(kvtel_snapshot_find(f->kept, "h")->series[0].count, 700);
    kvtel_buffer_free(&text);
}

/* Each allocation fails once: nothing is added, or all is, and the next time all is there. */
static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 300; i++)
        change(f, random_below(f, STORES));
    for (int rounds = 0; rounds < 3; rounds++) {
        enum kvtel_status status = KVTEL_E_NOMEM;
        for (size_t n = 1; status != KVTEL_OK; n++) {
            struct kvtel_snapshot *snapshot = kvtel_snapshot_create(), *fresh = kvtel_snapshot_create();
            for (int i = 0; i < rounds; i++) {
                kvtel_snapshot_reset(snapshot);
                assert_int_equal(kvtel_snapshot_add(snapshot, f->stores[0]), KVTEL_OK);
            }
            change(f, 0);
            kvtel_snapshot_reset(snapshot);
            fail_allocation(n);
            status = kvtel_snapshot_add(snapshot, f->stores[0]);
            const bool failed = allocation_did_fail();
            fail_allocation(0);
            assert_true(status == KVTEL_OK || (status == KVTEL_E_NOMEM && failed));
            if (status != KVTEL_OK)
                assert_int_equal(kvtel_snapshot_family_count(snapshot), 0);
            kvtel_snapshot_reset(snapshot);
            assert_int_equal(kvtel_snapshot_add(snapshot, f->stores[0]), KVTEL_OK);
            assert_int_equal(kvtel_snapshot_add(fresh, f->stores[0]), KVTEL_OK);
            compare(snapshot, fresh);
            kvtel_snapshot_destroy(snapshot);
            kvtel_snapshot_destroy(fresh);
            if (!failed)
                break;
        }
    }
}

/* A child of fork() reads its parent's stores, and keeps nothing of them. */
static void test_a_child(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        check(f, 1, STORES);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        kvtel_snapshot_reset(f->kept);
        _exit(kvtel_snapshot_add(f->kept, f->stores[0]) == KVTEL_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_shows_what_a_new_one_does, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_family_that_does_not_match, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_warm_one_allocates_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_child, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
