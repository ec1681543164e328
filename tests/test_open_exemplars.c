/* SPDX-License-Identifier: Apache-2.0 */
/* Transfers that were begun and leave an exemplar at their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <kvtel/kvtel.h>

static const uint64_t begin_ns = UINT64_C(1700000000000000000);

/* The only exemplar of the transfer times; NULL: there is none. */
static const struct kvtel_snapshot_exemplar *only_one(const struct kvtel_snapshot *snapshot)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, "vllm:nixl_xfer_time_seconds");
    const struct kvtel_snapshot_series *series = kvtel_snapshot_series(family, 0);
    const struct kvtel_snapshot_exemplar *found = NULL;
    for (size_t i = 0; i <= kvtel_snapshot_bound_count(family); i++) {
        const struct kvtel_snapshot_exemplar *exemplar = kvtel_snapshot_exemplar(family, series, i);
        assert_true(!found || !exemplar);
        found = exemplar ? exemplar : found;
    }
    return found;
}

static uint64_t count_of(const struct kvtel_snapshot *snapshot)
{
    struct kvtel_reading reading;
    kvtel_snapshot_read(kvtel_snapshot_series(kvtel_snapshot_find(snapshot, "vllm:nixl_xfer_time_seconds"), 0),
                        &reading);
    return reading.count;
}

/* `places`: how many transfers can be open at once; 0: none is visible, and its end records it all the same. */
static void check_end(uint32_t places, bool exemplars, const char *request)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_recorder *recorder =
        kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"),
                              KVTEL_RECORDER_OPTIONS(.open_transfers = places, .exemplars = exemplars));
    const struct kvtel_operation *operation = kvtel_recorder_operation(recorder, NULL, NULL);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_exemplar exemplar = { .time_ns = begin_ns };
    assert_true(operation && snapshot && (!request || kvtel_exemplar_add(&exemplar, "request_id", request)));
    struct kvtel_transfer_token token =
        kvtel_transfer_begin(operation, &(struct kvtel_transfer_start){ .bytes = 4096, .began_ns = 1000 });
    const struct kvtel_transfer transfer = { .done_ns = 7001000 };
    assert_true(kvtel_transfer_end_exemplar(&token, &transfer, request ? &exemplar : NULL));
    assert_false(kvtel_transfer_end_exemplar(&token, &transfer, &exemplar)); /* it has ended */
    assert_false(kvtel_transfer_end_exemplar(NULL, &transfer, &exemplar));
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    assert_int_equal(count_of(snapshot), 1);
    const struct kvtel_snapshot_exemplar *left = only_one(snapshot);
    assert_int_equal(left != NULL, exemplars && request);
    if (left) {
        assert_true(kvtel_snapshot_exemplar_value(left) == 0.007);
        assert_int_equal(kvtel_snapshot_exemplar_time_ns(left), begin_ns);
        assert_string_equal(kvtel_snapshot_exemplar_label(left, 0), request);
    }
    kvtel_snapshot_destroy(snapshot);
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
}

static void test_ends(void **state)
{
    (void)state;
    for (uint32_t places = 0; places < 2; places++) {
        check_end(places, true, "r1");
        check_end(places, true, NULL);
        check_end(places, false, "r1"); /* there is no place for it */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_ends) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
