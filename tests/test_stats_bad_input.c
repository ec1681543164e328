/* SPDX-License-Identifier: Apache-2.0 */
/* Bad payloads: a malformed one changes nothing; of others the wrong part is left out and counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/payloads.h"

/* What JSON cannot say: in a row's text these stand for it, and the row is tried in MessagePack alone. */
#define NAN_MARK "1.25e-300"
#define INFINITY_MARK "2.5e-300"
#define MINUS_INFINITY_MARK "5e-300"

static const struct {
    double mark;
    const char *text;
    uint8_t bytes[8];
} marks[] = {
    { 1.25e-300, NAN_MARK, { 0x7F, 0xF8 } },
    { 2.5e-300, INFINITY_MARK, { 0x7F, 0xF0 } },
    { 5e-300, MINUS_INFINITY_MARK, { 0xFF, 0xF0 } },
};

static bool replace_marks(struct kvtel_buffer *buffer, const char *payload)
{
    bool any = false;
    for (size_t i = 0; i < COUNT_OF(marks); i++) {
        uint64_t bits;
        uint8_t wanted[8];
        memcpy(&bits, &marks[i].mark, sizeof(bits));
        for (size_t k = 0; k < 8; k++)
            wanted[k] = (uint8_t)(bits >> (56 - 8 * k));
        any |= strstr(payload, marks[i].text) != NULL;
        for (size_t at = 0; at + 8 <= buffer->size; at++)
            if (memcmp(buffer->bytes + at, wanted, 8) == 0)
                memcpy(buffer->bytes + at, marks[i].bytes, 8);
    }
    return any;
}

struct count {
    enum kvtel_refusal reason;
    uint64_t n;
};

#define TYPED(type, data) "{\"types\": {" type "}, \"data\": {" data "}}"
#define STORE_ROW(seconds, keys, status)                                                                \
    "{\"duration_seconds\": " seconds ", \"num_keys\": " keys ", \"num_bytes\": 0, \"status\": " status \
    ", \"num_failed_keys\": "                                                                           \
    "0}"

static const struct {
    const char *what, *connector, *payload;
    struct count counts[3];
    const char *left;
} refused[] = {
    { "nothing is wrong", "NixlConnector", "{\"transfer_duration\": [1]}", { { 0 } }, "{\"transfer_duration\": [1]}" },
    { "an unknown key",
      "NixlConnector",
      "{\"no_such_key\": [1, 2], \"transfer_duration\": [1], \"\": 3}",
      { { KVTEL_REFUSED_UNKNOWN_KEY, 2 } },
      "{\"transfer_duration\": [1]}" },
    { "a metrics descriptor is no field, and this one is not whole",
      "NixlConnector",
      "{\"_metrics_descriptor\": {\"descriptor_version\": 1}, \"transfer_duration\": [1]}",
      { { KVTEL_REFUSED_DESCRIPTOR, 1 } },
      "{\"transfer_duration\": [1]}" },
    { "a list where a number belongs",
      "HF3FSKVConnector",
      "{\"num_transfer_task\": [1], \"num_failed_load\": 2}",
      { { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      "{\"num_failed_load\": 2}" },
    { "a number, a text, a map, nothing where a list belongs",
      "NixlConnector",
      "{\"transfer_duration\": 1, \"post_duration\": \"x\", \"bytes_transferred\": {}, \"num_descriptors\": null, "
      "\"num_failed_handshakes\": [1]}",
      { { KVTEL_REFUSED_WRONG_TYPE, 4 } },
      "{\"num_failed_handshakes\": [1]}" },
    { "texts, booleans, lists among numbers",
      "LMCacheMPConnector",
      "{\"lookup_duration_seconds\": [1, \"2\", true, null, [3], {}, 0.5]}",
      { { KVTEL_REFUSED_WRONG_TYPE, 5 } },
      "{\"lookup_duration_seconds\": [1, 0.5]}" },
    { "a wrong value takes its row along, once",
      "NixlConnector",
      "{\"transfer_duration\": [1, \"a\", 3], \"post_duration\": [0.1, \"b\", 0.3], \"bytes_transferred\": [10, 20, "
      "30], "
      "\"num_descriptors\": [1, 2, 3], \"num_failed_transfers\": [1]}",
      { { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      "{\"transfer_duration\": [1, 3], \"post_duration\": [0.1, 0.3], \"bytes_transferred\": [10, 30], "
      "\"num_descriptors\": [1, 3], \"num_failed_transfers\": [1]}" },
    { "two rows, for two reasons",
      "MooncakeConnector",
      "{\"transfer_duration\": [-1, 2, 3], \"bytes_transferred\": [10, 20, \"c\"], \"num_descriptors\": [1, 2, -3]}",
      { { KVTEL_REFUSED_NEGATIVE, 1 }, { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      "{\"transfer_duration\": [2], \"bytes_transferred\": [20], \"num_descriptors\": [2]}" },
    { "columns of unequal length",
      "NixlConnector",
      "{\"transfer_duration\": [1, 2, 3], \"post_duration\": [1, 2], \"bytes_transferred\": [1, 2, 3, 4, 5], "
      "\"num_descriptors\": [1, 2, 3], \"num_failed_transfers\": [1, 1, 1, 1]}",
      { { KVTEL_REFUSED_UNEQUAL_COLUMNS, 3 } },
      "{\"transfer_duration\": [1, 2], \"post_duration\": [1, 2], \"bytes_transferred\": [1, 2], \"num_descriptors\": "
      "[1, 2], "
      "\"num_failed_transfers\": [1, 1, 1, 1]}" },
    { "a column that an older version lacks, or leaves empty, is not unequal",
      "NixlConnector",
      "{\"transfer_duration\": [1, 2], \"num_descriptors\": []}",
      { { 0 } },
      "{\"transfer_duration\": [1, 2], \"num_descriptors\": []}" },
    { "unequal, and a wrong value in what is left",
      "MooncakeConnector",
      "{\"transfer_duration\": [1, -2, 3], \"bytes_transferred\": [1, 2]}",
      { { KVTEL_REFUSED_UNEQUAL_COLUMNS, 1 }, { KVTEL_REFUSED_NEGATIVE, 1 } },
      "{\"transfer_duration\": [1], \"bytes_transferred\": [1]}" },
    { "a time that no clock measures takes its row along",
      "NixlConnector",
      "{\"transfer_duration\": [1.5, 9.2e9, 2], \"bytes_transferred\": [1, 9223372036854775807, 3]}",
      { { KVTEL_REFUSED_IMPLAUSIBLE, 1 } },
      "{\"transfer_duration\": [1.5, 2], \"bytes_transferred\": [1, 3]}" },
    { "such times as integers",
      "LMCacheMPConnector",
      "{\"lookup_duration_seconds\": [1, 4611686019, 18446744073709551606, 4611686018]}",
      { { KVTEL_REFUSED_IMPLAUSIBLE, 2 } },
      "{\"lookup_duration_seconds\": [1, 4611686018]}" },
    { "such a time in a row of a store",
      "MooncakeStoreConnector",
      "{\"save_put\": [" STORE_ROW("1.8446744073709551e+19", "1", "\"ok\"") ", " STORE_ROW("0.5", "1", "\"ok\"") "]}",
      { { KVTEL_REFUSED_IMPLAUSIBLE, 1 } },
      "{\"save_put\": [" STORE_ROW("0.5", "1", "\"ok\"") "]}" },
    { "not a number",
      "NixlConnector",
      "{\"transfer_duration\": [1.5, " NAN_MARK "], \"bytes_transferred\": [1, 2]}",
      { { KVTEL_REFUSED_NOT_FINITE, 1 } },
      "{\"transfer_duration\": [1.5], \"bytes_transferred\": [1]}" },
    { "infinities",
      "LMCacheMPConnector",
      "{\"lookup_duration_seconds\": [" INFINITY_MARK ", 2.0, " MINUS_INFINITY_MARK "]}",
      { { KVTEL_REFUSED_NOT_FINITE, 2 } },
      "{\"lookup_duration_seconds\": [2.0]}" },
    { "a lone number that is not one",
      "HF3FSKVConnector",
      "{\"num_transfer_task\": " NAN_MARK ", \"num_failed_save\": 1}",
      { { KVTEL_REFUSED_NOT_FINITE, 1 } },
      "{\"num_failed_save\": 1}" },
    { "a level that is not finite",
      "HiSparseConnector",
      "{\"host_cache_usage_perc\": [0.5, " INFINITY_MARK "], \"pending_page_transfers\": [-1]}",
      { { KVTEL_REFUSED_NOT_FINITE, 1 } },
      "{\"host_cache_usage_perc\": [0.5], \"pending_page_transfers\": [-1]}" },
    { "negative durations, minus zero is none",
      "LMCacheMPConnector",
      "{\"lookup_duration_seconds\": [-1, -0.5, 1, -0.0]}",
      { { KVTEL_REFUSED_NEGATIVE, 2 } },
      "{\"lookup_duration_seconds\": [1, -0.0]}" },
    { "a negative lone number",
      "HF3FSKVConnector",
      "{\"num_transfer_task\": -1}",
      { { KVTEL_REFUSED_NEGATIVE, 1 } },
      "{}" },
    { "negative increments",
      "NixlConnector",
      "{\"num_failed_transfers\": [1, -1]}",
      { { KVTEL_REFUSED_NEGATIVE, 1 } },
      "{\"num_failed_transfers\": [1]}" },
    { "rows that are none",
      "MooncakeStoreConnector",
      "{\"get\": [1, " STORE_ROW("1", "2", "\"ok\"") ", []], \"put\": {}, \"x\": 3}",
      { { KVTEL_REFUSED_WRONG_TYPE, 4 } },
      "{\"get\": [" STORE_ROW("1", "2", "\"ok\"") "]}" },
    { "fields of a row",
      "MooncakeStoreConnector",
      "{\"get\": [" STORE_ROW("-1", "2", "\"ok\"") ", " STORE_ROW("1", "\"2\"", "\"ok\"") ", " STORE_ROW(
          "1", "2", "3") ", " STORE_ROW("4", "2", "\"error\"") ", {\"duration_seconds\": 1, \"num_keys\": 2}]}",
      { { KVTEL_REFUSED_NEGATIVE, 1 }, { KVTEL_REFUSED_WRONG_TYPE, 2 }, { KVTEL_REFUSED_UNEQUAL_COLUMNS, 1 } },
      "{\"get\": [" STORE_ROW("4", "2", "\"error\"") "]}" },
    { "an unknown field of a row, the row is good",
      "MooncakeStoreConnector",
      "{\"get\": [{\"duration_seconds\": 1, \"num_keys\": 1, \"num_bytes\": 0, \"status\": \"ok\", "
      "\"num_failed_keys\": 0, "
      "\"color\": 1}]}",
      { { KVTEL_REFUSED_UNKNOWN_KEY, 1 } },
      "{\"get\": [" STORE_ROW("1", "1", "\"ok\"") "]}" },
    { "counts by operation",
      "UMBPStoreConnector",
      "{\"save\": {\"submitted\": \"1\", \"completed\": -1, \"failed\": 2, \"other\": 1}, \"load\": []}",
      { { KVTEL_REFUSED_WRONG_TYPE, 2 }, { KVTEL_REFUSED_NEGATIVE, 1 }, { KVTEL_REFUSED_UNKNOWN_KEY, 1 } },
      "{\"save\": {\"failed\": 2}}" },
    { "an unknown typed metric",
      "SimpleCPUOffloadConnector",
      TYPED("\"vllm:unknown\": \"counter\", \"vllm:simple_kv_offload_used_blocks\": \"gauge\"",
            "\"vllm:unknown\": {\"[]\": 1}, \"vllm:simple_kv_offload_used_blocks\": {\"[]\": 5}"),
      { { KVTEL_REFUSED_UNKNOWN_METRIC, 1 } },
      TYPED("\"vllm:simple_kv_offload_used_blocks\": \"gauge\"",
            "\"vllm:simple_kv_offload_used_blocks\": {\"[]\": 5}") },
    { "a typed metric of another type",
      "SimpleCPUOffloadConnector",
      TYPED("\"vllm:simple_kv_offload_used_blocks\": \"counter\"",
            "\"vllm:simple_kv_offload_used_blocks\": {\"[]\": 5}"),
      { { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      TYPED("", "") },
    { "a typed metric without a type",
      "SimpleCPUOffloadConnector",
      TYPED("", "\"vllm:simple_kv_offload_used_blocks\": {\"[]\": 5}"),
      { { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      TYPED("", "") },
    { "a wrong number of label values",
      "SimpleCPUOffloadConnector",
      TYPED("\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"",
            "\"vllm:simple_kv_offload_save_outcomes_total\": {\"[\\\"a\\\"]\": 1, \"[\\\"a\\\", "
            "\\\"b\\\"]\": 2, "
            "\"no list\": 3, \"[1]\": 4}"),
      { { KVTEL_REFUSED_LABEL_COUNT, 3 } },
      TYPED("\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"",
            "\"vllm:simple_kv_offload_save_outcomes_total\": {\"[\\\"a\\\"]\": 1}") },
    { "no label values: the metric of an older vLLM, which had no labels",
      "SimpleCPUOffloadConnector",
      TYPED("\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"",
            "\"vllm:simple_kv_offload_save_outcomes_total\": {\"[]\": 5, \"[\\\"a\\\"]\": 1}"),
      { { KVTEL_REFUSED_LABEL_COUNT, 0 } },
      TYPED("\"vllm:simple_kv_offload_save_outcomes_total\": \"counter\"",
            "\"vllm:simple_kv_offload_save_outcomes_total\": {\"[]\": 5, \"[\\\"a\\\"]\": 1}") },
    { "values of a histogram with a wrong number of label values are counted one by one",
      "OffloadingConnector",
      TYPED("\"vllm:kv_offload_load_size\": \"histogram\"",
            "\"vllm:kv_offload_load_size\": {\"[\\\"x\\\"]\": [1, 2, 3], \"[]\": [4]}"),
      { { KVTEL_REFUSED_LABEL_COUNT, 3 } },
      TYPED("\"vllm:kv_offload_load_size\": \"histogram\"", "\"vllm:kv_offload_load_size\": {\"[]\": [4]}") },
    { "values of a wrong type, or below zero, in typed metrics",
      "OffloadingConnector",
      TYPED("\"vllm:kv_offload_load_size\": \"histogram\", \"vllm:kv_offload_load_bytes\": \"counter\", "
            "\"vllm:kv_offload_cpu_cache_usage_perc\": \"gauge\"",
            "\"vllm:kv_offload_load_size\": {\"[]\": [1, \"x\", -2]}, \"vllm:kv_offload_load_bytes\": {\"[]\": -3}, "
            "\"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": [1]}"),
      { { KVTEL_REFUSED_WRONG_TYPE, 2 }, { KVTEL_REFUSED_NEGATIVE, 2 } },
      TYPED("\"vllm:kv_offload_load_size\": \"histogram\", \"vllm:kv_offload_load_bytes\": \"counter\", "
            "\"vllm:kv_offload_cpu_cache_usage_perc\": \"gauge\"",
            "\"vllm:kv_offload_load_size\": {\"[]\": [1]}, \"vllm:kv_offload_load_bytes\": {}, "
            "\"vllm:kv_offload_cpu_cache_usage_perc\": {}") },
    { "types and data that are no maps",
      "OffloadingConnector",
      "{\"types\": [], \"data\": {\"vllm:kv_offload_load_size\": {}}, \"info\": [{\"a\": 1}]}",
      { { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      "{\"types\": {}, \"data\": {}, \"info\": [{\"a\": 1}]}" },
    { "info of a wrong shape",
      "OffloadingConnector",
      "{\"types\": {}, \"data\": {}, \"info\": [{\"a\": []}]}",
      { { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      "{\"types\": {}, \"data\": {}, \"info\": null}" },
    { "info where the connector has none",
      "SimpleCPUOffloadConnector",
      "{\"types\": {}, \"data\": {}, \"info\": [{\"a\": 1}]}",
      { { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      "{\"types\": {}, \"data\": {}, \"info\": null}" },
    { "children that nobody knows, that have no stats, that are no maps",
      "MultiConnector",
      "{\"NoSuchConnector\": {\"a\": [1]}, \"ExampleConnector\": {}, \"MooncakeConnector\": [], "
      "\"UMBPStoreConnector\": {}}",
      { { KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1 }, { KVTEL_REFUSED_NO_STATS, 1 }, { KVTEL_REFUSED_WRONG_TYPE, 1 } },
      "{\"UMBPStoreConnector\": {}}" },
    { "inside of a child",
      "MultiConnector",
      "{\"MooncakeConnector\": {\"transfer_duration\": [1, -1], \"x\": 1}}",
      { { KVTEL_REFUSED_NEGATIVE, 1 }, { KVTEL_REFUSED_UNKNOWN_KEY, 1 } },
      "{\"MooncakeConnector\": {\"transfer_duration\": [1]}}" },
};

static void check_refused(size_t row, enum kvtel_format format)
{
    struct kvtel_buffer bytes = { 0 };
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    struct kvtel_stats *stats = make_stats(refused[row].connector, diagnostics);
    convert_json(&bytes, format, refused[row].payload);
    if (replace_marks(&bytes, refused[row].payload) && format == KVTEL_JSON)
        goto out;
    assert_int_equal(kvtel_stats_decode(stats, format, bytes.bytes, bytes.size, NULL), KVTEL_OK);
    char *left = json_of(stats);
    if (strcmp(left, refused[row].left) != 0)
        fail_msg("%s: %s is left", refused[row].what, left);
    free(left);
    for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++) {
        uint64_t wanted = 0, n = kvtel_diagnostics_count(diagnostics, (enum kvtel_refusal)reason);
        for (size_t k = 0; k < COUNT_OF(refused[row].counts); k++)
            if (refused[row].counts[k].n > 0 && refused[row].counts[k].reason == (enum kvtel_refusal)reason)
                wanted = refused[row].counts[k].n;
        if (n != wanted)
            fail_msg("%s: %llu times %s", refused[row].what, (unsigned long long)n,
                     kvtel_refusal_label((enum kvtel_refusal)reason));
    }
out:
    kvtel_stats_destroy(stats);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_buffer_free(&bytes);
}

static void test_refused_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        check_refused(i, KVTEL_MSGPACK);
        check_refused(i, KVTEL_JSON);
    }
}

#define BYTES(text) text, sizeof(text) - 1

/* Nothing of these is applied. */
static const struct {
    const char *what;
    enum kvtel_format format;
    const char *bytes;
    size_t size;
    enum kvtel_status status;
    size_t offset;
    uint32_t line, column;
} malformed[] = {
    { "no bytes, JSON", KVTEL_JSON, BYTES(""), KVTEL_E_TRUNCATED, 0, 1, 1 },
    { "no bytes, MessagePack", KVTEL_MSGPACK, BYTES(""), KVTEL_E_TRUNCATED, 0, 0, 0 },
    { "not JSON", KVTEL_JSON, BYTES("{\"transfer_duration\": [1,\n x]}"), KVTEL_E_SYNTAX, 27, 2, 2 },
    { "JSON ends", KVTEL_JSON, BYTES("{\"transfer_duration\": [1, 2"), KVTEL_E_TRUNCATED, 27, 1, 28 },
    { "bytes after JSON", KVTEL_JSON, BYTES("{} {}"), KVTEL_E_TRAILING, 3, 1, 4 },
    { "NaN in JSON", KVTEL_JSON, BYTES("{\"transfer_duration\": [NaN]}"), KVTEL_E_SYNTAX, 23, 1, 24 },
    { "a list, JSON", KVTEL_JSON, BYTES("[1]"), KVTEL_E_TYPE, 0, 1, 1 },
    { "a number, MessagePack", KVTEL_MSGPACK, BYTES("\x05"), KVTEL_E_TYPE, 0, 0, 0 },
    { "MessagePack ends", KVTEL_MSGPACK, BYTES("\x82\xA1x\x90"), KVTEL_E_TRUNCATED, 4, 0, 0 },
    { "bytes after MessagePack", KVTEL_MSGPACK, BYTES("\x80\x80"), KVTEL_E_TRAILING, 1, 0, 0 },
    { "a list of 2^32 - 1 in 20 bytes", KVTEL_MSGPACK, BYTES("\x81\xB1transfer_duration\xDD\xFF\xFF\xFF\xFF"),
      KVTEL_E_TRUNCATED, 19, 0, 0 },
    { "a map of 2^32 - 1", KVTEL_MSGPACK, BYTES("\xDF\xFF\xFF\xFF\xFF\xA1x\x01"), KVTEL_E_TRUNCATED, 0, 0, 0 },
    { "a text of 2^32 - 1", KVTEL_MSGPACK, BYTES("\x81\xDB\xFF\xFF\xFF\xFFx"), KVTEL_E_TRUNCATED, 7, 0, 0 },
    { "an extension", KVTEL_MSGPACK, BYTES("\x81\xA1x\xD4\x01\x02"), KVTEL_E_TYPE, 3, 0, 0 },
    { "the byte that is never used", KVTEL_MSGPACK, BYTES("\xC1"), KVTEL_E_SYNTAX, 0, 0, 0 },
};

static void check_malformed(struct kvtel_stats *stats, const char *what, enum kvtel_format format, const char *bytes,
                            size_t size, const struct kvtel_error *wanted)
{
    struct kvtel_error error = { .status = KVTEL_OK };
    char *exact = malloc(size + 1); /* so that reading past the end is seen */
    memcpy(exact, bytes, size);
    exact = realloc(exact, size ? size : 1);
    char *before = json_of(stats);
    enum kvtel_status status = kvtel_stats_decode(stats, format, exact, size, &error);
    if (status != wanted->status || error.status != status || error.offset != wanted->offset ||
        error.line != wanted->line || error.column != wanted->column || error.message[0] == '\0')
        fail_msg("%s: status %d, byte %zu, %u:%u, %s", what, status, error.offset, error.line, error.column,
                 error.message);
    assert_int_equal(kvtel_stats_decode(stats, format, exact, size, NULL), status);
    check_payload(stats, before);
    free(before);
    free(exact);
}

static void test_malformed(void **state)
{
    (void)state;
    struct kvtel_stats *stats = stats_of("NixlConnector", "{\"transfer_duration\": [0.5]}");
    for (size_t i = 0; i < COUNT_OF(malformed); i++) {
        const struct kvtel_error wanted = { .status = malformed[i].status,
                                            .offset = malformed[i].offset,
                                            .line = malformed[i].line,
                                            .column = malformed[i].column };
        check_malformed(stats, malformed[i].what, malformed[i].format, malformed[i].bytes, malformed[i].size, &wanted);
    }
    kvtel_stats_destroy(stats);
}

static void test_ten_thousand_levels(void **state)
{
    (void)state;
    static char bytes[10000];
    struct kvtel_stats *stats = stats_of("NixlConnector", "{\"transfer_duration\": [0.5]}");
    memset(bytes, '[', sizeof(bytes));
    memcpy(bytes, "{\"a\":", 5);
    check_malformed(stats, "JSON", KVTEL_JSON, bytes, sizeof(bytes),
                    &(const struct kvtel_error){ .status = KVTEL_E_DEPTH, .offset = 36, .line = 1, .column = 37 });
    memset(bytes, 0x91, sizeof(bytes));
    memcpy(bytes, "\x81\xA1x", 3);
    check_malformed(stats, "MessagePack", KVTEL_MSGPACK, bytes, sizeof(bytes),
                    &(const struct kvtel_error){ .status = KVTEL_E_DEPTH, .offset = 34 });
    kvtel_stats_destroy(stats);
}

struct warnings {
    unsigned count;
    char last[512];
};

static void take_warning(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    struct warnings *warnings = context;
    (void)reason;
    (void)subject;
    warnings->count++;
    snprintf(warnings->last, sizeof(warnings->last), "%s", message);
}

static void test_said_once_counted_always(void **state)
{
    (void)state;
    struct warnings warnings = { 0 };
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(take_warning, &warnings);
    struct kvtel_stats *stats = make_stats("NixlConnector", diagnostics);
    static const char payload[] = "{\"no_such_key\": [1]}";
    for (int i = 0; i < 5; i++)
        assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload, sizeof(payload) - 1, NULL), KVTEL_OK);
    assert_int_equal(warnings.count, 1);
    assert_string_equal(warnings.last, "NixlConnector: \"no_such_key\" is not a field of this connector");
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY), 5);
    kvtel_stats_destroy(stats);
    kvtel_diagnostics_destroy(diagnostics);
}

static void test_nul_in_names(void **state)
{
    (void)state;
    static const char bytes[] = "\x82\xA3"
                                "a\0b\x90\xB1transfer_duration\x91\x01";
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    struct kvtel_stats *stats = make_stats("NixlConnector", diagnostics);
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_MSGPACK, bytes, sizeof(bytes) - 1, NULL), KVTEL_OK);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_UNKNOWN_KEY), 1);
    check_payload(stats, "{\"transfer_duration\": [1]}");
    kvtel_stats_destroy(stats);
    kvtel_diagnostics_destroy(diagnostics);
}

/* Only MessagePack can repeat a key: the last one counts, whatever kinds of numbers and lengths came before. */
static void test_repeated_keys(void **state)
{
    (void)state;
    struct kvtel_buffer payload = { 0 };
    struct kvtel_writer writer;
    struct kvtel_stats *stats = make_stats("NixlConnector", NULL);
    kvtel_writer_init(&writer, KVTEL_MSGPACK, &payload);
    kvtel_writer_map(&writer, 3);
    for (size_t i = 0; i < 3; i++) {
        size_t integers = i == 2 ? 200 : 1;
        kvtel_writer_text(&writer, "transfer_duration");
        kvtel_writer_array(&writer, integers + (i != 1));
        for (size_t k = 0; k < integers; k++)
            kvtel_writer_integer(&writer, 1);
        if (i != 1)
            kvtel_writer_number(&writer, 0.5);
    }
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_OK);
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_MSGPACK, payload.bytes, payload.size, NULL), KVTEL_OK);
    kvtel_buffer_free(&payload);
    char *bytes = json_of(stats);
    assert_int_equal(strlen(bytes), strlen("{\"transfer_duration\": [") + 200 * strlen("1, ") + strlen("0.5]}"));
    free(bytes);
    kvtel_stats_destroy(stats);

    static const char rows[] = "\x82\xA1p\x81\xA6"
                               "failed"
                               "\x01\xA1p\x81\xA9"
                               "submitted"
                               "\x02";
    stats = make_stats("UMBPStoreConnector", NULL);
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_MSGPACK, rows, sizeof(rows) - 1, NULL), KVTEL_OK);
    check_payload(stats, "{\"p\": {\"submitted\": 2}}");
    kvtel_stats_destroy(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_parts),       cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_ten_thousand_levels), cmocka_unit_test(test_said_once_counted_always),
        cmocka_unit_test(test_nul_in_names),        cmocka_unit_test(test_repeated_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
