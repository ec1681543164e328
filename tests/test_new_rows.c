/* SPDX-License-Identifier: Apache-2.0 */
/* A source that adds the rows since its last reading has the numbers of a reading of everything, to the last bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "collect/source.h"
#include "record/store.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */
#include "support/stores.h"

#include <string.h>

enum { LANES = 3, ROW = 4, MANY = 250 };

/* A store, what records into it, and a source. The view counts the words that are read of lanes. */
struct fixture {
    struct kvtel_store *store;
    struct kvtel_recorder *recorder;
    const struct kvtel_operation *operations[2];
    struct kvtel_lane *lanes[LANES];
    struct kvtel_workers workers;
    struct kvtel_source source;
    struct kvtel_view real;
    uint64_t words;
    int rows_meanwhile; /* are written when a row is read the next time */
};

static void record(struct fixture *f, uint32_t lane, uint64_t number)
{
    const struct kvtel_transfer transfer = {
        .duration_ns = 1000 + number, .post_ns = number, .bytes = 4096 * number, .descriptors = number % 7
    };
    assert_true(kvtel_lane_record(f->lanes[lane], f->operations[number % 2], &transfer));
}

static enum kvtel_status read_counted(void *context, uint32_t lane, uint64_t word, size_t count, uint64_t *copy)
{
    struct fixture *f = context;
    enum kvtel_status status = f->real.read(f->real.context, lane, word, count, copy);
    f->words += count;
    for (; f->rows_meanwhile > 0; f->rows_meanwhile--)
        record(f, 0, 10);
    return status;
}

static enum kvtel_status read_lines(void *context, uint32_t first, uint32_t count, uint64_t *copy)
{
    const struct fixture *f = context;
    return f->real.read_lines(f->real.context, first, count, copy);
}

static enum kvtel_status refresh(struct fixture *f, struct kvtel_source *source)
{
    f->real = kvtel_store_view(f->store);
    struct kvtel_view view = f->real;
    view.read = read_counted;
    view.read_lines = read_lines;
    view.context = f;
    f->words = 0;
    return kvtel_source_refresh(source, &view, &f->workers.each[0]);
}

static void assert_same_series(const struct kvtel_collected *left, const struct kvtel_collected *right,
                               uint32_t bucket_count)
{
    assert_memory_equal(&left->value, &right->value, sizeof(double));
    assert_memory_equal(&left->sum, &right->sum, sizeof(double));
    assert_int_equal(left->count, right->count);
    assert_int_equal(left->bin_count, right->bin_count);
    if (left->bin_count == 0)
        return;
    assert_int_equal(left->first, right->first);
    assert_memory_equal(left->bins, right->bins, left->bin_count * sizeof(uint64_t));
    assert_memory_equal(left->buckets, right->buckets, bucket_count * sizeof(uint64_t));
}

/* Compares with a source that reads everything. */
static void check(struct fixture *f)
{
    struct kvtel_source whole = { 0 };
    assert_int_equal(refresh(f, &whole), KVTEL_OK);
    assert_int_equal(f->source.series_count, whole.series_count);
    for (uint32_t i = 0; i < whole.series_count; i++)
        assert_same_series(&f->source.series[i].value, &whole.series[i].value,
                           f->real.families[f->real.series[i].family].bound_count + 1);
    kvtel_source_free(&whole);
}

static int setup_connector(void **state, const char *connector, const char *first, const char *second)
{
    struct fixture *f = *state = test_calloc(1, sizeof *f);
    f->store = create_store(0);
    f->recorder = create_recorder(f->store, connector);
    f->operations[0] = kvtel_recorder_operation(f->recorder, first, NULL);
    f->operations[1] = kvtel_recorder_operation(f->recorder, second, NULL);
    assert_non_null(f->operations[0]);
    assert_non_null(f->operations[1]);
    assert_int_equal(kvtel_lane_open(f->store, &f->lanes[0]), KVTEL_OK);
    return 0;
}

static int setup(void **state)
{
    return setup_connector(state, "NixlConnector", NULL, NULL);
}

static int setup_operations(void **state)
{
    return setup_connector(state, "MooncakeStoreConnector", "save_put", "load_get");
}

static int setup_flows(void **state)
{
    return setup_connector(state, "OffloadingConnector", "load", "store");
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kvtel_source_free(&f->source);
    kvtel_workers_free(&f->workers);
    for (int i = 0; i < LANES; i++)
        kvtel_lane_close(f->lanes[i]);
    kvtel_recorder_destroy(f->recorder);
    kvtel_store_close(f->store);
    test_free(f);
    return 0;
}

static uint32_t random_below(uint32_t limit)
{
    static uint32_t state_of_random = 11;
    state_of_random = state_of_random * 1664525u + 1013904223u;
    return (state_of_random >> 8) % limit;
}

/* A few rows, or so many that a fold or several are among them. */
static void record_some(struct fixture *f, uint32_t lane)
{
    static const uint32_t most[] = { 2, 6, 100, 300, 700 };
    const uint32_t range = 1u << (1 + random_below(20));
    for (uint32_t i = random_below(most[random_below(5)]); i > 0; i--)
        record(f, lane, random_below(50) == 0 ? KVTEL_INTEGER_LIMIT >> 13 : random_below(range));
}

static void test_numbers_are_those_of_a_reading_of_everything(void **state)
{
    struct fixture *f = *state;
    uint32_t lanes = 1;
    for (int step = 0; step < 400; step++) {
        if (step % 100 == 50 && lanes < LANES)
            assert_int_equal(kvtel_lane_open(f->store, &f->lanes[lanes++]), KVTEL_OK);
        for (uint32_t lane = 0; lane < lanes; lane++)
            record_some(f, lane);
        assert_int_equal(refresh(f, &f->source), KVTEL_OK);
        check(f);
    }
}

/* Samples and amounts that are doubles: the sum depends on the order of the additions. */
static void test_doubles(void **state)
{
    struct fixture *f = *state;
    const struct kvtel_instrument *delay =
        kvtel_recorder_instrument(f->recorder, "vllm:kv_offload_lookup_sync_delay_seconds", NULL, 0);
    for (int step = 0; step < 400; step++) {
        for (uint32_t i = random_below(random_below(10) == 0 ? 500 : 20); i > 0; i--)
            assert_true(kvtel_record_value(delay, random_below(1000000) / 7e5));
        record(f, 0, KVTEL_INTEGER_LIMIT + random_below(1000)); /* above the limit it is a double */
        record(f, 0, random_below(1000));
        assert_int_equal(refresh(f, &f->source), KVTEL_OK);
        check(f);
    }
}

static void test_a_row_costs_its_words(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        record(f, 0, 10);
        assert_int_equal(refresh(f, &f->source), KVTEL_OK);
        if (i > 0)
            assert_int_equal(f->words, ROW);
    }
    check(f);
}

/* Rows that were overwritten while they were copied are not added. */
static void test_a_writer_that_overtakes(void **state)
{
    struct fixture *f = *state;
    record(f, 0, 10);
    assert_int_equal(refresh(f, &f->source), KVTEL_OK);
    for (uint64_t i = 0, before = 1; i < 20; i++, before += 1 + MANY) {
        record(f, 0, 10);
        f->rows_meanwhile = MANY;
        assert_int_equal(refresh(f, &f->source), KVTEL_OK);
        assert_in_range(f->source.series[0].value.count, before + 1, before + 1 + MANY);
        assert_true(f->source.series[0].value.sum == (double)f->source.series[0].value.count * 1010 / 1e9);
        assert_int_equal(refresh(f, &f->source), KVTEL_OK);
        assert_int_equal(f->source.series[0].value.count, before + 1 + MANY);
        check(f);
    }
}

/* Without memory the numbers are those of before; afterwards they are all there. */
static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    record(f, 0, 1);
    assert_int_equal(refresh(f, &f->source), KVTEL_OK);
    for (uint64_t number = 1 << 10; number < UINT64_C(1) << 30; number *= 4) { /* each needs new bins */
        enum kvtel_status status = KVTEL_E_NOMEM;
        const uint64_t before = f->source.series[0].value.count;
        record(f, 0, number);
        for (size_t n = 1; status != KVTEL_OK; n++) {
            fail_allocation(n);
            status = refresh(f, &f->source);
            assert_true(allocation_did_fail() || status == KVTEL_OK);
            assert_int_equal(f->source.series[0].value.count, before + (status == KVTEL_OK));
        }
        check(f);
    }
}

/* What no word tells of is read once the source was told to forget. */
static void test_a_source_that_forgets(void **state)
{
    struct fixture *f = *state;
    record(f, 0, 10);
    assert_int_equal(refresh(f, &f->source), KVTEL_OK);
    assert_int_equal(refresh(f, &f->source), KVTEL_OK);
    assert_int_equal(f->words, 0);
    kvtel_source_forget(&f->source);
    assert_int_equal(refresh(f, &f->source), KVTEL_OK);
    assert_true(f->words > 0);
    check(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numbers_are_those_of_a_reading_of_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_are_those_of_a_reading_of_everything, setup_operations, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_are_those_of_a_reading_of_everything, setup_flows, teardown),
        cmocka_unit_test_setup_teardown(test_doubles, setup_flows, teardown),
        cmocka_unit_test_setup_teardown(test_a_row_costs_its_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_writer_that_overtakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_source_that_forgets, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
