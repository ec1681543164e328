/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads that describe themselves: typed ones of connectors without a table, and descriptors in any payload. Each
 * case has a connector of its own, because what a process learned of a connector stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "connectors/learned.h"
#include "support/frontend.h"
#include <kvtel/logging.h>

static void check_lines(const char *what, const char *text, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count && lines[i]; i++) {
        bool absent = lines[i][0] == '!';
        if ((strstr(text, lines[i] + absent) == NULL) != absent)
            fail_msg("%s: \"%s\" in\n%s", what, lines[i], text);
    }
}

#define DESCRIPTOR(entries) \
    "\"_metrics_descriptor\": {\"descriptor_version\": 1, \"connector_id\": \"c\", \"metrics\": [" entries "]}"
#define ENTRY(name, type, path, kind, more)                                                                        \
    "{\"name\": \"" name "\", \"type\": \"" type "\", \"documentation\": \"D.\", \"samples_path\": \"" path "\", " \
    "\"sample_kind\": \"" kind "\"" more "}"
#define TYPED(types, data) "\"types\": {" types "}, \"data\": {" data "}"

/* "X" in `connector` and in the payloads becomes a letter of its own for each format. A line that begins with '!' must
 * not be there. */
static const struct {
    const char *what, *connector, *payloads[3], *lines[10];
    struct {
        enum kvtel_refusal reason;
        uint64_t count;
    } refused[5];
} cases[] = {
    { "typed metrics of each type",
      "TypedX",
      { "{" TYPED(
            "\"vllm:tX_bytes\": \"counter\", \"vllm:tX_wait_seconds\": \"histogram\", \"tX_used_perc\": \"gauge\"",
            "\"vllm:tX_bytes\": {\"[\\\"a\\\", \\\"b\\\"]\": 5}, \"vllm:tX_wait_seconds\": {\"[]\": [0.02, 70]}, "
            "\"tX_used_perc\": {\"[]\": 0.5}") "}",
        "{" TYPED("\"vllm:tX_bytes\": \"counter\"", "\"vllm:tX_bytes\": {\"[\\\"a\\\", \\\"b\\\"]\": 2}") "}" },
      { "vllm:tX_bytes_total{engine=\"0\",label_1=\"a\",label_2=\"b\",model_name=\"m\"} 7.0\n",
        "vllm:tX_wait_seconds_bucket{engine=\"0\",le=\"0.025\",model_name=\"m\"} 1.0\n",
        "vllm:tX_wait_seconds_bucket{engine=\"0\",le=\"60.0\",model_name=\"m\"} 1.0\n",
        "vllm:tX_wait_seconds_count{engine=\"0\",model_name=\"m\"} 2.0\n",
        "tX_used_perc{engine=\"0\",model_name=\"m\"} 0.5\n" },
      { { 0 } } },
    { "labels that the payload names",
      "NamedX",
      { "{" TYPED("\"nX\": \"gauge\"", "\"nX\": {\"[\\\"a\\\"]\": 5}") ", \"labels\": {\"nX\": [\"tier\"]}}" },
      { "nX{engine=\"0\",model_name=\"m\",tier=\"a\"} 5.0\n" },
      { { 0 } } },
    { "metrics that cannot be used",
      "BadX",
      { "{" TYPED("\"bX\": \"counter\", \"9x\": \"counter\", \"kvtel_x\": \"counter\", \"bX_untold\": \"summary\", "
                  "\"vllm:nixl_xfer_time_seconds\": \"counter\", \"vllm:kv_offload_load_bytes\": \"counter\"",
                  "\"bX\": {\"[]\": 1}, \"9x\": {\"[]\": 1}, \"kvtel_x\": {\"[]\": 1}, \"bX_untold\": {\"[]\": 1}, "
                  "\"vllm:nixl_xfer_time_seconds\": {\"[]\": 1}, \"vllm:kv_offload_load_bytes\": {\"[]\": 3}") "}",
        "{" TYPED("\"bX\": \"counter\"", "\"bX\": {\"[\\\"a\\\"]\": 1, \"x\": 1, \"[]\": -1}") "}",
        "{" TYPED("\"bX\": \"gauge\"", "\"bX\": {\"[]\": 1}") ", \"other\": 1}" },
      { "bX_total{engine=\"0\",model_name=\"m\"} 1.0\n", "!9x", "!kvtel_x", "!untold", "!nixl",
        "vllm:kv_offload_load_bytes_total{engine=\"0\",model_name=\"m\"} 3.0\n" },
      { { KVTEL_REFUSED_DESCRIPTOR, 3 },
        { KVTEL_REFUSED_WRONG_TYPE, 2 },
        { KVTEL_REFUSED_LABEL_COUNT, 2 },
        { KVTEL_REFUSED_UNKNOWN_KEY, 1 },
        { KVTEL_REFUSED_NEGATIVE, 1 } } },
    { "each sample kind, by path",
      "KindsX",
      { "{" DESCRIPTOR(ENTRY("kX_a", "counter", "a", "inc_by_u64", "") "," ENTRY(
            "kX_b", "counter", "in.b", "inc_by_sum_u64",
            "") "," ENTRY("kX_c", "counter", "c", "inc_by_f64",
                          ", \"scale\": 0.5") "," ENTRY("kX_d", "gauge", "d", "set_u64",
                                                        "") "," ENTRY("kX_e", "gauge", "in.deep.e", "set_f64",
                                                                      "") "," ENTRY("kX_f", "histogram", "f",
                                                                                    "observe_each_f64",
                                                                                    ", \"buckets\": [1, 2], \"scale\": "
                                                                                    "0.001") "," ENTRY("kX_g",
                                                                                                       "histogram", "g",
                                                                                                       "observe_each_"
                                                                                                       "u64_as_f64",
                                                                                                       ", \"buckets\": "
                                                                                                       "[1]")) "}",
        "{\"a\": 2, \"in\": {\"b\": [1, 2, 3], \"deep\": {\"e\": -1.5}}, \"c\": 3, \"d\": 4, \"f\": [500, 1500], "
        "\"g\": 7}",
        "{\"a\": 1, \"d\": 9, \"g\": null}" },
      { "kX_a_total{engine=\"0\",model_name=\"m\"} 3.0\n", "kX_b_total{engine=\"0\",model_name=\"m\"} 6.0\n",
        "kX_c_total{engine=\"0\",model_name=\"m\"} 1.5\n", "kX_d{engine=\"0\",model_name=\"m\"} 9.0\n",
        "kX_e{engine=\"0\",model_name=\"m\"} -1.5\n", "kX_f_bucket{engine=\"0\",le=\"1.0\",model_name=\"m\"} 1.0\n",
        "kX_f_sum{engine=\"0\",model_name=\"m\"} 2.0\n", "kX_g_sum{engine=\"0\",model_name=\"m\"} 7.0\n",
        "kX_a_total{engine=\"1\",model_name=\"m\"} 0.0\n", "kX_g_count{engine=\"1\",model_name=\"m\"} 0.0\n" },
      { { 0 } } },
    { "constant labels, and a value under label tuples",
      "ConstX",
      { "{\"a\": 1, \"b\": 2, " DESCRIPTOR(
            ENTRY("cX", "counter", "a", "inc_by_u64", ", \"const_labels\": {\"z\": \"1\", \"b\": \"x\"}") "," ENTRY(
                "cX", "counter", "b", "inc_by_u64",
                ", \"const_labels\": {\"b\": \"y\", \"z\": \"1\"}") "," ENTRY("cX_t", "counter", "t", "inc_by_u64",
                                                                              "")) "}",
        "{\"t\": {\"[\\\"q\\\"]\": 3}}", "{\"t\": {\"[\\\"q\\\"]\": 100, \"[]\": 4}, \"unread\": 5}" },
      { "cX_total{b=\"x\",engine=\"0\",model_name=\"m\",z=\"1\"} 1.0\n",
        "cX_total{b=\"y\",engine=\"0\",model_name=\"m\",z=\"1\"} 2.0\n",
        "cX_total{b=\"y\",engine=\"1\",model_name=\"m\",z=\"1\"} 0.0\n",
        "cX_t_total{engine=\"0\",model_name=\"m\"} 7.0\n" },
      { { 0 } } },
    { "samples that are not of their kind",
      "WrongX",
      { "{" DESCRIPTOR(ENTRY("wX_a", "counter", "a", "inc_by_u64", "") "," ENTRY(
            "wX_b", "counter", "b", "inc_by_sum_u64", "") "," ENTRY("wX_c", "histogram", "c_seconds",
                                                                    "observe_each_f64", ", \"buckets\": [1]")) "}",
        "{\"a\": [1], \"b\": [1, -2, 0.5, 3], \"c_seconds\": \"x\"}",
        "{\"a\": {\"[\\\"p\\\"]\": 1, \"[\\\"q\\\"]\": 1}, \"c_seconds\": {\"p\": 1}}" },
      { "wX_b_total{engine=\"0\",model_name=\"m\"} 4.0\n", "wX_a_total{engine=\"0\",model_name=\"m\"} 0.0\n" },
      { { KVTEL_REFUSED_WRONG_TYPE, 4 }, { KVTEL_REFUSED_NEGATIVE, 1 }, { KVTEL_REFUSED_LABEL_COUNT, 1 } } },
    { "a descriptor gives a typed metric its buckets and help",
      "BothX",
      { "{" TYPED("\"yX_seconds\": \"histogram\", \"yX_n\": \"counter\"",
                  "\"yX_seconds\": {\"[\\\"a\\\"]\": [3], "
                  "\"[\\\"b\\\"]\": [5]}, \"yX_n\": {\"[]\": "
                  "1}") ", " DESCRIPTOR(ENTRY("yX_seconds", "histogram", "data.yX_seconds", "observe_each_f64",
                                              ", \"buckets\": [4]") "," ENTRY("yX_n", "counter", "data.yX_n",
                                                                              "inc_by_u64", "")) "}" },
      { "# HELP yX_seconds D.\n", "yX_seconds_bucket{engine=\"0\",label_1=\"a\",le=\"4.0\",model_name=\"m\"} 1.0\n",
        "yX_seconds_bucket{engine=\"0\",label_1=\"b\",le=\"4.0\",model_name=\"m\"} 0.0\n",
        "yX_n_total{engine=\"0\",model_name=\"m\"} 1.0\n", "yX_n_total{engine=\"1\",model_name=\"m\"} 0.0\n" },
      { { 0 } } },
    { "the definition of a key with dots is not that of the key before a dot",
      "DotsX",
      { "{" TYPED("\"dX\": \"counter\", \"dX.t\": \"histogram\"",
                  "\"dX\": {\"[\\\"a\\\"]\": 2}, \"dX.t\": "
                  "{\"[\\\"a\\\"]\": [3]}") ", " DESCRIPTOR(ENTRY("dX_t_seconds", "histogram", "data.dX.t",
                                                                  "observe_each_f64", ", \"buckets\": [4]")) "}" },
      { "dX_total{engine=\"0\",label_1=\"a\",model_name=\"m\"} 2.0\n",
        "dX_t_seconds_bucket{engine=\"0\",label_1=\"a\",le=\"4.0\",model_name=\"m\"} 1.0\n" },
      { { 0 } } },
    { "a second descriptor of a connector is not used",
      "TwiceX",
      { "{\"a\": 1, " DESCRIPTOR(ENTRY("uX", "counter", "a", "inc_by_u64", "")) "}",
        "{\"a\": 1, " DESCRIPTOR(ENTRY("uX_more", "counter", "a", "inc_by_u64", "")) "}" },
      { "uX_total{engine=\"0\",model_name=\"m\"} 2.0\n", "!more" },
      { { KVTEL_REFUSED_DESCRIPTOR, 1 } } },
    { "children that describe themselves",
      "MultiConnector",
      { "{\"ChildX\": {" TYPED("\"mX\": \"counter\"", "\"mX\": {\"[]\": 1}") "}, \"OtherX\": {\"n\": 2, " DESCRIPTOR(
            ENTRY("mX_o", "counter", "n", "inc_by_u64", "")) "}, \"NobodyX\": {\"a\": 1}}",
        "{\"OtherX\": {\"n\": 3}, \"ChildX\": {\"data\": {" TYPED("\"mX\": \"counter\"", "\"mX\": {\"[]\": 1}") "}}}" },
      { "mX_total{engine=\"0\",model_name=\"m\"} 2.0\n", "mX_o_total{engine=\"0\",model_name=\"m\"} 5.0\n",
        "mX_o_total{engine=\"1\",model_name=\"m\"} 0.0\n" },
      { { KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1 } } },
};

static void substitute(char *out, size_t size, const char *text, char letter)
{
    size_t length = strlen(text);
    assert_true(length < size);
    for (size_t i = 0; i <= length; i++)
        out[i] = text[i] == 'X' ? letter : text[i];
}

static void run_case(size_t at, enum kvtel_format format)
{
    char letter = format == KVTEL_JSON ? 'j' : 'p', name[64], text[4096], config[512], lines[10][256];
    const char *wanted[COUNT_OF(cases[0].lines)] = { NULL };
    struct frontend frontend;
    substitute(name, sizeof(name), cases[at].connector, letter);
    snprintf(config, sizeof(config),
             "{\"kv_connector\": \"%s\", \"kv_connector_extra_config\": {\"connectors\": [{\"kv_connector\": "
             "\"Child%c\"}, {\"kv_connector\": \"Other%c\"}]}}",
             name, letter, letter);
    set_up(&frontend, config);
    for (size_t i = 0; i < COUNT_OF(cases[at].payloads) && cases[at].payloads[i]; i++) {
        substitute(text, sizeof(text), cases[at].payloads[i], letter);
        if (observe(&frontend, format, text) != KVTEL_OK)
            fail_msg("%s: payload %zu", cases[at].what, i);
    }
    for (size_t i = 0; i < COUNT_OF(cases[at].lines) && cases[at].lines[i]; i++) {
        substitute(lines[i], sizeof(lines[i]), cases[at].lines[i], letter);
        wanted[i] = lines[i];
    }
    char *page = text_of(&frontend);
    check_lines(cases[at].what, page, wanted, COUNT_OF(wanted));
    free(page);
    for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++) {
        uint64_t expected = 0, count = kvtel_diagnostics_count(frontend.diagnostics, (enum kvtel_refusal)reason);
        for (size_t i = 0; i < COUNT_OF(cases[at].refused); i++)
            if (cases[at].refused[i].count > 0 && cases[at].refused[i].reason == (enum kvtel_refusal)reason)
                expected = cases[at].refused[i].count;
        if (count != expected)
            fail_msg("%s: %llu times %s, not %llu", cases[at].what, (unsigned long long)count,
                     kvtel_refusal_label((enum kvtel_refusal)reason), (unsigned long long)expected);
    }
    tear_down(&frontend);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        run_case(i, KVTEL_JSON);
        run_case(i, KVTEL_MSGPACK);
    }
}

/* A connector with a table keeps its families as they are; a descriptor adds others. */
static void test_beside_a_table(void **state)
{
    (void)state;
    struct frontend frontend;
    set_up(&frontend, "{\"kv_connector\": \"HF3FSKVConnector\"}");
    assert_int_equal(
        observe(&frontend, KVTEL_JSON,
                "{\"load_duration\": [0.5], \"num_transfer_task\": 1, \"extra\": {\"n\": 2}, " DESCRIPTOR(
                    ENTRY("vllm:hf3fs_extra", "counter", "extra.n", "inc_by_u64", "") "," ENTRY(
                        "vllm:hf3fs_num_failed_load_total", "gauge", "extra.n", "set_u64",
                        "") "," ENTRY("vllm:nixl_num_failed_transfers", "gauge", "extra.n", "set_u64", "")) "}"),
        KVTEL_OK);
    assert_int_equal(observe(&frontend, KVTEL_JSON, "{\"num_transfer_task\": 1, \"extra\": {\"n\": 5}}"), KVTEL_OK);
    static const char *const lines[] = {
        "vllm:hf3fs_extra_total{engine=\"0\",model_name=\"m\"} 7.0\n",
        "vllm:hf3fs_extra_total{engine=\"1\",model_name=\"m\"} 0.0\n",
        "# TYPE vllm:hf3fs_num_failed_load_total counter\n",
        "vllm:hf3fs_load_duration_seconds_count{engine=\"0\",model_name=\"m\"} 1.0\n",
        "!nixl",
    };
    char *page = text_of(&frontend);
    check_lines("beside a table", page, lines, COUNT_OF(lines));
    free(page);
    /* NIXL's family, and a gauge with the name of a counter's sample */
    assert_int_equal(kvtel_diagnostics_count(frontend.diagnostics, KVTEL_REFUSED_DESCRIPTOR), 2);
    assert_int_equal(frontend.said_count, 2);
    /* what was described is aggregated, and goes with a reset */
    struct kvtel_stats *other = kvtel_stats_create(kvtel_connector_find("HF3FSKVConnector"), NULL);
    static const char more[] = "{\"extra\": {\"n\": 30}}";
    assert_int_equal(kvtel_stats_decode(other, KVTEL_JSON, more, sizeof(more) - 1, NULL), KVTEL_OK);
    assert_int_equal(kvtel_stats_aggregate(frontend.stats, other), KVTEL_OK);
    assert_int_equal(kvtel_prom_observe(frontend.prom, frontend.stats, 0), KVTEL_OK); /* 5 + 30 */
    kvtel_stats_reset(frontend.stats);
    assert_int_equal(kvtel_prom_observe(frontend.prom, frontend.stats, 0), KVTEL_OK);
    kvtel_stats_destroy(other);
    page = text_of(&frontend);
    assert_non_null(strstr(page, "vllm:hf3fs_extra_total{engine=\"0\",model_name=\"m\"} 42.0\n"));
    free(page);
    tear_down(&frontend);
}

static const struct {
    const char *descriptor, *said;
} invalid[] = {
    { "5", "_metrics_descriptor is not a map" },
    { "{\"descriptor_version\": 2}", "_metrics_descriptor.descriptor_version is not 1" },
    { "{\"descriptor_version\": 1}", "_metrics_descriptor.connector_id is missing" },
    { "{\"descriptor_version\": 1, \"connector_id\": \"c\", \"metrics\": {}}", ".metrics is not a list" },
    { "{\"descriptor_version\": 1, \"connector_id\": \"c\", \"metrics\": [5]}", ".metrics[0] is not a map" },
#define WITH(entries) "{\"descriptor_version\": 1, \"connector_id\": \"c\", \"metrics\": [" entries "]}"
    { WITH("{\"name\": \"a\"}"), ".metrics[0].documentation is missing" },
    { WITH(ENTRY("a b", "counter", "a", "inc_by_u64", "")), ".metrics[0].name \"a b\" is not a valid name" },
    { WITH(ENTRY("a", "summary", "a", "inc_by_u64", "")), ".metrics[0].type is \"summary\"" },
    { WITH(ENTRY("a", "gauge", "a", "inc_by_u64", "")), ".metrics[0].sample_kind is \"inc_by_u64\", which a gauge" },
    { WITH(ENTRY("a", "gauge", "a", "inc", "")), ".metrics[0].sample_kind is \"inc\", which is no sample kind" },
    { WITH(ENTRY("a", "histogram", "a", "observe_each_f64", "")), ".metrics[0].buckets is missing" },
    { WITH(ENTRY("a", "histogram", "a", "observe_each_f64", ", \"buckets\": [2, 1]")),
      ".metrics[0].buckets has bounds" },
    { WITH(ENTRY("a", "counter", "a", "inc_by_u64", ", \"scale\": -1")), ".metrics[0].scale is not" },
    { WITH(ENTRY("a", "counter", "a", "inc_by_u64", ", \"const_labels\": {\"a-b\": \"c\"}")),
      ".metrics[0].const_labels \"a-b\" is not a valid name" },
    { WITH(ENTRY("a", "counter", "a", "inc_by_u64", ", \"const_labels\": {\"a\": 5}")),
      ".metrics[0].const_labels has" },
    { WITH(ENTRY("a", "counter", "a", "inc_by_u64", "") "," ENTRY("a", "counter", "b", "inc_by_u64", "")),
      ".metrics[1].name stands with the same labels in metrics[0]" },
    { WITH(ENTRY("a", "counter", "a", "inc_by_u64", "") "," ENTRY("a", "gauge", "b", "set_u64", "")),
      ".metrics[1].name is that of metrics[0]" },
};

/* An invalid descriptor is said once, with the path of what is wrong, and registers nothing. */
static void test_invalid_descriptors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(invalid); i++) {
        struct frontend frontend;
        char payload[1024];
        set_up(&frontend, "{\"kv_connector\": \"InvalidConnector\"}");
        snprintf(payload, sizeof(payload),
                 "{" TYPED("\"inv\": \"counter\"", "\"inv\": {\"[]\": 1}") ", \"_metrics_descriptor\": %s}",
                 invalid[i].descriptor);
        for (int k = 0; k < 3; k++)
            assert_int_equal(observe(&frontend, KVTEL_JSON, payload), KVTEL_OK);
        assert_int_equal(kvtel_diagnostics_count(frontend.diagnostics, KVTEL_REFUSED_DESCRIPTOR), 3);
        assert_int_equal(frontend.said_count, 1);
        if (!strstr(frontend.said[0], invalid[i].said))
            fail_msg("\"%s\" was said, not \"%s\"", frontend.said[0], invalid[i].said);
        char *page = text_of(&frontend);
        assert_non_null(strstr(page, "inv_total{engine=\"0\",model_name=\"m\"} 3.0\n"));
        assert_null(strstr(page, "\na_total"));
        free(page);
        tear_down(&frontend);
    }
}

/* A payload that does not describe itself is counted; the connector's name is said once. */
static void test_payloads_that_say_nothing(void **state)
{
    (void)state;
    struct frontend frontend;
    set_up(&frontend, "{\"kv_connector\": \"SilentConnector\"}");
    for (int i = 0; i < 2; i++)
        assert_int_equal(observe(&frontend, KVTEL_MSGPACK, "{\"a\": [1]}"), KVTEL_E_UNKNOWN);
    assert_int_equal(kvtel_diagnostics_count(frontend.diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR), 2);
    assert_int_equal(frontend.said_count, 1);
    assert_non_null(strstr(frontend.said[0], "unknown connector \"SilentConnector\""));
    tear_down(&frontend);
}

/* The log line of a connector without a table, in vLLM's style. */
static void keep_line(void *context, const char *line)
{
    snprintf(context, 256, "%s", line);
}

static void test_log_line(void **state)
{
    (void)state;
    static const char payload[] = "{" TYPED("\"vllm:l_n\": \"counter\", \"vllm:l_s\": \"histogram\"",
                                            "\"vllm:l_n\": {\"[\\\"a\\\"]\": 2}, \"vllm:l_s\": {\"[]\": [0.5, 1]}") "}";
    char line[256] = "";
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("LoggedConnector");
    struct kvtel_logging *logging = kvtel_logging_create(config, KVTEL_LOG_VLLM, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(kvtel_logging_observe_payload(logging, KVTEL_JSON, payload, sizeof(payload) - 1, NULL, NULL),
                         KVTEL_OK);
    assert_int_equal(kvtel_logging_log(logging, 1, keep_line, line), KVTEL_OK);
    assert_string_equal(line, "KV Transfer metrics: vllm:l_n:('a',)=4, vllm:l_s_count=4, vllm:l_s_sum=3.0");
    kvtel_logging_destroy(logging);
    kvtel_transfer_config_destroy(config);
}

static void test_units(void **state)
{
    (void)state;
    assert_int_equal(kvtel_learned_unit("vllm:a_wait_seconds"), KVTEL_UNIT_SECONDS);
    assert_int_equal(kvtel_learned_unit("vllm:moriio_bytes_transferred"), KVTEL_UNIT_BYTES);
    assert_int_equal(kvtel_learned_unit("usage_perc"), KVTEL_UNIT_RATIO);
    assert_int_equal(kvtel_learned_unit("secondsy_thing"), KVTEL_UNIT_COUNT);
    assert_int_equal(kvtel_learned_unit(""), KVTEL_UNIT_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_beside_a_table),
        cmocka_unit_test(test_invalid_descriptors),
        cmocka_unit_test(test_payloads_that_say_nothing),
        cmocka_unit_test(test_log_line),
        cmocka_unit_test(test_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
