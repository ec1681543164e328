/* SPDX-License-Identifier: Apache-2.0 */
/* KVTransferConfig. Allocation goes through __wrap_malloc, __wrap_calloc, __wrap_realloc and __wrap_strdup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <kvtel/connector.h>
#include <kvtel/transfer_config.h>

#include "base/buffer.h"
#include "support/failing.h"
#include "value/value.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char multi[] =
    "{\"kv_connector\": \"MultiConnector\", \"kv_role\": \"kv_both\", \"kv_connector_extra_config\": {\"connectors\": ["
    "{\"kv_connector\": \"NixlConnector\", \"kv_buffer_device\": \"cpu\"},"
    "{\"kv_connector\": \"OffloadingConnector\", \"kv_connector_extra_config\": {\"spec_name\": "
    "\"TieringOffloadingSpec\","
    " \"cpu_bytes_to_use\": 1073741824, \"ratio\": 0.5, \"on\": true, \"secondary_tiers\": [{\"type\": \"fs\"}, {}, "
    "{\"type\": "
    "\"s3\"}]}},"
    "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": [{\"kv_connector\": "
    "\"Nobodys\"}]}}]}}";

static void check_multi(struct kvtel_transfer_config *config)
{
    assert_string_equal(kvtel_transfer_config_connector_name(config), "MultiConnector");
    assert_int_equal(kvtel_transfer_config_connector(config)->payload_kind, KVTEL_PAYLOAD_MULTI);
    assert_int_equal(kvtel_transfer_config_child_count(config), 3);
    assert_null(kvtel_transfer_config_child(config, 3));
    const struct kvtel_transfer_config *nixl = kvtel_transfer_config_child(config, 0);
    assert_ptr_equal(kvtel_transfer_config_connector(nixl), kvtel_connector_find("NixlConnector"));
    assert_int_equal(kvtel_transfer_config_child_count(nixl), 0);
    const struct kvtel_transfer_config *offloading = kvtel_transfer_config_child(config, 1);
    assert_string_equal(kvtel_transfer_config_text(offloading, "spec_name", "?"), "TieringOffloadingSpec");
    assert_string_equal(kvtel_transfer_config_text(offloading, "cpu_bytes_to_use", "?"), "?");
    assert_null(kvtel_transfer_config_text(offloading, "absent", NULL));
    assert_float_equal(kvtel_transfer_config_number(offloading, "cpu_bytes_to_use", 0), 1073741824, 0);
    assert_float_equal(kvtel_transfer_config_number(offloading, "ratio", 0), 0.5, 0);
    assert_float_equal(kvtel_transfer_config_number(offloading, "on", -1), -1, 0);
    assert_float_equal(kvtel_transfer_config_number(offloading, "spec_name", -1), -1, 0);
    assert_string_equal(kvtel_transfer_config_tier(offloading, 0), "fs");
    assert_string_equal(kvtel_transfer_config_tier(offloading, 1), "");
    assert_string_equal(kvtel_transfer_config_tier(offloading, 2), "s3");
    assert_null(kvtel_transfer_config_tier(offloading, 3));
    const struct kvtel_transfer_config *nested = kvtel_transfer_config_child(config, 2);
    const struct kvtel_transfer_config *nobodys = kvtel_transfer_config_child(nested, 0);
    assert_string_equal(kvtel_transfer_config_connector_name(nobodys), "Nobodys");
    assert_null(kvtel_transfer_config_connector(nobodys));
    assert_false(kvtel_transfer_config_cache_metrics(nobodys));
    kvtel_transfer_config_set_cache_metrics(config, true);
    assert_true(kvtel_transfer_config_cache_metrics(config));
    assert_true(kvtel_transfer_config_cache_metrics(nobodys));
}

static void both_formats(void **state)
{
    (void)state;
    struct kvtel_transfer_config *config;
    assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, multi, strlen(multi), &config, NULL), KVTEL_OK);
    check_multi(config);
    kvtel_transfer_config_destroy(config);
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_writer writer;
    assert_int_equal(kvtel_value_decode(KVTEL_JSON, multi, strlen(multi), &arena, &value, NULL), KVTEL_OK);
    kvtel_writer_init(&writer, KVTEL_MSGPACK, &buffer);
    kvtel_writer_value(&writer, &value);
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_OK);
    assert_int_equal(kvtel_transfer_config_parse(KVTEL_MSGPACK, buffer.bytes, buffer.size, &config, NULL), KVTEL_OK);
    check_multi(config);
    kvtel_transfer_config_destroy(config);
    kvtel_buffer_free(&buffer);
    kvtel_arena_free(&arena);
}

static const struct {
    const char *name, *text;
    enum kvtel_status status;
    uint32_t line, column;
    const char *message;
} rows[] = {
    { "least", "{\"kv_connector\": \"X\"}", KVTEL_OK, 0, 0, NULL },
    { "null extra", "{\"kv_connector\": \"X\", \"kv_connector_extra_config\": null}", KVTEL_OK, 0, 0, NULL },
    { "children of one that has none", "{\"kv_connector\": \"X\", \"kv_connector_extra_config\": {\"connectors\": 1}}",
      KVTEL_OK, 0, 0, NULL },
    { "tiers that are no list", "{\"kv_connector\": \"X\", \"kv_connector_extra_config\": {\"secondary_tiers\": 1}}",
      KVTEL_OK, 0, 0, NULL },
    { "syntax", "{\"kv_connector\": \"X\",\n}", KVTEL_E_SYNTAX, 2, 1, "string or '}' expected near '}'" },
    { "truncated", "{\"kv_connector\"", KVTEL_E_TRUNCATED, 1, 16, "the JSON value is not complete" },
    { "list", "[]", KVTEL_E_TYPE, 1, 1, "a transfer configuration is not an object" },
    { "no connector", "{}", KVTEL_E_TYPE, 1, 1, "a transfer configuration has no kv_connector" },
    { "null connector", "{\"kv_connector\": null}", KVTEL_E_TYPE, 1, 1,
      "a transfer configuration has no kv_connector" },
    { "number for a connector", "{\"a\": 1,\n \"kv_connector\": 1}", KVTEL_E_TYPE, 2, 2,
      "kv_connector is not a string" },
    { "extra that is no object", "{\"kv_connector\": \"X\", \"kv_connector_extra_config\": 1}", KVTEL_E_TYPE, 1, 23,
      "kv_connector_extra_config is not an object" },
    { "children that are no list",
      "{\"kv_connector\": \"MultiConnector\",\n\"kv_connector_extra_config\": {\n\"connectors\": {}}}", KVTEL_E_TYPE, 3,
      1, "connectors is not a list" },
    { "child that is no object",
      "{\"kv_connector\": \"MultiConnector\",\n\"kv_connector_extra_config\": {\"connectors\": [\n{\"kv_connector\": "
      "\"X\"},\n  "
      "7]}}",
      KVTEL_E_TYPE, 4, 3, "a transfer configuration is not an object" },
    { "child's connector",
      "{\"kv_connector\": \"MultiConnector\",\n\"kv_connector_extra_config\": {\"connectors\": [\n{\"kv_connector\": "
      "\"X\"},\n"
      "{\"a\": 1, \"kv_connector\": []}]}}",
      KVTEL_E_TYPE, 4, 10, "kv_connector is not a string" },
};

static void bad_configurations_have_a_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kvtel_transfer_config *config = NULL;
        struct kvtel_error error = { 0 };
        size_t size = strlen(rows[i].text);
        enum kvtel_status status = kvtel_transfer_config_parse(KVTEL_JSON, rows[i].text, size, &config, &error);
        if (status != rows[i].status || error.line != rows[i].line || error.column != rows[i].column)
            fail_msg("%s: status %d at %u:%u: %s", rows[i].name, status, error.line, error.column, error.message);
        if (status == KVTEL_OK) {
            assert_string_equal(kvtel_transfer_config_connector_name(config), "X");
            assert_int_equal(kvtel_transfer_config_child_count(config), 0);
            kvtel_transfer_config_destroy(config);
            continue;
        }
        assert_null(config);
        assert_int_equal(error.status, status);
        assert_string_equal(error.message, rows[i].message);
        assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, rows[i].text, size, &config, NULL), status);
    }
}

static void children_nest_as_deep_as_values(void **state)
{
    (void)state;
    static const char open[] =
        "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": [";
    static const struct {
        size_t levels;
        enum kvtel_status status;
    } depths[] = { { 10, KVTEL_OK }, { 11, KVTEL_E_DEPTH }, { 5000, KVTEL_E_DEPTH } };
    for (size_t i = 0; i < COUNT(depths); i++) {
        struct kvtel_transfer_config *config = NULL;
        struct kvtel_buffer buffer = { 0 };
        for (size_t k = 0; k < depths[i].levels; k++)
            kvtel_buffer_append_text(&buffer, open);
        kvtel_buffer_append_text(&buffer, "{\"kv_connector\": \"X\"}");
        for (size_t k = 0; k < depths[i].levels; k++)
            kvtel_buffer_append_text(&buffer, "]}}");
        assert_int_equal(kvtel_transfer_config_parse(KVTEL_JSON, buffer.bytes, buffer.size, &config, NULL),
                         depths[i].status);
        kvtel_transfer_config_destroy(config);
        kvtel_buffer_free(&buffer);
    }
}

static void no_more_than_a_thousand_children(void **state)
{
    (void)state;
    for (int count = 1000; count <= 1001; count++) {
        struct kvtel_buffer text = { 0 };
        struct kvtel_transfer_config *config = NULL;
        struct kvtel_error error = { 0 };
        assert_int_equal(
            kvtel_buffer_append_text(&text, "{\"kv_connector\": \"MultiConnector\",\n\"kv_connector_extra_config\":\n"
                                            "{\"connectors\": [{\"kv_connector\": \"A\"}"),
            KVTEL_OK);
        for (int i = 1; i < count; i++)
            assert_int_equal(kvtel_buffer_append_text(&text, ", {\"kv_connector\": \"B\"}"), KVTEL_OK);
        assert_int_equal(kvtel_buffer_append_text(&text, "]}}"), KVTEL_OK);
        enum kvtel_status status = kvtel_transfer_config_parse(KVTEL_JSON, text.bytes, text.size, &config, &error);
        assert_int_equal(status, count == 1000 ? KVTEL_OK : KVTEL_E_LIMIT);
        assert_true(status == KVTEL_OK || (error.line == 3 && error.column == 2));
        kvtel_transfer_config_destroy(config);
        kvtel_buffer_free(&text);
    }
}

static void by_name(void **state)
{
    (void)state;
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("NixlConnector");
    assert_non_null(config);
    assert_ptr_equal(kvtel_transfer_config_connector(config), kvtel_connector_find("NixlConnector"));
    assert_int_equal(kvtel_transfer_config_child_count(config), 0);
    assert_null(kvtel_transfer_config_tier(config, 0));
    assert_string_equal(kvtel_transfer_config_text(config, "a", "b"), "b");
    kvtel_transfer_config_destroy(config);
    kvtel_transfer_config_destroy(NULL);
}

static void without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct kvtel_transfer_config *config = NULL;
        struct kvtel_error error = { 0 };
        fail_allocation(n);
        enum kvtel_status status = kvtel_transfer_config_parse(KVTEL_JSON, multi, strlen(multi), &config, &error);
        failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        assert_int_equal(error.status, status);
        assert_true((config == NULL) == failed);
        kvtel_transfer_config_destroy(config);
    }
    for (size_t n = 1; n <= 2; n++) {
        fail_allocation(n);
        assert_null(kvtel_transfer_config_of("NixlConnector"));
        assert_true(allocation_did_fail());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_formats),
        cmocka_unit_test(bad_configurations_have_a_place),
        cmocka_unit_test(children_nest_as_deep_as_values),
        cmocka_unit_test(no_more_than_a_thousand_children),
        cmocka_unit_test(by_name),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
