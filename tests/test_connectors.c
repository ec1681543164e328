/* SPDX-License-Identifier: Apache-2.0 */
/* The connectors' tables: each is consistent, and together they describe the families that vLLM exports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/table.h"
#include <kvtel/transfer_config.h>

static const char *or_none(const char *entry)
{
    return entry ? entry : "(none)";
}

/* Says which table and entry is wrong. */
#define CHECK(condition, table, entry)                                                  \
    do {                                                                                \
        if (!(condition))                                                               \
            fail_msg("%s: %s: %s", (table)->names[0].name, or_none(entry), #condition); \
    } while (0)

static const struct kvtel_field *find_field(const struct kvtel_connector *table, const char *key)
{
    for (const struct kvtel_field *field = table->fields; field && field->key; field++) {
        if (strcmp(field->key, key) == 0)
            return field;
    }
    return NULL;
}

/* The metric of a typed payload's name: one that feeds itself. */
static const struct kvtel_metric *find_metric(const struct kvtel_connector *table, const char *name)
{
    for (const struct kvtel_metric *metric = table->metrics; metric && metric->name; metric++) {
        if (strcmp(metric->name, name) == 0 && !metric->fields[0])
            return metric;
    }
    return NULL;
}

static bool has_key(const struct kvtel_connector *table, const char *key)
{
    return table->payload_kind == KVTEL_PAYLOAD_TYPED ? find_metric(table, key) != NULL
                                                      : find_field(table, key) != NULL;
}

static void check_keys(const struct kvtel_connector *table, const char *entry, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK(!keys[i] || has_key(table, keys[i]), table, entry);
}

static bool is_name(const char *text, bool colons)
{
    if (!text[0] || strchr("0123456789", text[0]) || (!colons && strncmp(text, "__", 2) == 0))
        return false;
    for (; *text; text++) {
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *text) &&
            !(colons && *text == ':'))
            return false;
    }
    return true;
}

static void check_buckets(const struct kvtel_connector *table, const struct kvtel_metric *metric)
{
    CHECK((metric->type == KVTEL_HISTOGRAM) == (metric->buckets != NULL), table, metric->name);
    for (size_t i = 0; metric->buckets && i < metric->buckets->count; i++) {
        CHECK(isfinite(metric->buckets->bounds[i]), table, metric->name);
        CHECK(i == 0 || metric->buckets->bounds[i - 1] < metric->buckets->bounds[i], table, metric->name);
    }
    CHECK(!metric->buckets || metric->buckets->count > 0, table, metric->name);
}

static void check_labels(const struct kvtel_connector *table, const struct kvtel_metric *metric)
{
    size_t labels = 0;
    for (; labels < KVTEL_METRIC_LABELS && metric->labels[labels]; labels++) {
        CHECK(is_name(metric->labels[labels], false), table, metric->name);
        CHECK(strcmp(metric->labels[labels], "model_name") != 0 && strcmp(metric->labels[labels], "engine") != 0 &&
                  strcmp(metric->labels[labels], "le") != 0,
              table, metric->name);
        for (size_t i = 0; i < labels; i++)
            CHECK(strcmp(metric->labels[i], metric->labels[labels]) != 0, table, metric->name);
    }
    for (size_t i = labels; i < KVTEL_METRIC_LABELS; i++)
        CHECK(!metric->labels[i], table, metric->name);
    for (size_t i = 0; i < KVTEL_METRIC_FIELDS && metric->values[0]; i++) {
        CHECK(labels == 1, table, metric->name);
        CHECK(!metric->values[i] == !metric->fields[i], table, metric->name);
    }
}

static void check_metric(const struct kvtel_connector *table, const struct kvtel_metric *metric)
{
    CHECK(is_name(metric->name, true), table, metric->name);
    CHECK(metric->help && metric->help[0], table, metric->name);
    CHECK(metric->help[strlen(metric->help) - 1] == '.', table, metric->name);
    CHECK(!strchr(metric->help, '\n') && !strstr(metric->help, "  "), table, metric->name);
    CHECK(metric->input == KVTEL_INPUT_INFO || table->payload_kind == KVTEL_PAYLOAD_TYPED || metric->fields[0], table,
          metric->name);
    CHECK(metric->input != KVTEL_INPUT_INFO || (metric->type == KVTEL_GAUGE && table->has_info), table, metric->name);
    CHECK(metric->input != KVTEL_INPUT_COUNT || metric->type == KVTEL_COUNTER, table, metric->name);
    check_keys(table, metric->name, metric->fields, KVTEL_METRIC_FIELDS);
    check_labels(table, metric);
    check_buckets(table, metric);
    for (const struct kvtel_metric *other = table->metrics; other != metric; other++)
        CHECK(strcmp(other->name, metric->name) != 0 ||
                  (kvtel_metric_is_conditional(other) && kvtel_metric_is_conditional(metric)),
              table, metric->name);
}

static void check_reduction(const struct kvtel_connector *table, const struct kvtel_reduction *reduction)
{
    CHECK(reduction->fields[0], table, reduction->key);
    check_keys(table, reduction->key, reduction->fields, KVTEL_METRIC_FIELDS);
    CHECK((reduction->kind == KVTEL_REDUCE_MATCHES) == (reduction->match != NULL), table, reduction->key);
    CHECK(reduction->kind != KVTEL_REDUCE_RATE || (reduction->fields[1] && !reduction->fields[2]), table,
          reduction->key);
    CHECK(!reduction->finite || reduction->kind == KVTEL_REDUCE_RATE, table, reduction->key);
    CHECK(reduction->digits >= 0 && reduction->digits <= 15, table, reduction->key);
}

static void check_flow(const struct kvtel_connector *table, const struct kvtel_flow *flow)
{
    const char *const keys[] = { flow->time,  flow->post,    flow->bytes,  flow->sizes, flow->descriptors,
                                 flow->count, flow->started, flow->failed, flow->status };
    check_keys(table, flow->name, keys, sizeof(keys) / sizeof(keys[0]));
    bool by_operation = table->payload_kind == KVTEL_PAYLOAD_ROWS || table->payload_kind == KVTEL_PAYLOAD_COUNTS;
    CHECK((strcmp(flow->name, "*") == 0) == by_operation, table, flow->name);
    CHECK(!flow->status || find_field(table, flow->status)->kind == KVTEL_FIELD_TEXT, table, flow->name);
}

static void check_table(const struct kvtel_connector *table)
{
    CHECK(table->names && table->names[0].name, table, "names");
    bool has_data = table->payload_kind != KVTEL_PAYLOAD_NONE && table->payload_kind != KVTEL_PAYLOAD_MULTI;
    CHECK(!has_data == !table->metrics, table, "metrics");
    CHECK(!has_data == !table->flows, table, "flows");
    CHECK((table->fields != NULL) == (has_data && table->payload_kind != KVTEL_PAYLOAD_TYPED), table, "fields");
    const struct kvtel_log_rules *log = kvtel_table_log(table);
    CHECK((table->log != NULL) == has_data, table, "log");
    CHECK((log->reduce != NULL) == (table->fields != NULL), table, "reduce");
    CHECK(!log->primary || has_key(table, log->primary), table, log->primary);
    for (const struct kvtel_field *field = table->fields; field && field->key; field++)
        CHECK(find_field(table, field->key) == field, table, field->key);
    for (const struct kvtel_metric *metric = table->metrics; metric && metric->name; metric++)
        check_metric(table, metric);
    for (const struct kvtel_reduction *reduction = log->reduce; reduction && reduction->key; reduction++)
        check_reduction(table, reduction);
    for (const struct kvtel_flow *flow = table->flows; flow && flow->name; flow++)
        check_flow(table, flow);
    for (const struct kvtel_failure_field *failure = table->failures; failure && failure->field; failure++) {
        CHECK(has_key(table, failure->field), table, failure->field);
        CHECK(kvtel_failure_label(failure->failure), table, failure->field);
    }
    for (const char *const *key = table->content; key && *key; key++)
        CHECK(has_key(table, *key), table, *key);
    for (const char *const *key = log->hidden; key && *key; key++)
        CHECK(has_key(table, *key), table, *key);
    if (table->older)
        check_table(table->older);
}

static void test_tables_are_well_formed(void **state)
{
    (void)state;
    const struct kvtel_connector *table;
    size_t count = 0;
    for (; (table = kvtel_connector_at(count)) != NULL; count++)
        check_table(table);
    assert_int_equal(count, 13);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *class_name;
        enum kvtel_payload_kind payload_kind;
    } rows[] = {
        { "NixlConnector", "NixlPullConnector", KVTEL_PAYLOAD_COLUMNS },
        { "NixlPullConnector", "NixlPullConnector", KVTEL_PAYLOAD_COLUMNS },
        { "NixlPushConnector", "NixlPushConnector", KVTEL_PAYLOAD_COLUMNS },
        { "MooncakeConnector", "MooncakeConnector", KVTEL_PAYLOAD_COLUMNS },
        { "MooncakeStoreConnector", "MooncakeStoreConnector", KVTEL_PAYLOAD_ROWS },
        { "OffloadingConnector", "OffloadingConnector", KVTEL_PAYLOAD_TYPED },
        { "SimpleCPUOffloadConnector", "SimpleCPUOffloadConnector", KVTEL_PAYLOAD_TYPED },
        { "HiSparseConnector", "HiSparseConnector", KVTEL_PAYLOAD_COLUMNS },
        { "HF3FSKVConnector", "HF3FSKVConnector", KVTEL_PAYLOAD_COLUMNS },
        { "UMBPStoreConnector", "UMBPStoreConnector", KVTEL_PAYLOAD_COUNTS },
        { "LMCacheMPConnector", "LMCacheMPConnector", KVTEL_PAYLOAD_COLUMNS },
        { "MultiConnector", "MultiConnector", KVTEL_PAYLOAD_MULTI },
        { "ExampleConnector", "ExampleConnector", KVTEL_PAYLOAD_NONE },
        { "ExampleHiddenStatesConnector", "ExampleHiddenStatesConnector", KVTEL_PAYLOAD_NONE },
        { "LMCacheConnectorV1", "LMCacheConnectorV1", KVTEL_PAYLOAD_NONE },
        { "MoRIIOConnector", "MoRIIOConnector", KVTEL_PAYLOAD_COLUMNS },
        { "AscendStoreConnector", "AscendStoreConnector", KVTEL_PAYLOAD_COLUMNS },
        { "MooncakeConnectorStoreV1", "AscendStoreConnector", KVTEL_PAYLOAD_COLUMNS },
        { "MooncakeConnectorV1", "MooncakeConnector", KVTEL_PAYLOAD_COLUMNS },
        { "DecodeBenchConnector", "DecodeBenchConnector", KVTEL_PAYLOAD_NONE },
        { "FlexKVConnectorV1", "FlexKVConnectorV1", KVTEL_PAYLOAD_NONE },
        { "SharedStorageConnector", "SharedStorageConnector", KVTEL_PAYLOAD_NONE },
        { "P2pNcclConnector", "P2pNcclConnector", KVTEL_PAYLOAD_NONE },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct kvtel_connector *table = kvtel_connector_find(rows[i].name);
        if (!table)
            fail_msg("%s is not known", rows[i].name);
        assert_int_equal(table->payload_kind, rows[i].payload_kind);
        assert_string_equal(kvtel_connector_class(rows[i].name), rows[i].class_name);
    }
    assert_null(kvtel_connector_find("NoSuchConnector"));
    assert_null(kvtel_connector_find(""));
}

/* What a configuration exports: the table's metrics whose condition holds, in order; a family once. */
struct expected {
    const struct kvtel_metric *metrics[256];
    size_t count;
};

static void collect_families(const struct kvtel_transfer_config *config, struct expected *families)
{
    for (size_t i = 0; i < kvtel_transfer_config_child_count(config); i++)
        collect_families(kvtel_transfer_config_child(config, i), families);
    const struct kvtel_connector *table = kvtel_transfer_config_connector(config);
    assert_non_null(table);
    for (const struct kvtel_metric *metric = table->metrics; metric && metric->name; metric++) {
        bool seen = !kvtel_metric_is_exported(metric, config);
        for (size_t i = 0; i < families->count && !seen; i++)
            seen = strcmp(families->metrics[i]->name, metric->name) == 0;
        if (!seen) {
            assert_true(families->count < sizeof(families->metrics) / sizeof(families->metrics[0]));
            families->metrics[families->count++] = metric;
        }
    }
}

static void check_family(const struct kvtel_metric *metric, json_t *family)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    assert_string_equal(metric->name, json_string_value(json_object_get(family, "name")));
    assert_string_equal(types[metric->type], json_string_value(json_object_get(family, "type")));
    json_t *labels = json_object_get(family, "labels"), *buckets = json_object_get(family, "buckets"), *item;
    size_t i;
    json_array_foreach(labels, i, item)
    {
        assert_non_null(metric->labels[i]);
        assert_string_equal(metric->labels[i], json_string_value(item));
    }
    assert_true(i == KVTEL_METRIC_LABELS || !metric->labels[i]);
    assert_int_equal(json_array_size(buckets), metric->buckets ? metric->buckets->count : 0);
    json_array_foreach(buckets, i, item)
    {
        if (metric->buckets->bounds[i] != json_number_value(item))
            fail_msg("%s: bucket %zu is %.17g, not %.17g", metric->name, i, metric->buckets->bounds[i],
                     json_number_value(item));
    }
}

static void test_families_are_vllms(void **state)
{
    (void)state;
    json_error_t error;
    json_t *cases = json_load_file(KVTEL_TEST_DATA "/golden/families.json", 0, &error), *expected;
    assert_non_null(cases);
    assert_int_equal(json_array_size(cases), 16);
    size_t i, k;
    json_array_foreach(cases, i, expected)
    {
        char *text = json_dumps(json_object_get(expected, "kv_transfer_config"), JSON_COMPACT);
        struct kvtel_transfer_config *config;
        assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, text, strlen(text), &config, NULL), KVTEL_OK);
        kvtel_transfer_config_set_cache_metrics(config, json_is_true(json_object_get(expected, "kv_cache_metrics")));
        struct expected families = { .count = 0 };
        collect_families(config, &families);
        json_t *list = json_object_get(expected, "families"), *family;
        if (families.count != json_array_size(list))
            fail_msg("%s: %zu families, not %zu", text, families.count, json_array_size(list));
        json_array_foreach(list, k, family) check_family(families.metrics[k], family);
        kvtel_transfer_config_destroy(config);
        free(text);
    }
    json_decref(cases);
}

/* Of what an offloading configuration exports, whether `name` with `labels` labels is part. */
static bool exports(const char *config_text, const char *name, size_t labels)
{
    struct kvtel_transfer_config *config;
    assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, config_text, strlen(config_text), &config, NULL),
                     KVTEL_OK);
    struct expected families = { .count = 0 };
    collect_families(config, &families);
    bool found = false;
    for (size_t i = 0; i < families.count; i++) {
        const struct kvtel_metric *metric = families.metrics[i];
        size_t count = 0;
        while (count < KVTEL_METRIC_LABELS && metric->labels[count])
            count++;
        found = found || (strcmp(metric->name, name) == 0 && count == labels);
    }
    kvtel_transfer_config_destroy(config);
    return found;
}

static void test_offloading_conditions(void **state)
{
    (void)state;
    static const struct {
        const char *extra, *name;
        size_t labels;
        bool exported;
    } rows[] = {
        { "{}", "stores_skipped", 0, false },
        { "{\"store_threshold\": 1}", "stores_skipped", 0, false },
        { "{\"store_threshold\": 2}", "stores_skipped", 0, true },
        { "{\"store_threshold\": 7.5}", "stores_skipped", 0, true },
        { "{\"store_threshold\": \"2\"}", "stores_skipped", 0, false },
        { "{}", "tiering_read_bytes", 1, false },
        { "{\"spec_name\": \"SomeSpec\"}", "cpu_cache_usage_perc", 0, true },
        { "{\"spec_name\": \"SomeSpec\"}", "tiering_read_bytes", 1, false },
        { "{\"spec_name\": \"TieringOffloadingSpec\"}", "tiering_read_bytes", 1, true },
        { "{\"spec_name\": \"TieringOffloadingSpec\"}", "cpu_cache_usage_perc", 0, true },
        { "{\"spec_name\": \"TieringOffloadingSpec\"}", "config_info", 4, true },
        { "{\"spec_name\": \"TieringOffloadingSpec\", \"secondary_tiers\": [{\"type\": \"fs\"}]}", "config_info", 4,
          true },
        { "{\"spec_name\": \"TieringOffloadingSpec\", \"secondary_tiers\": [{\"type\": \"fs\"}, {\"type\": "
          "\"example\"}]}",
          "config_info", 6, true },
        { "{\"secondary_tiers\": [{\"type\": \"example\"}]}", "config_info", 6, false },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char config[256], name[128];
        snprintf(config, sizeof(config),
                 "{\"kv_connector\": \"OffloadingConnector\", \"kv_connector_extra_config\": %s}", rows[i].extra);
        snprintf(name, sizeof(name), "vllm:kv_offload_%s", rows[i].name);
        if (exports(config, name, rows[i].labels) != rows[i].exported)
            fail_msg("%s: %s", rows[i].extra, rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_are_well_formed),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_families_are_vllms),
        cmocka_unit_test(test_offloading_conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
