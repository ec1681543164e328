/* SPDX-License-Identifier: Apache-2.0 */
/* Recording special values: not measured, impossible, and without room in the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/recorder.h>
#include <kvtel/snapshot.h>

#include "collect/series.h"
#include "record/recorder.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/stores.h"

static const struct kvtel_transfer transfer = {
    .duration_ns = 3000000, .post_ns = 300000, .bytes = 262144, .descriptors = 2, .failed = 1
};

static struct kvtel_store_info info_of(const struct kvtel_store *store)
{
    struct kvtel_store_info info;
    kvtel_store_describe(store, &info);
    return info;
}

/* The faster call of a transfer whose numbers are all measured: also where it is not that fast, and with a number that
 * it is not for. */
static void test_measured(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder = create_recorder(store, "MooncakeStoreConnector");
    const struct kvtel_operation *put = kvtel_recorder_operation(recorder, "save_put", NULL);
    const struct kvtel_transfer large = { .duration_ns = KVTEL_TRANSFER_LIMIT - 1, .bytes = 1, .descriptors = 1 };
    const struct kvtel_transfer impossible = { .duration_ns = KVTEL_TRANSFER_LIMIT, .bytes = 1, .descriptors = 1 };
    for (int i = 0; i < 600; i++) /* the thread's first record, and folds */
        assert_true(kvtel_record_measured(put, &transfer));
    assert_true(kvtel_record_measured(put, &large));
    assert_false(kvtel_record_measured(put, &impossible));
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_value(snapshot, "vllm:mooncake_store_operation", "save_put,ok", 601);
    check_value(snapshot, "vllm:mooncake_store_operation_bytes", "save_put,ok", 600 * 262144.0 + 1);
    check_value(snapshot, "vllm:mooncake_store_operation_failed_keys", "save_put,ok", 600);
    check_sum(snapshot, "vllm:mooncake_store_operation_time_seconds", "save_put,ok", 601,
              600 * 0.003 + (double)(KVTEL_TRANSFER_LIMIT - 1) / 1e9);
    assert_int_equal(info_of(store).values_refused, 1);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    recorder = create_recorder(store, "NixlConnector"); /* a row with a call of its own */
    assert_true(kvtel_record_measured(kvtel_recorder_operation(recorder, NULL, NULL), &transfer));
    snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 1, 0.003);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

/* What is not measured has no value: neither in counts nor in sums. */
static void test_unmeasured(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    const struct kvtel_transfer bare = { .duration_ns = 1000000000, .bytes = 8 };
    const struct kvtel_transfer sized = {
        .duration_ns = KVTEL_UNMEASURED, .post_ns = KVTEL_UNMEASURED, .bytes = 0, .descriptors = 3
    };
    for (int i = 0; i < 400; i++) { /* past a fold, so that both pending and folded rows are seen */
        assert_true(kvtel_record_transfer(recorder, &bare));
        assert_true(kvtel_record_transfer(recorder, &sized));
        if (i % 7 == 0)
            assert_true(kvtel_record_transfer(recorder, &transfer));
    }
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 400 + 58, 400 + 58 * 0.003);
    check_sum(snapshot, "vllm:nixl_post_time_seconds", "", 58, 58 * 0.0003);
    check_sum(snapshot, "vllm:nixl_bytes_transferred", "", 858, 400 * 8 + 58 * 262144.0);
    check_sum(snapshot, "vllm:nixl_num_descriptors", "", 458, 400 * 3 + 58 * 2);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);

    /* A call whose time was not measured is a call all the same. */
    recorder = create_recorder(store, "MooncakeStoreConnector");
    const struct kvtel_operation *put = kvtel_recorder_operation(recorder, "save_put", NULL);
    const struct kvtel_transfer timeless = { .duration_ns = KVTEL_UNMEASURED, .bytes = 1, .descriptors = 1 };
    for (int i = 0; i < 300; i++) {
        assert_true(kvtel_record_operation(put, &timeless));
        assert_true(kvtel_record_operation(put, &transfer));
    }
    snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:mooncake_store_operation_time_seconds", "save_put,ok", 300, 0.9);
    check_value(snapshot, "vllm:mooncake_store_operation", "save_put,ok", 600);
    check_value(snapshot, "vllm:mooncake_store_operation_bytes", "save_put,ok", 300 * 262145.0);
    check_value(snapshot, "vllm:mooncake_store_operation_failed_keys", "save_put,ok", 300);
    kvtel_snapshot_destroy(snapshot);
    assert_int_equal(info_of(store).values_refused, 0);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

/* The difference of two clocks that disagree is no measurement, and no sum ever shows it. */
static void test_impossible_numbers(void **state)
{
    (void)state;
    static const struct kvtel_transfer rows[] = {
        { .duration_ns = (uint64_t)-10, .bytes = 8 },
        { .duration_ns = KVTEL_TRANSFER_LIMIT, .post_ns = 1, .bytes = 8, .descriptors = 1 },
        { .duration_ns = 1, .post_ns = UINT64_MAX, .descriptors = 1 },
        { .duration_ns = 1, .bytes = (uint64_t)-1 },
        { .duration_ns = 1, .descriptors = UINT64_MAX - 1 },
        { .failed = UINT64_MAX },
        { .submitted_ns = 2000, .done_ns = 1990 },
        { .submitted_ns = 2000, .posted_ns = 1000, .done_ns = 3000 },
    };
    static const char *const connectors[] = { "NixlConnector", "MooncakeConnector", "OffloadingConnector" };
    for (size_t c = 0; c < sizeof(connectors) / sizeof(connectors[0]); c++) {
        struct kvtel_store *store = create_store(3);
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find(connectors[c]),
                                                                KVTEL_RECORDER_OPTIONS(.windows = c == 0));
        struct kvtel_snapshot *before = snapshot_of(store);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            assert_false(kvtel_record_transfer(recorder, &rows[i]));
            assert_int_equal(info_of(store).values_refused, i + 1);
        }
        struct kvtel_snapshot *after = snapshot_of(store);
        for (size_t f = 0; f < kvtel_snapshot_family_count(before); f++) {
            const struct kvtel_snapshot_family *is = kvtel_snapshot_family(after, f);
            for (size_t s = 0; s < is->series_count; s++)
                assert_true(is->series[s].count == 0 && is->series[s].sum == 0 && is->series[s].value == 0);
        }
        kvtel_snapshot_destroy(before);
        kvtel_snapshot_destroy(after);
        kvtel_recorder_destroy(recorder);
        kvtel_store_close(store);
    }
}

/* Points in time need the first of them, and belong to one transfer. */
static void test_points_in_time(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder =
        kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), KVTEL_RECORDER_OPTIONS(.windows = true));
    static const struct kvtel_transfer rows[] = {
        { .bytes = 1, .done_ns = UINT64_C(6864900000000) },                       /* not submitted */
        { .duration_ns = 2000, .done_ns = UINT64_C(6864900000000) },              /* a duration of its own */
        { .submitted_ns = 1000, .posted_ns = KVTEL_UNMEASURED, .done_ns = 5000 }, /* not posted */
        { .submitted_ns = 1000, .first_byte_ns = 500, .done_ns = 5000 },          /* a byte of another transfer */
        { .submitted_ns = 1000, .first_byte_ns = 6000, .done_ns = 5000 },         /* and of a later one */
        { .first_byte_ns = 4000, .done_ns = 5000 },                               /* from the first byte on */
        { .submitted_ns = 1000, .done_ns = KVTEL_UNMEASURED, .duration_ns = KVTEL_UNMEASURED }, /* not done */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(kvtel_record_transfer(recorder, &rows[i]));
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", 4, 14e-6);
    check_sum(snapshot, "vllm:nixl_post_time_seconds", "", 0, 0);
    check_sum(snapshot, "kvtel_transfer_first_byte_seconds", "NixlConnector,transfer", 0, 0);
    check_sum(snapshot, "kvtel_transfer_data_seconds", "NixlConnector,transfer", 1, 1e-6);
    assert_int_equal(info_of(store).values_refused, 2);
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

struct told {
    int count;
    char last[256];
};

static void keep_warning(void *context, const char *message)
{
    struct told *told = context;
    told->count++;
    (void)snprintf(told->last, sizeof(told->last), "%s", message);
}

/* Names that a connector does not have are said once each way, and counted each time. */
static void test_unknown_names(void **state)
{
    (void)state;
    struct told told = { 0 };
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.warn = keep_warning, .warn_context = &told));
    assert_null(kvtel_recorder_create(store, kvtel_connector_find("NixlConector"), NULL));
    assert_null(kvtel_recorder_create(store, kvtel_connector_find("MultiConnector"), NULL));
    assert_int_equal(told.count, 1);
    assert_non_null(strstr(told.last, "connector"));
    assert_int_equal(info_of(store).records_dropped, 2);
    struct kvtel_recorder *recorder = create_recorder(store, "NixlConnector");
    assert_null(kvtel_recorder_operation(recorder, "sideways", NULL));
    assert_non_null(strstr(told.last, "NixlConnector has no flow \"sideways\""));
    assert_null(kvtel_recorder_operation(recorder, "sideways", "error"));
    assert_int_equal(told.count, 2);
    assert_null(kvtel_recorder_instrument(recorder, "no such", NULL, 0));
    assert_non_null(strstr(told.last, "\"no such\""));
    assert_null(kvtel_recorder_instrument(recorder, NULL, NULL, 0));
    assert_null(kvtel_recorder_instrument(recorder, "num_failed_transfers", NULL, 1));
    assert_int_equal(told.count, 3);
    assert_int_equal(info_of(store).records_dropped, 7);
    kvtel_recorder_destroy(recorder);

    recorder = create_recorder(store, "MooncakeStoreConnector"); /* its operations must be named */
    assert_int_equal(info_of(store).records_dropped, 7);
    for (int i = 0; i < 3; i++)
        assert_false(kvtel_record_transfer(recorder, &transfer));
    assert_int_equal(info_of(store).records_dropped, 10);
    assert_null(kvtel_recorder_operation(recorder, NULL, NULL));
    assert_int_equal(info_of(store).records_dropped, 11);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

/* When a lane has no more room each label set, each record and each failure that is lost for it is counted. */
static void test_no_room(void **state)
{
    (void)state;
    enum { ENGINES = 40 };
    struct told told = { 0 };
    struct kvtel_store *store =
        kvtel_store_create(KVTEL_STORE_OPTIONS(.lane_bytes = 1 << 20, .warn = keep_warning, .warn_context = &told));
    uint64_t recorded = 0, lost = 0;
    for (int i = 0; i < ENGINES; i++) {
        char engine[16];
        (void)snprintf(engine, sizeof(engine), "%d", i);
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"),
                                                                KVTEL_RECORDER_OPTIONS(.engine = engine));
        assert_non_null(recorder);
        bool done = kvtel_record_transfer(recorder, &transfer);
        recorded += done;
        lost += !done;
        assert_int_equal(info_of(store).records_dropped, lost);
        assert_int_equal(kvtel_record_operation(kvtel_recorder_operation(recorder, "transfer", NULL), &transfer), done);
        lost += !done;
        assert_int_equal(info_of(store).records_dropped, lost);
        kvtel_recorder_destroy(recorder);
    }
    assert_true(recorded > 0 && lost > 0);
    assert_true(info_of(store).series_dropped > 0);
    assert_int_equal(told.count, 1);
    kvtel_store_close(store);
}

static uint32_t make_series(struct kvtel_store *store, const char *name, enum kvtel_metric_type type,
                            enum kvtel_unit unit)
{
    const struct kvtel_family_spec spec = { .name = name, .type = type, .unit = unit };
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, NULL, 0, &series), KVTEL_OK);
    return series;
}

/* What a lane refuses: no number, what no clock measures, levels that are not finite. A series that is none is a record
 * lost. */
static void test_values_of_a_lane(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    uint32_t seconds = make_series(store, "s", KVTEL_HISTOGRAM, KVTEL_UNIT_SECONDS);
    uint32_t bytes = make_series(store, "b", KVTEL_HISTOGRAM, KVTEL_UNIT_BYTES);
    uint32_t time = make_series(store, "t", KVTEL_COUNTER, KVTEL_UNIT_SECONDS);
    uint32_t level = make_series(store, "l", KVTEL_GAUGE, KVTEL_UNIT_SECONDS);
    static const double times[] = { 1, 4611686018.4, 4611686018.5, 9.2e9, -1, NAN, INFINITY, -0.0 };
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    assert_int_equal(kvtel_lane_observe(lane, seconds, times, sizeof(times) / sizeof(times[0])), 3);
    assert_int_equal(info_of(store).values_refused, 5);
    assert_int_equal(kvtel_lane_observe(lane, bytes, &(const double){ 1e18 }, 1), 1);
    assert_true(kvtel_lane_increase(lane, time, 4611686018.4));
    assert_false(kvtel_lane_increase(lane, time, 9.2e9));
    assert_false(kvtel_lane_increase(lane, time, NAN));
    assert_int_equal(info_of(store).values_refused, 7);
    assert_true(kvtel_lane_set(lane, level, -5)); /* a level may be below 0, and a point in time */
    assert_true(kvtel_lane_set(lane, level, 1.8e18));
    assert_false(kvtel_lane_set(lane, level, NAN));
    assert_false(kvtel_lane_set(lane, level, INFINITY));
    assert_false(kvtel_lane_set(lane, level, -INFINITY));
    assert_int_equal(info_of(store).values_refused, 10);
    assert_int_equal(info_of(store).records_dropped, 0);
    assert_int_equal(kvtel_lane_observe(lane, 99, times, 1), 0);
    assert_false(kvtel_lane_increase(lane, 99, 1));
    assert_false(kvtel_lane_set(lane, 99, 1));
    assert_false(kvtel_lane_increase(lane, seconds, 1)); /* of another type */
    assert_int_equal(info_of(store).records_dropped, 4);
    assert_int_equal(info_of(store).values_refused, 10);
    struct kvtel_snapshot *snapshot = snapshot_of(store);
    assert_true(kvtel_snapshot_find(snapshot, "s")->series[0].sum == 1 + 4611686018.4);
    assert_true(kvtel_snapshot_find(snapshot, "t")->series[0].value == 4611686018.4);
    assert_true(kvtel_snapshot_find(snapshot, "l")->series[0].value == 1.8e18);
    kvtel_snapshot_destroy(snapshot);
    kvtel_lane_close(lane);
    kvtel_store_close(store);
}

/* Values observed alone leave the group's other columns without one: how many is nobody's business but the fold's. */
static void test_absent_by_turns(void **state)
{
    (void)state;
    struct kvtel_store *store = create_store(3);
    struct kvtel_recorder *recorder =
        kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), KVTEL_RECORDER_OPTIONS(.windows = true));
    struct kvtel_transfer windowed = transfer;
    windowed.submitted_ns = 1000000;
    windowed.done_ns = 5000000;
    windowed.first_byte_ns = 2000000;
    uint64_t seed = 1, with = 0, all = 0;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    for (; all < 3000; all++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        bool tells = seed >> 33 & 1;
        assert_true(kvtel_record_transfer(recorder, tells ? &windowed : &transfer));
        with += tells;
        if (all % 101 != 0)
            continue;
        kvtel_snapshot_reset(snapshot);
        assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
        check_sum(snapshot, "vllm:nixl_xfer_time_seconds", "", all + 1, (double)(all + 1) * 0.003);
        check_sum(snapshot, "kvtel_transfer_first_byte_seconds", "NixlConnector,transfer", with, (double)with * 0.001);
        check_sum(snapshot, "kvtel_transfer_data_seconds", "NixlConnector,transfer", with, (double)with * 0.003);
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

/* How many histograms, each of a label set of its own, a store of this option holds. */
static uint64_t histogram_room(uint64_t lane_bytes)
{
    struct kvtel_store *store =
        kvtel_store_create(KVTEL_STORE_OPTIONS(.lane_bytes = lane_bytes, .max_series = UINT32_MAX));
    const struct kvtel_family_spec spec = { .name = "s",
                                            .type = KVTEL_HISTOGRAM,
                                            .unit = KVTEL_UNIT_SECONDS,
                                            .labelnames = (const char *const[]){ "x" },
                                            .label_count = 1 };
    uint32_t family, series;
    char value[24];
    const char *const values[] = { value };
    uint64_t made = 0;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    for (enum kvtel_status status = KVTEL_OK; status == KVTEL_OK; made += status == KVTEL_OK) {
        (void)snprintf(value, sizeof(value), "%llu", (unsigned long long)made);
        status = kvtel_store_series(store, family, values, 1, &series);
    }
    assert_true(info_of(store).series_dropped > 0);
    kvtel_store_close(store);
    return made;
}

static bool says(const char *path, const char *text)
{
    static char content[1 << 16];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    content[fread(content, 1, sizeof(content) - 1, file)] = '\0';
    (void)fclose(file);
    return strstr(content, text) != NULL;
}

/* store.h and the documentation say how much fits, in thousands. */
static void test_documented_room(void **state)
{
    (void)state;
    static const char page[] = KVTEL_TEST_DATA "/../../docs/instrumenting.md";
    static const char header[] = KVTEL_TEST_DATA "/../../include/kvtel/store.h";
    static const char rings[] = KVTEL_TEST_DATA "/../../docs/nixl-rings.md";
    assert_int_equal(histogram_room(128 << 20) / 1000, 3);
    assert_int_equal(histogram_room(0) / 1000, 24);
    assert_true(says(page, "3,000 histogram series") && says(page, "24,000"));
    assert_true(says(header, "3,000 histogram series") && says(header, "24,000"));
    assert_true(says(rings, "750 agents")); /* of four histograms each */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measured),           cmocka_unit_test(test_unmeasured),
        cmocka_unit_test(test_impossible_numbers), cmocka_unit_test(test_points_in_time),
        cmocka_unit_test(test_unknown_names),      cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_values_of_a_lane),   cmocka_unit_test(test_absent_by_turns),
        cmocka_unit_test(test_documented_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
