/* SPDX-License-Identifier: Apache-2.0 */
/* Reading recordings: both encodings in pieces of any size, every kind of object, and the places of errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "recording/session.h"
#include "support/payloads.h"
#include <kvtel/store.h>

/* Bytes that come `step` at a time; reading fails at `fail_at`. */
struct source {
    const char *bytes;
    size_t size, at, step, fail_at;
};

static size_t read_source(void *context, void *bytes, size_t size)
{
    struct source *source = context;
    size_t n = source->size - source->at;
    if (source->fail_at > 0 && source->at >= source->fail_at)
        return SIZE_MAX;
    n = n < source->step ? n : source->step;
    n = n < size ? n : size;
    memcpy(bytes, source->bytes + source->at, n);
    source->at += n;
    return n;
}

#define HEADER                                                                                              \
    "{\"kvtel\": 1, \"kv_transfer_config\": {\"kv_connector\": \"NixlConnector\"}, \"model_name\": \"m\", " \
    "\"engines\": [0, 3]}"
#define PAYLOAD "{\"engine\": 3, \"payload\": {\"transfer_duration\": [1]}, \"ts\": 12.5, \"seq\": 7}"
#define WORKERS "{\"engine\": 0, \"workers\": [{}, {\"num_failed_transfers\": [1]}]}"
#define LOG "{\"log\": true}"

/* What was read, in short: h header, p payload, w workers, l log; ! a mistake. */
static void read_all(const char *bytes, size_t size, size_t step, char *kinds, struct kvtel_error *errors)
{
    struct source source = { .bytes = bytes, .size = size, .step = step };
    struct kvtel_recording *recording = kvtel_recording_open(read_source, &source);
    assert_non_null(recording);
    for (int i = 0; i < 100; i++) {
        struct kvtel_record record;
        struct kvtel_error error = { .status = KVTEL_OK };
        enum kvtel_status status = kvtel_recording_next(recording, &record, &error);
        assert_int_equal(status, error.status);
        if (status == KVTEL_OK && record.kind == KVTEL_RECORD_END)
            break;
        *kinds++ = "?hpl"[record.kind];
        if (status != KVTEL_OK) {
            kinds[-1] = '!';
            assert_true(error.message[0] != '\0');
            if (errors)
                *errors++ = error;
        } else if (record.kind == KVTEL_RECORD_HEADER) {
            assert_string_equal(kvtel_transfer_config_connector_name(record.config), "NixlConnector");
            assert_string_equal(record.model_name, "m");
            assert_int_equal(record.engine_count, 2);
            assert_int_equal(record.engines[1], 3);
            kvtel_transfer_config_destroy(record.config);
        } else if (record.kind == KVTEL_RECORD_PAYLOADS && record.from_workers) {
            kinds[-1] = 'w';
            assert_int_equal(record.payload_count, 2);
            assert_int_equal(record.sequence, -1);
            assert_true(record.engine == 0 && record.timestamp == 0);
        } else if (record.kind == KVTEL_RECORD_PAYLOADS) {
            assert_int_equal(record.payload_count, 1);
            assert_int_equal(record.sequence, 7);
            assert_true(record.engine == 3 && record.timestamp == 12.5);
            assert_non_null(kvtel_value_get(&record.payloads[0], "transfer_duration"));
        }
    }
    *kinds = '\0';
    kvtel_recording_close(recording);
}

/* The objects of some JSON Lines as MessagePack one after the other. */
static void to_msgpack(struct kvtel_buffer *buffer, const char *lines)
{
    while (*lines) {
        size_t size = strcspn(lines, "\n");
        char *line = strndup(lines, size);
        if (strspn(line, " \t\r") != size)
            convert_json(buffer, KVTEL_MSGPACK, line);
        free(line);
        lines += size + (lines[size] == '\n');
    }
}

static void test_good_recordings(void **state)
{
    (void)state;
    static const struct {
        const char *what, *lines, *kinds;
    } rows[] = {
        { "each kind", HEADER "\n" PAYLOAD "\n" WORKERS "\n" LOG "\n", "hpwl" },
        { "no newline at the end", HEADER "\n" PAYLOAD, "hp" },
        { "a header alone", HEADER, "h" },
        { "blank lines", "\n \n" HEADER "\n\n\t\n" PAYLOAD "\n\n", "hp" },
        { "carriage returns", HEADER "\r\n" PAYLOAD "\r\n\r\n" LOG "\r\n", "hpl" },
        { "white space around", "  " HEADER " \n\t" PAYLOAD "\t\n", "hp" },
        { "a second header starts anew", HEADER "\n" PAYLOAD "\n" HEADER "\n" PAYLOAD "\n", "hphp" },
        { "keys that nobody knows",
          HEADER "\n{\"engine\": 3, \"payload\": {\"transfer_duration\": [1]}, \"ts\": 12.5, \"seq\": 7, "
                 "\"x\": 1}",
          "hp" },
    };
    static const size_t steps[] = { 1, 2, 7, 64, SIZE_MAX };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_buffer packed = { 0 };
        to_msgpack(&packed, rows[i].lines);
        for (size_t s = 0; s < COUNT_OF(steps); s++) {
            char kinds[32];
            read_all(rows[i].lines, strlen(rows[i].lines), steps[s], kinds, NULL);
            if (strcmp(kinds, rows[i].kinds) != 0)
                fail_msg("%s: %s", rows[i].what, kinds);
            read_all(packed.bytes, packed.size, steps[s], kinds, NULL);
            if (strcmp(kinds, rows[i].kinds) != 0)
                fail_msg("%s, MessagePack: %s", rows[i].what, kinds);
        }
        kvtel_buffer_free(&packed);
    }
}

/* The place is of the first line that is wrong; the lines after it are read. */
static void test_bad_lines(void **state)
{
    (void)state;
    static const struct {
        const char *what, *lines, *kinds;
        enum kvtel_status status;
        uint32_t line, column;
    } rows[] = {
        { "no header", PAYLOAD "\n" HEADER "\n" PAYLOAD, "!hp", KVTEL_E_UNKNOWN, 1, 1 },
        { "a mark before the header", LOG "\n" HEADER, "!h", KVTEL_E_UNKNOWN, 1, 1 },
        { "another version", "{\"kvtel\": 2}\n" HEADER, "!h", KVTEL_E_FORMAT, 1, 2 },
        { "a version that is no number", "{\"kvtel\": \"1\"}", "!", KVTEL_E_FORMAT, 1, 2 },
        { "a header without a configuration", "{\"kvtel\": 1, \"engines\": [0]}", "!", KVTEL_E_TYPE, 1, 1 },
        { "a configuration without a connector", "{\"kvtel\": 1, \"kv_transfer_config\": {}, \"engines\": [0]}", "!",
          KVTEL_E_TYPE, 1, 14 },
        { "engines that are none",
          "{\"kvtel\": 1, \"kv_transfer_config\": {\"kv_connector\": \"x\"}, \"engines\": [0, -1]}", "!", KVTEL_E_TYPE,
          1, 59 },
        { "engines that are no list",
          "{\"kvtel\": 1, \"kv_transfer_config\": {\"kv_connector\": \"x\"}, \"engines\": 2}", "!", KVTEL_E_TYPE, 1,
          59 },
        { "no engines", "{\"kvtel\": 1, \"kv_transfer_config\": {\"kv_connector\": \"x\"}}", "!", KVTEL_E_TYPE, 1, 1 },
        { "a model's name that is none",
          "{\"kvtel\": 1, \"model_name\": 3, \"kv_transfer_config\": {\"kv_connector\": \"x\"}}", "!", KVTEL_E_TYPE, 1,
          14 },
        { "a second header that is wrong",
          HEADER "\n" PAYLOAD "\n{\"kvtel\": 2}\n" PAYLOAD "\n" HEADER "\n" PAYLOAD "\n", "hp!!hp", KVTEL_E_FORMAT, 3,
          2 },
        { "malformed", HEADER "\n{\"engine\": 3, \"payload\": {]}}\n" PAYLOAD "\n", "h!p", KVTEL_E_SYNTAX, 2, 27 },
        { "cut off", HEADER "\n\n{\"engine\": 3, \"payload\"", "h!", KVTEL_E_TRUNCATED, 3, 24 },
        { "something behind", HEADER "\n" PAYLOAD " x\n" PAYLOAD "\n", "h!p", KVTEL_E_TRAILING, 2, 76 },
        { "no object", HEADER "\n[1]\n3\nnull\n" PAYLOAD "\n", "h!!!p", KVTEL_E_TYPE, 2, 1 },
        { "an engine that is no number", HEADER "\n{\"engine\": \"3\", \"payload\": {}}", "h!", KVTEL_E_TYPE, 2, 2 },
        { "an engine below zero", HEADER "\n{\"engine\": -3, \"payload\": {}}", "h!", KVTEL_E_TYPE, 2, 2 },
        { "half an engine", HEADER "\n{\"engine\": 0.5, \"payload\": {}}", "h!", KVTEL_E_TYPE, 2, 2 },
        { "no engine", HEADER "\n{\"payload\": {}}", "h!", KVTEL_E_TYPE, 2, 1 },
        { "both", HEADER "\n{\"engine\": 0, \"payload\": {}, \"workers\": [{}]}", "h!", KVTEL_E_TYPE, 2, 1 },
        { "neither", HEADER "\n{\"engine\": 0}", "h!", KVTEL_E_TYPE, 2, 1 },
        { "workers that are no list", HEADER "\n{\"engine\": 0, \"workers\": {}}", "h!", KVTEL_E_TYPE, 2, 15 },
        { "a time that is none", HEADER "\n{\"engine\": 0, \"payload\": {}, \"ts\": \"noon\"}", "h!", KVTEL_E_TYPE, 2,
          30 },
        { "a number in a row that is none", HEADER "\n{\"engine\": 0, \"payload\": {}, \"seq\": 1.5}", "h!",
          KVTEL_E_TYPE, 2, 30 },
        { "false is no mark", HEADER "\n{\"log\": false}", "h!", KVTEL_E_TYPE, 2, 1 },
        { "too deep",
          HEADER
          "\n{\"a\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}\n" PAYLOAD,
          "h!p", KVTEL_E_DEPTH, 2, 38 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 1; step <= 1000; step += 999) {
            char kinds[32];
            struct kvtel_error errors[8];
            read_all(rows[i].lines, strlen(rows[i].lines), step, kinds, errors);
            if (strcmp(kinds, rows[i].kinds) != 0)
                fail_msg("%s: %s", rows[i].what, kinds);
            if (errors[0].status != rows[i].status || errors[0].line != rows[i].line ||
                errors[0].column != rows[i].column)
                fail_msg("%s: status %d at %u:%u: %s", rows[i].what, errors[0].status, errors[0].line, errors[0].column,
                         errors[0].message);
            /* the offset says the same */
            size_t start = 0;
            for (uint32_t line = 1; line < errors[0].line; line++)
                start += strcspn(rows[i].lines + start, "\n") + 1;
            assert_int_equal(errors[0].offset, start + errors[0].column - 1);
        }
    }
}

/* In MessagePack nobody knows where the next object begins after one that is malformed; one that is only wrong is
 * passed over. */
static void test_bad_objects(void **state)
{
    (void)state;
    struct kvtel_buffer good = { 0 }, bytes = { 0 };
    to_msgpack(&good, HEADER "\n" PAYLOAD "\n");
    static const struct {
        const char *what, *tail, *kinds;
        size_t size;
        enum kvtel_status status;
        size_t offset; /* from the end of what is good */
    } rows[] = {
        { "in mid-object",
          "\x82\xA6"
          "engine\x03",
          "hp!", 9, KVTEL_E_TRUNCATED, 9 },
        { "a byte that is none", "\xC1\x80", "hp!", 2, KVTEL_E_SYNTAX, 0 },
        { "an extension", "\x81\xA1x\xD4\x01\x02\x81", "hp!", 7, KVTEL_E_TYPE, 3 },
        { "a list of 2^32 - 1", "\xDD\xFF\xFF\xFF\xFF", "hp!", 5, KVTEL_E_TRUNCATED, 0 },
        { "no object of a recording, then a good one", "\x90\x81\xA3log\xC3", "hp!l", 7, KVTEL_E_TYPE, 0 },
        { "a number between", "\x05\x81\xA3log\xC3", "hp!l", 7, KVTEL_E_TYPE, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t step = 1; step <= 1000; step += 333) {
            char kinds[32];
            struct kvtel_error errors[8];
            bytes.size = 0;
            assert_int_equal(kvtel_buffer_append(&bytes, good.bytes, good.size), KVTEL_OK);
            assert_int_equal(kvtel_buffer_append(&bytes, rows[i].tail, rows[i].size), KVTEL_OK);
            read_all(bytes.bytes, bytes.size, step, kinds, errors);
            if (strcmp(kinds, rows[i].kinds) != 0)
                fail_msg("%s: %s", rows[i].what, kinds);
            if (errors[0].status != rows[i].status || errors[0].offset != good.size + rows[i].offset ||
                errors[0].line != 0)
                fail_msg("%s: status %d at byte %zu of %zu, line %u", rows[i].what, errors[0].status, errors[0].offset,
                         good.size, errors[0].line);
        }
    }
    kvtel_buffer_free(&good);
    kvtel_buffer_free(&bytes);
}

static void test_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "\n", " \r\n\t\n" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char kinds[8];
        read_all(texts[i], strlen(texts[i]), 1, kinds, NULL);
        assert_string_equal(kinds, "");
    }
    kvtel_recording_close(NULL);
}

static void test_reading_fails(void **state)
{
    (void)state;
    static const char text[] = HEADER "\n" PAYLOAD "\n";
    for (size_t at = 1; at < sizeof(text) - 1; at += 13) {
        struct source source = { .bytes = text, .size = sizeof(text) - 1, .step = 5, .fail_at = at };
        struct kvtel_recording *recording = kvtel_recording_open(read_source, &source);
        struct kvtel_record record;
        struct kvtel_error error = { .status = KVTEL_OK };
        enum kvtel_status status;
        while ((status = kvtel_recording_next(recording, &record, &error)) == KVTEL_OK &&
               record.kind != KVTEL_RECORD_END)
            if (record.kind == KVTEL_RECORD_HEADER)
                kvtel_transfer_config_destroy(record.config);
        assert_int_equal(status, KVTEL_E_IO);
        assert_int_equal(error.status, KVTEL_E_IO);
        assert_int_equal(kvtel_recording_next(recording, &record, NULL), KVTEL_OK);
        assert_int_equal(record.kind, KVTEL_RECORD_END);
        kvtel_recording_close(recording);
    }
}

/* A line without end, made as it is read. */
struct endless {
    size_t left;
    bool behind;
};

static size_t read_endless(void *context, void *bytes, size_t size)
{
    struct endless *endless = context;
    static const char next[] = "\n" HEADER "\n";
    if (endless->left == 0) {
        size_t n = endless->behind ? 0 : sizeof(next) - 1;
        memcpy(bytes, next, n);
        endless->behind = true;
        return n;
    }
    size_t n = size < endless->left ? size : endless->left;
    memset(bytes, '[', n);
    endless->left -= n;
    return n;
}

static void test_line_past_the_limit(void **state)
{
    (void)state;
    struct endless endless = { .left = KVTEL_RECORDING_OBJECT_LIMIT + 1000 };
    struct kvtel_recording *recording = kvtel_recording_open(read_endless, &endless);
    struct kvtel_record record;
    struct kvtel_error error = { .status = KVTEL_OK };
    assert_int_equal(kvtel_recording_next(recording, &record, &error), KVTEL_E_LIMIT);
    assert_true(error.line == 1 && error.offset == 0);
    assert_int_equal(kvtel_recording_next(recording, &record, &error), KVTEL_OK);
    assert_int_equal(record.kind, KVTEL_RECORD_HEADER);
    assert_int_equal(record.line, 2);
    kvtel_transfer_config_destroy(record.config);
    kvtel_recording_close(recording);
}

static void take_line(void *context, const char *line)
{
    (void)line;
    ++*(unsigned *)context;
}

/* A session over all payloads of a golden case gives its metrics and its lines; what it cannot use it counts. */
static void test_session(void **state)
{
    (void)state;
    static const char text[] = HEADER "\n" PAYLOAD "\n" WORKERS "\n" LOG "\n"
                                      "{\"engine\": 1, \"payload\": {}}\n{\"engine\": 0, \"payload\": [1]}\n"
                                      "{\"engine\": 0, \"workers\": [3, {\"num_kv_expired_reqs\": [1]}]}\n"
                                      "{\"engine\": 0, \"workers\": []}\n" LOG "\n" LOG "\n";
    struct source source = { .bytes = text, .size = sizeof(text) - 1, .step = 100 };
    struct kvtel_recording *recording = kvtel_recording_open(read_source, &source);
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    struct kvtel_metric_types types;
    struct kvtel_session *session = NULL;
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
    struct kvtel_record record;
    unsigned lines = 0, used = 0;
    while (kvtel_recording_next(recording, &record, NULL) == KVTEL_OK && record.kind != KVTEL_RECORD_END) {
        const struct kvtel_stats *stats = NULL;
        if (record.kind == KVTEL_RECORD_HEADER)
            assert_int_equal(kvtel_session_create(&record, &types, KVTEL_LOG_VLLM, diagnostics, &session), KVTEL_OK);
        else if (record.kind == KVTEL_RECORD_LOG)
            assert_int_equal(kvtel_session_log(session, take_line, &lines), KVTEL_OK);
        else
            assert_int_equal(kvtel_session_observe(session, &record, &stats), KVTEL_OK);
        used += stats != NULL;
    }
    assert_int_equal(lines, 2);
    assert_int_equal(used, 3);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_UNKNOWN_ENGINE), 1);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_WRONG_TYPE), 2);
    assert_string_equal(kvtel_session_connector_name(session), "NixlConnector");
    assert_ptr_equal(kvtel_session_connector(session), kvtel_connector_find("NixlConnector"));
    kvtel_session_destroy(session);
    kvtel_session_destroy(NULL);
    kvtel_recording_close(recording);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_store_close(store);
}

/* What cannot be in the interval's line is exported all the same, and no error. */
static void test_session_beyond_the_log(void **state)
{
    (void)state;
    enum { ENGINES = 4100 };
#define OFFLOADING "{\"kvtel\": 1, \"kv_transfer_config\": {\"kv_connector\": \"OffloadingConnector\"}, \"engines\": ["
    static const char older[] = "{\"engine\": 0, \"payload\": {\"CPU_to_GPU\": [{\"op_size\": 8, \"op_time\": 1}]}}\n";
    static const char newer[] =
        "{\"engine\": 0, \"payload\": {\"types\": {\"vllm:kv_offload_load_bytes\": \"counter\"}, "
        "\"data\": {\"vllm:kv_offload_load_bytes\": {\"[]\": 5}}}}\n";
    struct kvtel_buffer text = { 0 };
    assert_int_equal(kvtel_buffer_append_text(&text, OFFLOADING "0"), KVTEL_OK);
    for (int i = 1; i < ENGINES; i++)
        assert_int_equal(kvtel_buffer_printf(&text, ", %d", i), KVTEL_OK);
    assert_int_equal(kvtel_buffer_printf(&text, "]}\n%s%s", older, newer), KVTEL_OK);
    for (int i = 1; i < ENGINES; i++)
        assert_int_equal(kvtel_buffer_printf(&text, "{\"engine\": %d, \"payload\": {}}\n", i), KVTEL_OK);
    struct source source = { .bytes = text.bytes, .size = text.size, .step = 10000 };
    struct kvtel_recording *recording = kvtel_recording_open(read_source, &source);
    struct kvtel_store *store = kvtel_store_create(NULL);
    struct kvtel_diagnostics *diagnostics = kvtel_diagnostics_create(NULL, NULL);
    struct kvtel_metric_types types;
    struct kvtel_session *session;
    struct kvtel_record record;
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
    assert_int_equal(kvtel_recording_next(recording, &record, NULL), KVTEL_OK);
    assert_int_equal(kvtel_session_create(&record, &types, KVTEL_LOG_DEFAULT, diagnostics, &session), KVTEL_OK);
    while (kvtel_recording_next(recording, &record, NULL) == KVTEL_OK && record.kind != KVTEL_RECORD_END) {
        const struct kvtel_stats *stats;
        assert_int_equal(kvtel_session_observe(session, &record, &stats), KVTEL_OK);
        assert_non_null(stats);
    }
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_WRONG_TYPE), 1);
    assert_int_equal(kvtel_diagnostics_count(diagnostics, KVTEL_REFUSED_SERIES_LIMIT), ENGINES - 4096);
    kvtel_session_destroy(session);
    kvtel_recording_close(recording);
    kvtel_diagnostics_destroy(diagnostics);
    kvtel_store_close(store);
    kvtel_buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_recordings), cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_bad_objects),     cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_reading_fails),   cmocka_unit_test(test_line_past_the_limit),
        cmocka_unit_test(test_session),         cmocka_unit_test(test_session_beyond_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
