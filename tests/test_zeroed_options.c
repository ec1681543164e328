/* SPDX-License-Identifier: Apache-2.0 */
/* Every public function with options, a table or a vtable gets them zeroed and as NULL: it must return and not
 * crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/kvtel.h>
#include <kvtel/reader.h>
#include <kvtel/recorder.h>

#include "collect/series.h"
#include "base/diagnostics.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char multi[] = "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
                            "{\"kv_connector\": \"NixlConnector\"}]}}";

static struct kvtel_transfer_config *config_of(const char *json)
{
    struct kvtel_transfer_config *config;
    assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, json, strlen(json), &config, NULL), KVTEL_OK);
    return config;
}

static void test_prom(void **state)
{
    (void)state;
    static const char *const connectors[] = { "NixlConnector", "OffloadingConnector", "MultiConnector",
                                              "ExampleConnector", "Nobodys" };
    const char *const values[] = { "m", NULL };
    const char *const names[] = { "model_name", NULL };
    struct kvtel_prom *prom;
    struct kvtel_prom_metrics *metrics;
    void *child;
    assert_int_equal(kvtel_prom_create(NULL, &prom), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_prom_create(&(struct kvtel_prom_options){ 0 }, &prom), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_build_prom_metrics(NULL, &metrics), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_build_prom_metrics(&(struct kvtel_prom_options){ 0 }, &metrics), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_create_metric_per_engine(NULL, NULL, NULL, 0, 0, &child), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_create_metric_per_engine(&(struct kvtel_metric_types){ 0 }, NULL, NULL, 0, 0, &child),
                     KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_prom_metrics_create_generic(NULL, &(struct kvtel_prom_options){ 0 }, &metrics),
                     KVTEL_E_ARGUMENT);
    for (size_t i = 0; i < sizeof(connectors) / sizeof(connectors[0]); i++) {
        struct kvtel_transfer_config *config = i == 2 ? config_of(multi) : kvtel_transfer_config_of(connectors[i]);
        struct kvtel_store *store = kvtel_store_create(NULL);
        struct kvtel_prom_options options = { .config = config };
        assert_int_equal(kvtel_prom_create(&options, &prom), KVTEL_E_ARGUMENT); /* types are missing */
        assert_int_equal(kvtel_store_metric_types(store, &options.types), KVTEL_OK);
        struct kvtel_prom_options wrong[] = { options, options, options, options, options };
        wrong[0].label_count = 2;                              /* without names */
        wrong[1].labelnames = names, wrong[1].label_count = 2; /* one is NULL */
        wrong[2].engine_count = 1;                             /* without engines */
        wrong[3].labelnames = names, wrong[3].label_count = 1; /* an engine without values */
        wrong[3].engines = &(struct kvtel_engine_labels){ 0 }, wrong[3].engine_count = 1;
        wrong[4].types.observe = NULL;
        for (size_t k = 0; k < sizeof(wrong) / sizeof(wrong[0]); k++)
            assert_int_equal(kvtel_prom_create(&wrong[k], &prom), KVTEL_E_ARGUMENT);
        assert_int_equal(kvtel_prom_create(&options, &prom), KVTEL_OK); /* no labels, no engines */
        kvtel_prom_destroy(prom);
        options.labelnames = names, options.label_count = 1;
        options.engines = &(struct kvtel_engine_labels){ .engine = 0, .values = values }, options.engine_count = 1;
        assert_int_equal(kvtel_prom_create(&options, &prom), KVTEL_OK);
        kvtel_prom_destroy(prom);
        kvtel_store_close(store);
        kvtel_transfer_config_destroy(config);
    }
    kvtel_prom_destroy(NULL);
    kvtel_prom_metrics_destroy(NULL);
}

static void test_store(void **state)
{
    (void)state;
    struct kvtel_store_options zero = { 0 };
    struct kvtel_store *store = kvtel_store_create(&zero), *other = kvtel_store_create(NULL);
    assert_non_null(store);
    assert_non_null(other);
    struct kvtel_family_spec spec = { 0 };
    uint32_t family = 0, series = 0;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_E_ARGUMENT);
    spec.name = "x";
    spec.label_count = 1;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_E_ARGUMENT); /* no names of labels */
    spec.labelnames = (const char *const[]){ NULL };
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_E_ARGUMENT);
    spec.labelnames = (const char *const[]){ "a" };
    spec.type = KVTEL_HISTOGRAM;
    spec.buckets = &(const struct kvtel_buckets){ .bounds = NULL, .count = 3 };
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_E_ARGUMENT);
    spec.buckets = &(const struct kvtel_buckets){ .bounds = NULL, .count = 0 };
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, NULL, 1, &series), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_store_series(store, family, (const char *const[]){ NULL }, 1, &series), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_store_series(store, family + 1, NULL, 0, &series), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_store_series(store, family, (const char *const[]){ "v" }, 1, &series), KVTEL_OK);
    struct kvtel_lane *lane;
    assert_int_equal(kvtel_lane_open(store, &lane), KVTEL_OK);
    assert_int_equal(kvtel_lane_observe(lane, series, NULL, 0), 0);
    kvtel_lane_close(lane);
    kvtel_lane_close(NULL);
    kvtel_store_close(other);
    kvtel_store_close(store);
    kvtel_store_close(NULL);

    char dir[] = "/tmp/kvtel-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    zero.dir = dir;
    store = kvtel_store_open(&zero);
    assert_non_null(store);
    assert_non_null(kvtel_store_path(store));
    struct kvtel_store_reader *reader;
    assert_int_equal(kvtel_store_reader_open(kvtel_store_path(store), &reader, NULL), KVTEL_OK);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_snapshot_add_reader(snapshot, reader, NULL), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_add_readers(snapshot, NULL, 0, NULL), KVTEL_OK);
    assert_null(kvtel_snapshot_family(snapshot, 0));
    struct kvtel_buffer text = { 0 };
    assert_int_equal(kvtel_exposition_text(snapshot, &text), KVTEL_OK);
    kvtel_buffer_free(&text);
    kvtel_buffer_free(NULL);
    kvtel_snapshot_destroy(snapshot);
    kvtel_snapshot_destroy(NULL);
    kvtel_store_reader_close(reader);
    kvtel_store_reader_close(NULL);
    (void)unlink(kvtel_store_path(store));
    (void)rmdir(dir);
    kvtel_store_close(store);
}

static void test_recorder(void **state)
{
    (void)state;
    struct kvtel_recorder_options zero = { 0 };
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_transfer transfer = { 0 };
    for (size_t i = 0; kvtel_connector_at(i); i++) {
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_at(i), &zero);
        (void)kvtel_record_transfer(recorder, &transfer);
        (void)kvtel_record_operation(kvtel_recorder_operation(recorder, NULL, NULL), &transfer);
        (void)kvtel_record_operation(kvtel_recorder_operation(recorder, "x", NULL), &transfer);
        assert_null(kvtel_recorder_instrument(recorder, NULL, NULL, 0));
        assert_null(kvtel_recorder_instrument(recorder, "", NULL, 1));
        assert_null(kvtel_recorder_instrument(recorder, "", (const char *const[]){ NULL }, 1));
        for (int failure = -1; failure <= KVTEL_FAILURE_COUNT; failure++)
            (void)kvtel_record_failure(recorder, (enum kvtel_failure)failure);
        kvtel_recorder_destroy(recorder);
    }
    assert_null(kvtel_recorder_create(NULL, NULL, &zero));
    assert_false(kvtel_lane_record(NULL, NULL, &transfer));
    assert_false(kvtel_record_value(NULL, 0));
    kvtel_recorder_destroy(NULL);
    kvtel_store_close(store);
    kvtel_ticks_calibrate(&(struct kvtel_ticks){ 0 }, 1);
}

static void test_stats_and_logging(void **state)
{
    (void)state;
    struct kvtel_transfer transfer = { 0 };
    assert_null(kvtel_stats_create(NULL, NULL));
    for (size_t i = 0; kvtel_connector_at(i); i++) {
        struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_at(i), NULL);
        if (!stats)
            continue;
        (void)kvtel_stats_record_transfer(stats, NULL, &transfer);
        (void)kvtel_stats_record_operation(stats, "x", "ok", &transfer);
        assert_int_not_equal(kvtel_stats_record_value(stats, "", NULL, 0, 0), KVTEL_OK);
        assert_int_not_equal(kvtel_stats_record_value(stats, NULL, NULL, 1, 0), KVTEL_OK);
        for (int failure = -1; failure <= KVTEL_FAILURE_COUNT; failure++)
            (void)kvtel_stats_record_failure(stats, (enum kvtel_failure)failure);
        char *bytes;
        size_t size;
        assert_int_equal(kvtel_stats_encode(stats, KVTEL_JSON, &bytes, &size), KVTEL_OK);
        assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, bytes, size, NULL), KVTEL_OK);
        assert_int_not_equal(kvtel_stats_decode(stats, KVTEL_JSON, "", 0, NULL), KVTEL_OK);
        assert_int_not_equal(kvtel_stats_decode(stats, KVTEL_MSGPACK, "", 0, NULL), KVTEL_OK);
        free(bytes);
        kvtel_stats_destroy(stats);
    }
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("NixlConnector");
    struct kvtel_logging *logging = kvtel_logging_create(config, KVTEL_LOG_DEFAULT, NULL);
    struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_find("NixlConnector"), NULL);
    assert_int_equal(kvtel_logging_observe(logging, stats, NULL), KVTEL_OK);
    assert_int_equal(kvtel_logging_observe(logging, stats, &(struct kvtel_observation){ 0 }), KVTEL_OK);
    assert_int_not_equal(kvtel_logging_observe_payload(logging, KVTEL_JSON, "", 0, NULL, NULL), KVTEL_OK);
    kvtel_stats_destroy(stats);
    kvtel_stats_destroy(NULL);
    kvtel_logging_destroy(logging);
    kvtel_logging_destroy(NULL);
    kvtel_transfer_config_destroy(config);
    kvtel_transfer_config_destroy(NULL);
    kvtel_reduced_destroy(NULL);
}

static void test_tables_and_diagnostics(void **state)
{
    (void)state;
    struct kvtel_transfer_config *config = NULL;
    assert_int_not_equal(kvtel_transfer_config_parse(KVTEL_JSON, "", 0, &config, NULL), KVTEL_OK);
    assert_int_not_equal(kvtel_transfer_config_parse(KVTEL_MSGPACK, "", 0, &config, NULL), KVTEL_OK);
    assert_null(kvtel_transfer_config_of(NULL));
    assert_int_equal(kvtel_connector_register(NULL, NULL), KVTEL_E_ARGUMENT);
    assert_int_equal(kvtel_connector_register(&(struct kvtel_connector){ 0 }, NULL), KVTEL_E_ARGUMENT);
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_MALFORMED, 1, NULL, "x");
    kvtel_diagnostics_refuse(NULL, KVTEL_REFUSED_MALFORMED, 1, NULL, "x");
    kvtel_diagnostics_forget(diagnostics);
    kvtel_diagnostics_forget(NULL);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_MALFORMED), 1);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_diagnostics_destroy(NULL);
    assert_non_null(kvtel_status_text((enum kvtel_status)12345));
}

/* A payload of an older vLLM calls a MultiConnector's child by a name that stands for the same class. */
static void test_child_by_another_name(void **state)
{
    (void)state;
    static const char *const keys[] = { "NixlConnector", "NixlPullConnector" };
    static const char *const children[] = { "NixlConnector", "NixlPullConnector", "NixlPushConnector" };
    for (size_t c = 0; c < 3; c++) {
        for (size_t k = 0; k < 2; k++) {
            char json[256], payload[128];
            (void)snprintf(json, sizeof(json),
                           "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
                           "{\"kv_connector\": \"%s\"}]}}",
                           children[c]);
            (void)snprintf(payload, sizeof(payload), "{\"%s\": {\"transfer_duration\": [1, 2]}}", keys[k]);
            struct kvtel_transfer_config *config = config_of(json);
            struct kvtel_store *store = kvtel_store_create(NULL);
            struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
            struct kvtel_prom_options options = { .config = config,
                                                  .engines = &(struct kvtel_engine_labels){ 0 },
                                                  .engine_count = 1 };
            struct kvtel_prom *prom;
            options.diagnostics = diagnostics;
            assert_int_equal(kvtel_store_metric_types(store, &options.types), KVTEL_OK);
            assert_int_equal(kvtel_prom_create(&options, &prom), KVTEL_OK);
            struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_find("MultiConnector"), diagnostics);
            assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload, strlen(payload), NULL), KVTEL_OK);
            assert_int_equal(kvtel_prom_observe(prom, stats, 0), KVTEL_OK);
            struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
            assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
            bool is_child = c < 2;
            assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_xfer_time_seconds")->series[0].count,
                             is_child ? 2 : 0);
            assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR), !is_child);
            kvtel_snapshot_destroy(snapshot);
            kvtel_stats_destroy(stats);
            kvtel_prom_destroy(prom);
            kvtel_store_close(store);
            kvtel_diagnostics_destroy(diagnostics);
            kvtel_transfer_config_destroy(config);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prom),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_recorder),
        cmocka_unit_test(test_stats_and_logging),
        cmocka_unit_test(test_tables_and_diagnostics),
        cmocka_unit_test(test_child_by_another_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
