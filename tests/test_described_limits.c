/* SPDX-License-Identifier: Apache-2.0 */
/* How much payloads that describe themselves may make kvtel keep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connectors/learned.h"
#include "support/frontend.h"
#include "value/value.h"
#include "vllm/stats/stats.h"

/* Metrics past the bound of a connector are counted, and the rest is used. */
static void test_too_many_metrics(void **state)
{
    (void)state;
    enum { METRICS = KVTEL_LEARNED_METRICS + 50 };
    struct frontend frontend;
    struct kvtel_buffer text = { 0 };
    set_up(&frontend, "{\"kv_connector\": \"ManyConnector\"}");
    for (int part = 0; part < 2; part++) {
        kvtel_buffer_printf(&text, "%s", part == 0 ? "{\"types\": {" : "}, \"data\": {");
        for (int i = 0; i < METRICS; i++)
            kvtel_buffer_printf(&text, "%s\"many_%d\": %s", i > 0 ? ", " : "", i,
                                part == 0 ? "\"gauge\"" : "{\"[]\": 1}");
    }
    kvtel_buffer_printf(&text, "}}");
    assert_int_equal(kvtel_buffer_append_byte(&text, '\0'), KVTEL_OK);
    assert_int_equal(observe(&frontend, KVTEL_JSON, text.bytes), KVTEL_OK);
    assert_int_equal(kvtel_diagnostics_count(frontend.diagnostics, KVTEL_REFUSED_SERIES_LIMIT), 50);
    char *page = text_of(&frontend);
    assert_non_null(strstr(page, "many_255{engine=\"0\",model_name=\"m\"} 1.0\n"));
    assert_null(strstr(page, "many_256{"));
    free(page);
    kvtel_buffer_free(&text);
    tear_down(&frontend);
}

/* A descriptor of a million metrics is refused before any of them is looked at. */
static void test_a_million_metrics(void **state)
{
    (void)state;
    struct frontend frontend;
    struct kvtel_buffer bytes = { 0 };
    static const char begin[] = "{\"_metrics_descriptor\": {\"descriptor_version\": 1, \"connector_id\": \"c\", "
                                "\"metrics\": [0";
    set_up(&frontend, "{\"kv_connector\": \"HostileConnector\"}");
    kvtel_buffer_append(&bytes, begin, sizeof(begin) - 1);
    for (int i = 1; i < 1000000; i++)
        kvtel_buffer_append(&bytes, ",0", 2);
    kvtel_buffer_append(&bytes, "]}, \"types\": {}, \"data\": {}}", 28);
    assert_int_equal(kvtel_stats_decode(frontend.stats, KVTEL_JSON, bytes.bytes, bytes.size, NULL), KVTEL_OK);
    assert_int_equal(frontend.said_count, 1);
    assert_non_null(strstr(frontend.said[0], ".metrics has 1000000 entries, more than 1024"));
    kvtel_buffer_free(&bytes);
    tear_down(&frontend);
}

/* Many entries that read one list, or one map of label tuples, do not multiply it. */
static void test_many_entries_of_one_value(void **state)
{
    enum { ENTRIES = 1000, VALUES = 20000 };
    struct frontend frontend;
    struct kvtel_buffer text = { 0 };
    (void)state;
    set_up(&frontend, "{\"kv_connector\": \"OneListConnector\"}");
    kvtel_buffer_printf(&text, "{\"_metrics_descriptor\": {\"descriptor_version\": 1, \"connector_id\": \"one\", "
                               "\"metrics\": [");
    for (int i = 0; i < ENTRIES; i++)
        kvtel_buffer_printf(&text,
                            "%s{\"name\": \"vllm:one_seconds\", \"type\": \"histogram\", \"documentation\": \"d\", "
                            "\"samples_path\": \"data.all\", \"sample_kind\": \"observe_each_f64\", \"buckets\": [1], "
                            "\"const_labels\": {\"n\": \"%d\"}}",
                            i > 0 ? ", " : "", i);
    kvtel_buffer_printf(&text, "]}, \"data\": {\"all\": [1");
    for (int i = 1; i < VALUES; i++)
        kvtel_buffer_append(&text, ",1", 2);
    kvtel_buffer_append(&text, "]}}", 3);
    assert_int_equal(kvtel_stats_decode(frontend.stats, KVTEL_JSON, text.bytes, text.size, NULL), KVTEL_OK);
    const uint64_t refused = kvtel_diagnostics_count(frontend.diagnostics, KVTEL_REFUSED_DESCRIPTOR);
    assert_int_equal(refused, ENTRIES - KVTEL_VALUE_COUNT / VALUES);
    kvtel_buffer_free(&text);
    tear_down(&frontend);
}

/* Open tables are bounded, one for each name, and not among the registered tables. Runs last: it uses them up. */
static void test_open_tables(void **state)
{
    (void)state;
    const struct kvtel_connector *first = kvtel_connector_open("First");
    assert_non_null(first);
    assert_ptr_equal(kvtel_connector_open("First"), first);
    assert_null(kvtel_connector_find("First"));
    assert_ptr_equal(kvtel_connector_open("NixlConnector"), kvtel_connector_find("NixlConnector"));
    assert_ptr_not_equal(kvtel_connector_open("ExampleConnector"), kvtel_connector_find("ExampleConnector"));
    assert_null(kvtel_connector_open(""));
    assert_null(kvtel_connector_open(NULL));
    size_t made = 0;
    char name[32];
    for (size_t i = 0; i < 2 * KVTEL_LEARNED_TABLES; i++) {
        snprintf(name, sizeof(name), "Filler%zu", i);
        made += kvtel_connector_open(name) != NULL;
    }
    assert_true(made > 0 && made < KVTEL_LEARNED_TABLES);
    assert_ptr_equal(kvtel_connector_open("First"), first);

    /* What teaches a metric and finds no place is counted. */
    static const char late[] = "{\"types\": {\"vllm:late\": \"counter\"}, \"data\": {\"vllm:late\": {\"[]\": 1}}}";
    const struct kvtel_connector *table;
    struct kvtel_value payload;
    struct kvtel_arena arena = { 0 };
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    assert_int_equal(kvtel_value_decode(KVTEL_JSON, late, sizeof(late) - 1, &arena, &payload, NULL), KVTEL_OK);
    assert_int_equal(kvtel_payload_table("LateConnector", &payload, diagnostics, &table), KVTEL_E_LIMIT);
    assert_null(table);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR), 1);
    assert_int_equal(kvtel_payload_table("First", &payload, diagnostics, &table), KVTEL_OK);
    assert_ptr_equal(table, first);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_too_many_metrics),
        cmocka_unit_test(test_a_million_metrics),
        cmocka_unit_test(test_many_entries_of_one_value),
        cmocka_unit_test(test_open_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
