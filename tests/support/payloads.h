/* SPDX-License-Identifier: Apache-2.0 */
/* Stats from payloads and back, for the tests. Include after cmocka.h. */
#ifndef KVTEL_TEST_PAYLOADS_H
#define KVTEL_TEST_PAYLOADS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "recording/recording.h"
#include <kvtel/stats.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MAYBE_UNUSED __attribute__((unused))

MAYBE_UNUSED static struct kvtel_stats *make_stats(const char *connector, struct kvtel_diagnostics *diagnostics)
{
    struct kvtel_stats *stats = kvtel_stats_create(kvtel_connector_find(connector), diagnostics);
    assert_non_null(stats);
    return stats;
}

/* Stats of a JSON payload. */
MAYBE_UNUSED static struct kvtel_stats *stats_of(const char *connector, const char *payload)
{
    struct kvtel_stats *stats = make_stats(connector, NULL);
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload, strlen(payload), NULL), KVTEL_OK);
    return stats;
}

/* The payload as JSON, owned by the caller. */
MAYBE_UNUSED static char *json_of(const struct kvtel_stats *stats)
{
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(kvtel_stats_encode(stats, KVTEL_JSON, &bytes, &size), KVTEL_OK);
    assert_int_equal(strlen(bytes), size);
    return bytes;
}

MAYBE_UNUSED static void check_payload(const struct kvtel_stats *stats, const char *expected)
{
    char *bytes = json_of(stats);
    assert_string_equal(bytes, expected);
    free(bytes);
}

MAYBE_UNUSED static void append_reduced(struct kvtel_writer *writer, const struct kvtel_reduced *reduced)
{
    kvtel_writer_map(writer, kvtel_reduced_count(reduced));
    for (size_t i = 0; i < kvtel_reduced_count(reduced); i++) {
        const struct kvtel_reduced_entry *entry = kvtel_reduced_at(reduced, i);
        kvtel_writer_text(writer, entry->key);
        if (entry->kind == KVTEL_REDUCED_DICT)
            append_reduced(writer, entry->dict);
        else if (entry->kind == KVTEL_REDUCED_INTEGER)
            kvtel_writer_integer(writer, entry->integer);
        else
            kvtel_writer_number(writer, entry->number);
    }
}

/* What reduce() says, as JSON: integers and doubles differ in it. For the caller to free. */
MAYBE_UNUSED static char *reduced_text(const struct kvtel_stats *stats)
{
    struct kvtel_reduced *reduced;
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_writer writer;
    assert_int_equal(kvtel_stats_reduce(stats, &reduced), KVTEL_OK);
    kvtel_writer_init(&writer, KVTEL_JSON, &buffer);
    append_reduced(&writer, reduced);
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append_byte(&buffer, '\0'), KVTEL_OK);
    kvtel_reduced_destroy(reduced);
    return buffer.bytes;
}

MAYBE_UNUSED static void check_reduced(const struct kvtel_stats *stats, const char *expected)
{
    char *text = reduced_text(stats);
    assert_string_equal(text, expected);
    free(text);
}

/* Writes a decoded object to the end of a buffer. */
MAYBE_UNUSED static void write_value(struct kvtel_buffer *buffer, enum kvtel_format format,
                                     const struct kvtel_value *value)
{
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, format, buffer);
    kvtel_writer_value(&writer, value);
    assert_int_equal(kvtel_writer_finish(&writer), KVTEL_OK);
}

/* The bytes of a JSON text in a format. */
MAYBE_UNUSED static void convert_json(struct kvtel_buffer *buffer, enum kvtel_format format, const char *json)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    assert_int_equal(kvtel_value_decode(KVTEL_JSON, json, strlen(json), &arena, &value, NULL), KVTEL_OK);
    write_value(buffer, format, &value);
    kvtel_arena_free(&arena);
}

/* A kvtel_read_fn. */
MAYBE_UNUSED static size_t read_stream(void *file, void *bytes, size_t size)
{
    return fread(bytes, 1, size, file);
}

/* Names of all golden cases. */
static const char *const golden_cases[] MAYBE_UNUSED = {
    "hf3fs",
    "hisparse",
    "hisparse_residency",
    "mooncake_basic",
    "mooncake_store",
    "mooncake_store_many",
    "mooncake_zero_time",
    "multi_nixl_offloading",
    "multi_same_class_twice",
    "nixl_basic",
    "nixl_bucket_edges",
    "nixl_empty",
    "nixl_failures_as_floats",
    "nixl_failures_only",
    "nixl_label_escapes",
    "nixl_many",
    "nixl_push",
    "nixl_ranks",
    "nixl_rounding_ties",
    "offloading_cpu",
    "offloading_info",
    "offloading_threshold",
    "offloading_tiering",
    "simple_cpu_offload",
    "umbp",
};

/* Reads a golden case; `take` gets each of its records but the last, the header first. The header's config is its to
 * destroy. */
MAYBE_UNUSED static void read_golden(const char *name, enum kvtel_format format, void *context,
                                     void (*take)(void *context, const struct kvtel_record *record))
{
    char path[512];
    snprintf(path, sizeof(path), KVTEL_TEST_DATA "/golden/%s.%s", name, format == KVTEL_JSON ? "jsonl" : "mp");
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s cannot be opened", path);
    struct kvtel_recording *recording = kvtel_recording_open(read_stream, file);
    struct kvtel_record record;
    assert_non_null(recording);
    while (kvtel_recording_next(recording, &record, NULL) == KVTEL_OK && record.kind != KVTEL_RECORD_END)
        take(context, &record);
    assert_int_equal(record.kind, KVTEL_RECORD_END);
    kvtel_recording_close(recording);
    fclose(file);
}

#endif
