/* SPDX-License-Identifier: Apache-2.0 */
/* KVConnectorPromMetrics and KVConnectorProm: children made up front, metric types of the caller, a connector with
 * metrics of its own, and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "collect/series.h"
#include "support/own_metrics.h"
#include "support/payloads.h"
#include <kvtel/prom.h>
#include <kvtel/snapshot.h>
#include <kvtel/store.h>

/* Options for engines 0 and 7 of a model, as vLLM makes them. */
static const char *const labelnames[] = { "model_name", "engine" };
static const char *const values_0[] = { "m", "0" }, *const values_7[] = { "m", "7" };
static const struct kvtel_engine_labels two_engines[] = { { .engine = 0, .values = values_0 },
                                                          { .engine = 7, .values = values_7 } };

static struct kvtel_prom_options make_options(const struct kvtel_transfer_config *config,
                                              const struct kvtel_metric_types *types,
                                              struct kvtel_diagnostics *diagnostics)
{
    return (struct kvtel_prom_options){ .config = config,
                                        .types = *types,
                                        .labelnames = labelnames,
                                        .label_count = 2,
                                        .engines = two_engines,
                                        .engine_count = 2,
                                        .diagnostics = diagnostics };
}

static struct kvtel_transfer_config *parse_config(const char *text)
{
    struct kvtel_transfer_config *config;
    assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, text, strlen(text), &config, NULL), KVTEL_OK);
    return config;
}

/* One metrics object with types of the test's own, and all that it needs. */
struct fixture {
    struct own_metrics own;
    struct kvtel_metric_types types;
    struct kvtel_diagnostics *diagnostics;
    struct kvtel_transfer_config *config;
    struct kvtel_prom *prom;
};

static void set_up(struct fixture *fixture, const char *config)
{
    own_init(&fixture->own, &fixture->types);
    fixture->diagnostics = kvtel_diagnostics_create(NULL, NULL);
    fixture->config = parse_config(config);
    const struct kvtel_prom_options options = make_options(fixture->config, &fixture->types, fixture->diagnostics);
    assert_int_equal(kvtel_prom_create(&options, &fixture->prom), KVTEL_OK);
}

static void tear_down(struct fixture *fixture)
{
    assert_int_equal(fixture->own.wrong, 0);
    kvtel_prom_destroy(fixture->prom);
    kvtel_transfer_config_destroy(fixture->config);
    kvtel_diagnostics_destroy(fixture->diagnostics);
    free(fixture->own.families);
}

static enum kvtel_status observe(struct fixture *fixture, const char *connector, const char *payload, uint32_t engine)
{
    struct kvtel_stats *stats = stats_of(connector, payload);
    enum kvtel_status status = kvtel_prom_observe(fixture->prom, stats, engine);
    kvtel_stats_destroy(stats);
    return status;
}

static void test_children_up_front(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, "{\"kv_connector\": \"NixlConnector\"}");
    assert_int_equal(fixture.own.family_count, 8);
    assert_int_equal(
        observe(
            &fixture, "NixlConnector",
            "{\"transfer_duration\": [0.25, 2], \"num_failed_transfers\": [1, 2.0], \"num_failed_handshakes\": [1]}",
            7),
        KVTEL_OK);
    const struct own_family *time = own_find(&fixture.own, "vllm:nixl_xfer_time_seconds");
    assert_int_equal(time->child_count, 2);
    assert_string_equal(time->children[0].labels[1], "0");
    assert_int_equal(time->children[0].count, 0); /* an idle engine shows zeros */
    assert_string_equal(time->children[1].labels[1], "7");
    assert_int_equal(time->children[1].count, 2);
    assert_true(time->children[1].sum == 2.25);
    const struct own_family *failed = own_find(&fixture.own, "vllm:nixl_num_failed_transfers");
    assert_true(failed->children[0].value == 0 && failed->children[1].value == 4);
    tear_down(&fixture);
}

/* Series whose labels come from payloads are made when they are first seen, those of the older names up front. */
static void test_children_of_typed_metrics(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, "{\"kv_connector\": \"OffloadingConnector\"}");
    const struct own_family *older = own_find(&fixture.own, "vllm:kv_offload_total_bytes");
    const struct own_family *newer = own_find(&fixture.own, "vllm:kv_offload_load_bytes");
    assert_int_equal(older->child_count, 4);
    assert_string_equal(older->children[1].labels[2], "GPU_to_CPU");
    assert_int_equal(newer->child_count, 0);
    assert_int_equal(
        observe(&fixture, "OffloadingConnector",
                "{\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\"}, \"data\": {\"vllm:kv_offload_load_bytes\": "
                "{\"[]\": 5}}, \"info\": [{\"cpu_num_chunks\": 4, \"cpu_blocks_per_chunk\": 1.5, \"color\": true}]}",
                0),
        KVTEL_OK);
    assert_true(older->children[0].value == 5 && older->children[2].value == 0);
    assert_int_equal(newer->child_count, 1);
    const struct own_family *info = own_find(&fixture.own, "vllm:kv_offload_config_info");
    assert_string_equal(info->children[0].labels[2], "4");
    assert_string_equal(info->children[0].labels[3], "1.5");
    assert_string_equal(info->children[0].labels[4], ""); /* not filled */
    assert_true(info->children[0].value == 1);
    assert_int_equal(
        observe(
            &fixture, "OffloadingConnector",
            "{\"CPU_to_GPU\": [{\"op_size\": 7, \"op_time\": 0.5}], \"sideways\": [{\"op_size\": 1, \"op_time\": 1}]}",
            7),
        KVTEL_OK);
    assert_true(older->children[2].value == 7);
    assert_string_equal(older->children[4].labels[2], "sideways");
    tear_down(&fixture);
}

static void test_create_metric_per_engine(void **state)
{
    (void)state;
    struct own_metrics own;
    struct kvtel_metric_types types;
    own_init(&own, &types);
    const struct kvtel_family_spec spec = {
        .name = "f", .type = KVTEL_GAUGE, .help = "", .labelnames = labelnames, .label_count = 2
    };
    void *family, *children[2] = { NULL, NULL };
    assert_int_equal(types.family(types.context, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_create_metric_per_engine(&types, family, two_engines, 2, 2, children), KVTEL_OK);
    assert_string_equal(((struct own_child *)children[0])->labels[1], "0");
    assert_string_equal(((struct own_child *)children[1])->labels[1], "7");
    const struct kvtel_engine_labels three[] = { { .engine = 0, .values = values_0 },
                                                 { .engine = 7, .values = values_7 },
                                                 { .engine = 8, .values = (const char *const[]){ "m", "8" } } };
    void *untouched[3] = { &own, &own, &own };
    own.child_limit = 2;
    assert_int_equal(kvtel_create_metric_per_engine(&types, family, three, 3, 2, untouched), KVTEL_E_LIMIT);
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(untouched[i], &own);
    assert_int_equal(kvtel_create_metric_per_engine(&types, family, NULL, 0, 2, NULL), KVTEL_OK);
    free(own.families);
}

static void test_refused_stats(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, "{\"kv_connector\": \"NixlConnector\"}");
    const struct own_family *failed = own_find(&fixture.own, "vllm:nixl_num_failed_transfers");
    assert_int_equal(observe(&fixture, "NixlConnector", "{\"num_failed_transfers\": [1]}", 1), KVTEL_E_ENGINE);
    assert_int_equal(observe(&fixture, "MooncakeConnector", "{\"num_failed_transfers\": [1]}", 0), KVTEL_E_MISMATCH);
    assert_int_equal(kvtel_diagnostics_count(fixture.diagnostics, KVTEL_REFUSED_UNKNOWN_ENGINE), 1);
    assert_int_equal(kvtel_diagnostics_count(fixture.diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR), 1);
    struct kvtel_stats *summarised = stats_of("NixlConnector", "{\"num_failed_transfers\": [1]}");
    kvtel_stats_set_sample_limit(summarised, 0);
    assert_int_equal(kvtel_prom_observe(fixture.prom, summarised, 0), KVTEL_E_SUMMARISED);
    kvtel_stats_destroy(summarised);
    assert_true(failed->children[0].value == 0 && failed->children[1].value == 0);
    /* a counter never goes down, nor to infinity */
    assert_int_equal(observe(&fixture, "NixlConnector", "{\"num_failed_transfers\": [3, -1]}", 0), KVTEL_OK);
    assert_int_equal(observe(&fixture, "NixlConnector", "{\"num_failed_transfers\": [1.7e308, 1.7e308]}", 0), KVTEL_OK);
    assert_true(failed->children[0].value == 3);
    assert_true(kvtel_diagnostics_count(fixture.diagnostics, KVTEL_REFUSED_NOT_FINITE) >= 2);
    tear_down(&fixture);
}

static void test_connectors_without_metrics(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        enum kvtel_status build;
    } rows[] = {
        { "{\"kv_connector\": \"ExampleConnector\"}", KVTEL_E_NO_STATS },
        { "{\"kv_connector\": \"NoSuchConnector\"}", KVTEL_E_UNKNOWN },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;
        struct kvtel_prom_metrics *metrics = NULL;
        set_up(&fixture, rows[i].config);
        assert_int_equal(observe(&fixture, "NixlConnector", "{\"num_failed_transfers\": [1]}", 99), KVTEL_E_MISMATCH);
        assert_int_equal(fixture.own.family_count, 0);
        const struct kvtel_prom_options options = make_options(fixture.config, &fixture.types, NULL);
        assert_int_equal(kvtel_connector_build_prom_metrics(&options, &metrics), rows[i].build);
        assert_null(metrics);
        tear_down(&fixture);
    }
    kvtel_prom_destroy(NULL);
    kvtel_prom_metrics_destroy(NULL);
}

/* A family that another definition has is left out, the rest goes on. */
static void test_taken_name(void **state)
{
    (void)state;
    struct fixture fixture;
    own_init(&fixture.own, &fixture.types);
    fixture.own.taken = "vllm:nixl_bytes_transferred";
    fixture.diagnostics = NULL;
    fixture.config = parse_config("{\"kv_connector\": \"NixlConnector\"}");
    const struct kvtel_prom_options options = make_options(fixture.config, &fixture.types, NULL);
    assert_int_equal(kvtel_prom_create(&options, &fixture.prom), KVTEL_OK);
    assert_int_equal(fixture.own.family_count, 7);
    assert_int_equal(observe(&fixture, "NixlConnector", "{\"transfer_duration\": [1], \"bytes_transferred\": [1]}", 0),
                     KVTEL_OK);
    assert_int_equal(own_find(&fixture.own, "vllm:nixl_xfer_time_seconds")->children[0].count, 1);
    tear_down(&fixture);
}

/* The same in a store: the configuration of another engine may have other labels for the same name. */
static void test_taken_name_in_a_store(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_metric_types types;
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
    static const char *const other[] = { "other" };
    const struct kvtel_family_spec spec = { .name = "vllm:nixl_num_failed_transfers",
                                            .type = KVTEL_COUNTER,
                                            .help = "",
                                            .labelnames = other,
                                            .label_count = 1 };
    uint32_t family;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    struct kvtel_transfer_config *config = parse_config("{\"kv_connector\": \"NixlConnector\"}");
    const struct kvtel_prom_options options = make_options(config, &types, NULL);
    struct kvtel_prom *prom;
    assert_int_equal(kvtel_prom_create(&options, &prom), KVTEL_OK);
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_family_count(snapshot), 8);
    assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_num_failed_transfers")->series_count, 0);
    assert_int_equal(kvtel_snapshot_find(snapshot, "vllm:nixl_num_kv_expired_reqs")->series_count, 2);
    kvtel_snapshot_destroy(snapshot);
    kvtel_prom_destroy(prom);
    kvtel_transfer_config_destroy(config);
    kvtel_store_close(store);
}

/* Label sets without end: counted, what is known goes on. */
static void test_label_sets_without_end(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, "{\"kv_connector\": \"SimpleCPUOffloadConnector\"}");
    fixture.own.child_limit = 2;
    static const char payload[] =
        "{\"types\": {\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"}, \"data\": "
        "{\"vllm:simple_kv_offload_save_outcomes_total\": {\"[\\\"a\\\"]\": 1, \"[\\\"b\\\"]\": 2, "
        "\"[\\\"c\\\"]\": 3, \"[\\\"d\\\"]\": 4}}}";
    for (int i = 0; i < 3; i++)
        assert_int_equal(observe(&fixture, "SimpleCPUOffloadConnector", payload, 0), KVTEL_OK);
    const struct own_family *outcomes = own_find(&fixture.own, "vllm:simple_kv_offload_save_outcomes");
    assert_int_equal(outcomes->child_count, 2);
    assert_true(outcomes->children[0].value == 3 && outcomes->children[1].value == 6);
    assert_int_equal(kvtel_diagnostics_count(fixture.diagnostics, KVTEL_REFUSED_SERIES_LIMIT), 6);
    tear_down(&fixture);
}

/* More engines than a family takes: the first have metrics, what comes from the others is counted. */
static void test_engines_without_end(void **state)
{
    (void)state;
    struct fixture fixture;
    own_init(&fixture.own, &fixture.types);
    fixture.own.child_limit = 1;
    fixture.diagnostics = kvtel_diagnostics_create(NULL, NULL);
    fixture.config = parse_config("{\"kv_connector\": \"NixlConnector\"}");
    const struct kvtel_prom_options options = make_options(fixture.config, &fixture.types, fixture.diagnostics);
    assert_int_equal(kvtel_prom_create(&options, &fixture.prom), KVTEL_OK);
    static const char payload[] = "{\"transfer_duration\": [1, 2], \"num_kv_expired_reqs\": [1]}";
    assert_int_equal(observe(&fixture, "NixlConnector", payload, 0), KVTEL_OK);
    assert_int_equal(kvtel_diagnostics_count(fixture.diagnostics, KVTEL_REFUSED_SERIES_LIMIT), 0);
    assert_int_equal(observe(&fixture, "NixlConnector", payload, 7), KVTEL_OK);
    assert_int_equal(kvtel_diagnostics_count(fixture.diagnostics, KVTEL_REFUSED_SERIES_LIMIT), 3);
    assert_int_equal(own_find(&fixture.own, "vllm:nixl_xfer_time_seconds")->children[0].count, 2);
    tear_down(&fixture);
}

static void test_children_of_a_multi_connector(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
                     "{\"kv_connector\": \"NixlConnector\"}, {\"kv_connector\": \"ExampleConnector\"}, "
                     "{\"kv_connector\": \"NoSuchConnector\"}, {\"kv_connector\": \"NixlConnector\"}, "
                     "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
                     "{\"kv_connector\": \"LMCacheMPConnector\"}]}}]}}");
    assert_int_equal(fixture.own.family_count, 9);
    assert_int_equal(
        observe(
            &fixture, "MultiConnector",
            "{\"NixlPullConnector\": {\"num_kv_expired_reqs\": [1]}, \"MooncakeConnector\": {\"transfer_duration\": "
            "[1]}, \"MultiConnector\": {\"LMCacheMPConnector\": {\"lookup_duration_seconds\": [1]}}}",
            7),
        KVTEL_OK);
    assert_true(own_find(&fixture.own, "vllm:nixl_num_kv_expired_reqs")->children[1].value == 1);
    assert_int_equal(own_find(&fixture.own, "vllm:lmcache_mp_lookup_duration_seconds")->children[1].count, 1);
    assert_int_equal(kvtel_diagnostics_count(fixture.diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR), 1);
    assert_int_equal(observe(&fixture, "MultiConnector", "{}", 1), KVTEL_E_ENGINE);
    assert_int_equal(observe(&fixture, "NixlConnector", "{}", 0), KVTEL_E_MISMATCH);
    struct kvtel_stats *summarised =
        stats_of("MultiConnector", "{\"NixlPullConnector\": {\"num_kv_expired_reqs\": [1]}}");
    kvtel_stats_set_sample_limit(summarised, 0);
    assert_int_equal(kvtel_prom_observe(fixture.prom, summarised, 0), KVTEL_E_SUMMARISED);
    kvtel_stats_destroy(summarised);
    tear_down(&fixture);
}

/* A connector that needs code: its metrics count payloads. */
struct counting_metrics {
    struct kvtel_prom_metrics base;
    struct kvtel_metric_types types;
    void *child;
};

static enum kvtel_status counting_observe(struct kvtel_prom_metrics *metrics, const struct kvtel_stats *stats,
                                          uint32_t engine)
{
    struct counting_metrics *self = (struct counting_metrics *)metrics;
    if (kvtel_stats_connector(stats) != metrics->connector)
        return KVTEL_E_MISMATCH;
    if (engine != 0)
        return KVTEL_E_ENGINE;
    self->types.increase(self->types.context, self->child, 1);
    return KVTEL_OK;
}

static bool counting_destroyed;

static void counting_destroy(struct kvtel_prom_metrics *metrics)
{
    counting_destroyed = true;
    free(metrics);
}

static enum kvtel_status build_counting(const struct kvtel_connector *connector,
                                        const struct kvtel_prom_options *options, struct kvtel_prom_metrics **metrics)
{
    static const struct kvtel_prom_metrics_vtable vtable = { .observe = counting_observe, .destroy = counting_destroy };
    struct counting_metrics *self = calloc(1, sizeof(*self));
    const struct kvtel_family_spec spec = { .name = "own:payloads",
                                            .type = KVTEL_COUNTER,
                                            .help = "Payloads.",
                                            .labelnames = options->labelnames,
                                            .label_count = options->label_count };
    void *family;
    assert_non_null(self);
    self->base = (struct kvtel_prom_metrics){ .vtable = &vtable, .connector = connector };
    self->types = options->types;
    assert_int_equal(self->types.family(self->types.context, &spec, &family), KVTEL_OK);
    assert_int_equal(
        kvtel_create_metric_per_engine(&self->types, family, options->engines, 1, options->label_count, &self->child),
        KVTEL_OK);
    *metrics = &self->base;
    return KVTEL_OK;
}

static const struct kvtel_connector counting = {
    .names = KVTEL_NAMES({ .name = "CountingConnector", .class_name = "CountingClass" }),
    .payload_kind = KVTEL_PAYLOAD_COLUMNS,
    .fields = KVTEL_FIELDS({ .key = "seconds", .kind = KVTEL_FIELD_SAMPLES, .unit = KVTEL_UNIT_SECONDS }),
    .build_prom_metrics = build_counting,
};

static void test_connector_with_metrics_of_its_own(void **state)
{
    (void)state;
    struct fixture fixture;
    assert_int_equal(kvtel_connector_register(&counting, NULL), KVTEL_OK);
    static const char *const configs[] = {
        "{\"kv_connector\": \"CountingConnector\"}",
        "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
        "{\"kv_connector\": \"CountingConnector\"}]}}",
    };
    static const char *const connectors[] = { "CountingConnector", "MultiConnector" };
    static const char *const payloads[] = { "{\"seconds\": [1, 2, 3]}", "{\"CountingClass\": {\"seconds\": [1]}}" };
    for (size_t i = 0; i < 2; i++) {
        counting_destroyed = false;
        set_up(&fixture, configs[i]);
        assert_int_equal(observe(&fixture, connectors[i], payloads[i], 0), KVTEL_OK);
        assert_int_equal(observe(&fixture, connectors[i], payloads[i], 0), KVTEL_OK);
        assert_int_equal(observe(&fixture, connectors[i], payloads[i], 3), KVTEL_E_ENGINE);
        assert_true(own_find(&fixture.own, "own:payloads")->children[0].value == 2);
        tear_down(&fixture);
        assert_true(counting_destroyed);
    }
}

/* Ten thousand operations, each with a status of its own, in a moment: each row is looked at once for each metric. */
static void test_many_texts(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_metric_types types;
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
    struct kvtel_transfer_config *config = parse_config("{\"kv_connector\": \"MooncakeStoreConnector\"}");
    const struct kvtel_prom_options options = make_options(config, &types, diagnostics);
    struct kvtel_prom *prom;
    struct kvtel_stats *stats = make_stats("MooncakeStoreConnector", NULL);
    assert_int_equal(kvtel_prom_create(&options, &prom), KVTEL_OK);
    for (unsigned i = 0; i < 10000; i++) {
        char text[16];
        const struct kvtel_transfer transfer = { .duration_ns = 1000000, .bytes = i, .descriptors = 1 };
        snprintf(text, sizeof(text), "s%u", i);
        assert_int_equal(kvtel_stats_record_operation(stats, text, text, &transfer),
                         i < 9999 ? KVTEL_OK : KVTEL_E_LIMIT);
        assert_int_equal(kvtel_stats_record_operation(stats, "one", text, &transfer), KVTEL_OK);
    }
    assert_int_equal(kvtel_prom_observe(prom, stats, 0), KVTEL_OK);
    assert_true(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_SERIES_LIMIT) > 0);
    assert_true(kvtel_store_series_dropped(store) > 0);
    kvtel_stats_destroy(stats);
    kvtel_prom_destroy(prom);
    kvtel_transfer_config_destroy(config);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_children_up_front),
        cmocka_unit_test(test_children_of_typed_metrics),
        cmocka_unit_test(test_create_metric_per_engine),
        cmocka_unit_test(test_refused_stats),
        cmocka_unit_test(test_connectors_without_metrics),
        cmocka_unit_test(test_taken_name),
        cmocka_unit_test(test_taken_name_in_a_store),
        cmocka_unit_test(test_label_sets_without_end),
        cmocka_unit_test(test_engines_without_end),
        cmocka_unit_test(test_children_of_a_multi_connector),
        cmocka_unit_test(test_many_texts),
        cmocka_unit_test(test_connector_with_metrics_of_its_own), /* registers for the life of the process */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
