/* SPDX-License-Identifier: Apache-2.0 */
/* A source: what moved is read, what did not is not, and the numbers are those of a reading of everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/exemplars.h"
#include "collect/source.h"
#include "record/store.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */

#include <kvtel/recorder.h>
#include <stdio.h>
#include <string.h>

/* A store's view that counts what is read of its lanes, and whose reads fail on demand. */
struct counted {
    struct kvtel_view view, real;
    uint64_t words;
    bool fails, zeros; /* reads fail; all that is read is 0 */
};

static enum kvtel_status read_counted(void *context, uint32_t lane, uint64_t word, size_t count, uint64_t *copy)
{
    struct counted *counted = context;
    counted->words += count;
    if (counted->zeros)
        memset(copy, 0, count * sizeof *copy);
    return counted->fails   ? KVTEL_E_IO
           : counted->zeros ? KVTEL_OK
                            : counted->real.read(counted->real.context, lane, word, count, copy);
}

static enum kvtel_status read_lines(void *context, uint32_t first, uint32_t count, uint64_t *copy)
{
    struct counted *counted = context;
    if (counted->zeros)
        memset(copy, 0, count * KVTEL_LINE_WORDS * sizeof *copy);
    return counted->fails   ? KVTEL_E_IO
           : counted->zeros ? KVTEL_OK
                            : counted->real.read_lines(counted->real.context, first, count, copy);
}
static void look(struct counted *counted, const struct kvtel_store *store)
{
    *counted = (struct counted){ .real = kvtel_store_view(store) };
    counted->view = counted->real;
    counted->view.read = read_counted;
    counted->view.read_lines = read_lines;
    counted->view.context = counted;
}

static uint32_t make(struct kvtel_store *store, const char *name, enum kvtel_metric_type type, int label)
{
    static const char *const labelnames[] = { "n" };
    const struct kvtel_family_spec spec = {
        .name = name, .type = type, .help = "Help.", .labelnames = labelnames, .label_count = 1
    };
    char value[16];
    const char *values[] = { value };
    uint32_t family, series;
    snprintf(value, sizeof value, "%d", label);
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, values, 1, &series), KVTEL_OK);
    return series;
}

static void assert_same(const struct kvtel_source *source, const struct kvtel_source *other)
{
    assert_int_equal(source->series_count, other->series_count);
    for (uint32_t i = 0; i < source->series_count; i++) {
        const struct kvtel_collected *left = &source->series[i].value, *right = &other->series[i].value;
        assert_memory_equal(&left->value, &right->value, sizeof(double));
        assert_memory_equal(&left->sum, &right->sum, sizeof(double));
        assert_int_equal(left->count, right->count);
        assert_int_equal(left->stamp, right->stamp);
        assert_int_equal(left->bin_count, right->bin_count);
        assert_int_equal(left->bin_count ? left->first : 0, right->bin_count ? right->first : 0);
        if (left->bin_count > 0)
            assert_memory_equal(left->bins, right->bins, left->bin_count * sizeof(uint64_t));
    }
}

static uint32_t state_of_random = 7;

static uint32_t random_below(uint32_t limit)
{
    state_of_random = state_of_random * 1664525u + 1013904223u;
    return (state_of_random >> 8) % limit;
}

/* One to three hundred values, amounts or readings, in a random lane. */
static void record(struct kvtel_lane *const *lanes, const uint32_t series[][3])
{
    struct kvtel_lane *lane = lanes[random_below(3)];
    const uint32_t *of = series[random_below(4)];
    switch (random_below(3)) {
    case 0:
        for (uint32_t k = 1 + random_below(300); k > 0; k--)
            assert_int_equal(kvtel_lane_observe(lane, of[0], &(double){ 1 + random_below(1000) }, 1), 1);
        break;
    case 1:
        assert_true(kvtel_lane_increase(lane, of[1], random_below(100)));
        break;
    default:
        assert_true(kvtel_lane_set(lane, of[2], random_below(100)));
    }
}

static void test_numbers_are_those_of_a_reading_of_everything(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_workers *workers = test_calloc(1, sizeof *workers);
    struct kvtel_source source = { 0 };
    struct kvtel_lane *lanes[3];
    uint32_t series[4][3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(kvtel_lane_open(store, &lanes[i]), KVTEL_OK);
    for (int i = 0; i < 4; i++) { /* another label set every hundred steps */
        series[i][0] = make(store, "h", KVTEL_HISTOGRAM, i);
        series[i][1] = make(store, "c", KVTEL_COUNTER, i);
        series[i][2] = make(store, "g", KVTEL_GAUGE, i);
        for (int step = 0; step < 100; step++) {
            struct counted counted;
            struct kvtel_source whole = { 0 };
            uint32_t known[4][3];
            for (int k = 0; k < 4; k++)
                memcpy(known[k], series[k <= i ? k : i], sizeof known[k]);
            if (step % 5 > 0)
                record(lanes, known);
            look(&counted, store);
            assert_int_equal(kvtel_source_refresh(&source, &counted.view, &workers->each[0]), KVTEL_OK);
            if (step > 0 && step % 5 == 0) /* nothing moved */
                assert_int_equal(counted.words, 0);
            assert_int_equal(kvtel_source_refresh(&whole, &counted.view, &workers->each[1]), KVTEL_OK);
            assert_same(&source, &whole);
            kvtel_source_free(&whole);
        }
    }
    kvtel_source_free(&source);
    kvtel_workers_free(workers);
    test_free(workers);
    for (int i = 0; i < 3; i++)
        kvtel_lane_close(lanes[i]);
    kvtel_store_close(store);
}

/* A store of two histograms, and a source that has seen a value of each. */
struct fixture {
    struct kvtel_store *store;
    struct kvtel_lane *lane;
    uint32_t series[2];
    struct kvtel_workers workers;
    struct kvtel_source source;
    struct counted counted;
};

static int setup(void **state)
{
    struct fixture *f = *state = test_calloc(1, sizeof *f);
    f->store = kvtel_store_create(NULL);
    assert_int_equal(kvtel_lane_open(f->store, &f->lane), KVTEL_OK);
    for (int i = 0; i < 2; i++) {
        f->series[i] = make(f->store, "h", KVTEL_HISTOGRAM, i);
        assert_int_equal(kvtel_lane_observe(f->lane, f->series[i], &(double){ 7 }, 1), 1);
    }
    look(&f->counted, f->store);
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[0]), KVTEL_OK);
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

static void test_only_what_moved_changes(void **state)
{
    struct fixture *f = *state;
    uint64_t before = f->source.state;
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[1], &(double){ 8 }, 1), 1);
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[0]), KVTEL_OK);
    assert_int_equal(f->source.state, before + 1);
    assert_true(f->source.series[f->series[0]].changed <= before);
    assert_int_equal(f->source.series[f->series[1]].changed, before + 1);
    assert_int_equal(f->source.series[f->series[1]].value.count, 2);
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[0]), KVTEL_OK);
    assert_int_equal(f->source.state, before + 1);
}

/* A value of 0 is one value more. */
static void test_a_value_of_zero_counts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[0], &(double){ 0 }, 1), 1);
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[0]), KVTEL_OK);
    assert_int_equal(f->source.series[f->series[0]].value.count, 2);
}

static void test_a_reading_that_fails_leaves_the_last_numbers(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[0], &(double){ 8 }, 1), 1);
    f->counted.fails = true;
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[0]), KVTEL_E_IO);
    assert_int_equal(f->source.series[f->series[0]].value.count, 1);
    f->counted.fails = false;
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[0]), KVTEL_OK);
    assert_int_equal(f->source.series[f->series[0]].value.count, 2);
}

/* No writer takes back what it counted, so somebody else wrote into the file. A series that was removed may be lower.
 */
static void test_counts_that_fall_are_not_taken(void **state)
{
    struct fixture *f = *state;
    struct kvtel_worker *worker = &f->workers.each[0];
    uint32_t counter = make(f->store, "c", KVTEL_COUNTER, 0);
    assert_true(kvtel_lane_increase(f->lane, counter, 0.25));
    look(&f->counted, f->store);
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, worker), KVTEL_OK);
    for (int i = 0; i < 3; i++) {
        f->counted.zeros = true;
        assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, worker), KVTEL_E_FORMAT);
        assert_true(f->source.fell);
        assert_int_equal(f->source.series[f->series[0]].value.count, 1);
        assert_true(f->source.series[counter].value.value == 0.25);
        f->counted.zeros = false;
        assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, worker), KVTEL_OK);
        assert_false(f->source.fell);
        if (i < 2)
            assert_int_equal(kvtel_store_series_remove(f->store, f->series[i]), KVTEL_OK);
    }
    assert_int_equal(kvtel_store_series_remove(f->store, counter), KVTEL_OK);
    f->counted.zeros = true;
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, worker), KVTEL_OK);
}

/* A sum that falls within what its bins allow, or by the last digits of a counter, stays: a lower one would be taken
 * for a restart. */
static void test_sums_that_fall_stay(void **state)
{
    struct fixture *f = *state;
    struct kvtel_worker *worker = &f->workers.each[0];
    const uint32_t counter = make(f->store, "c", KVTEL_COUNTER, 0);
    assert_true(kvtel_lane_increase(f->lane, counter, 0.3));
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[0], &(double){ 0.7 }, 1), 1);
    look(&f->counted, f->store);
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, worker), KVTEL_OK);
    const double value = f->source.series[counter].value.value, sum = f->source.series[f->series[0]].value.sum;
    /* what a source that read in another order of additions has */
    f->source.series[counter].value.value = value * (1 + 0x1p-50);
    f->source.series[f->series[0]].value.sum = sum * (1 + 0x1p-50);
    assert_true(kvtel_lane_increase(f->lane, counter, 0));
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[0], &(double){ 0 }, 1), 1);
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, worker), KVTEL_OK);
    assert_true(f->source.series[counter].value.value == value * (1 + 0x1p-50));
    assert_true(f->source.series[f->series[0]].value.sum == sum * (1 + 0x1p-50));
    f->source.known = false; /* all is read */
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[0], &(double){ 0 }, 1), 1);
    assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, worker), KVTEL_OK);
    assert_true(f->source.series[f->series[0]].value.sum == sum * (1 + 0x1p-50));
}

/* What a source keeps of a bucket does not go back in time: the newest one may not have been readable this time. */
static void test_kept_exemplars_do_not_go_back(void **state)
{
    (void)state;
    struct kvtel_snapshot_exemplar kept = { .time_ns = 200, .value = 1 };
    const struct kvtel_snapshot_exemplar older = { .time_ns = 199, .value = 2 }, newer = { .time_ns = 201, .value = 3 };
    assert_false(kvtel_exemplars_replace(&kept, &older, 1));
    assert_int_equal(kept.time_ns, 200);
    assert_false(kvtel_exemplars_replace(&kept, &(struct kvtel_snapshot_exemplar){ 0 }, 1));
    assert_true(kvtel_exemplars_replace(&kept, &newer, 1));
    assert_false(kvtel_exemplars_replace(&kept, &newer, 1));
    assert_true(kept.value == 3);
}

/* Each allocation of a refresh fails once: the last numbers stay, and the next refresh has all. */
static void test_a_refresh_without_memory(void **state)
{
    struct fixture *f = *state;
    for (int i = 2; i < 40; i++) { /* more series, and more bins in each */
        uint32_t series = make(f->store, "h", KVTEL_HISTOGRAM, i);
        for (int k = 0; k < 12; k++)
            assert_int_equal(kvtel_lane_observe(f->lane, series, &(double){ 1 << k }, 1), 1);
    }
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[0], &(double){ 1e6 }, 1), 1);
    look(&f->counted, f->store);
    enum kvtel_status status = KVTEL_E_NOMEM;
    for (size_t n = 1; status != KVTEL_OK; n++) {
        fail_allocation(n);
        status = kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[1]);
        bool failed = allocation_did_fail();
        assert_true(status == KVTEL_OK || failed);
        if (status != KVTEL_OK) {
            assert_int_equal(status, KVTEL_E_NOMEM);
            assert_int_equal(f->source.series[f->series[0]].value.count, 1);
        }
    }
    struct kvtel_source whole = { 0 };
    assert_int_equal(kvtel_source_refresh(&whole, &f->counted.view, &f->workers.each[0]), KVTEL_OK);
    assert_same(&f->source, &whole);
    kvtel_source_free(&whole);
}

/* A refresh that finds something new of a known kind takes no memory, and one that finds nothing neither. */
static void test_a_warm_refresh_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(kvtel_lane_observe(f->lane, f->series[0], &(double){ 7 }, 1), 1);
        fail_allocation(i == 0 ? SIZE_MAX : 1);
        assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[0]), KVTEL_OK);
        assert_int_equal(kvtel_source_refresh(&f->source, &f->counted.view, &f->workers.each[0]), KVTEL_OK);
        assert_false(allocation_did_fail());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_those_of_a_reading_of_everything),
        cmocka_unit_test_setup_teardown(test_only_what_moved_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_value_of_zero_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reading_that_fails_leaves_the_last_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sums_that_fall_stay, setup, teardown),
        cmocka_unit_test(test_kept_exemplars_do_not_go_back),
        cmocka_unit_test_setup_teardown(test_counts_that_fall_are_not_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refresh_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_warm_refresh_allocates_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
