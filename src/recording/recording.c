/* SPDX-License-Identifier: Apache-2.0 */
/* Reading recordings object by object. */
#include "recording/recording.h"

#include "base/error.h"
#include "recording/foreign.h"
#include "config/parse/transfer_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 1 << 16, ENGINE_LIMIT = 65536 };

struct kvtel_recording {
    kvtel_read_fn read;
    void *context;
    char *bytes; /* bytes [begin, end) are read and not used yet */
    size_t begin, end, capacity;
    size_t offset; /* place of bytes[begin] in the recording */
    uint32_t line; /* number of objects or lines returned so far */
    bool at_end, failed, started, has_header, broken;
    enum kvtel_format format;
    size_t object_limit, value_limit; /* limits of bytes and values of one object */
    struct kvtel_value value;         /* the object that was read last */
    struct kvtel_arena arena;
    uint32_t *engines;
};

struct kvtel_recording *kvtel_recording_open(kvtel_read_fn read, void *context)
{
    struct kvtel_recording *recording = calloc(1, sizeof *recording);
    if (recording) {
        recording->read = read;
        recording->context = context;
        recording->object_limit = KVTEL_RECORDING_OBJECT_LIMIT;
        recording->value_limit = KVTEL_VALUE_COUNT;
    }
    return recording;
}

void kvtel_recording_limit(struct kvtel_recording *recording, size_t bytes, size_t values)
{
    recording->object_limit = bytes;
    recording->value_limit = values;
}

void kvtel_recording_close(struct kvtel_recording *recording)
{
    if (!recording)
        return;
    free(recording->bytes);
    free(recording->engines);
    kvtel_arena_free(&recording->arena);
    free(recording);
}

enum kvtel_format kvtel_recording_format(const struct kvtel_recording *recording)
{
    return recording->format;
}

/* Reads more bytes. At the end of the input KVTEL_OK is returned and `at_end` is set. */
static enum kvtel_status fill(struct kvtel_recording *recording)
{
    if (recording->begin > 0) {
        memmove(recording->bytes, recording->bytes + recording->begin, recording->end - recording->begin);
        recording->end -= recording->begin;
        recording->begin = 0;
    }
    if (recording->end == recording->capacity) {
        size_t capacity = recording->capacity ? recording->capacity * 2 : FIRST_CAPACITY;
        if (capacity > recording->object_limit)
            return KVTEL_E_LIMIT;
        char *bytes = realloc(recording->bytes, capacity);
        if (!bytes)
            return KVTEL_E_NOMEM;
        recording->bytes = bytes;
        recording->capacity = capacity;
    }
    size_t got =
        recording->read(recording->context, recording->bytes + recording->end, recording->capacity - recording->end);
    recording->at_end = got == 0;
    recording->failed = got == SIZE_MAX;
    if (recording->failed)
        return KVTEL_E_IO;
    recording->end += got;
    return KVTEL_OK;
}

static void consume(struct kvtel_recording *recording, size_t size)
{
    recording->begin += size;
    recording->offset += size;
}

static bool is_blank(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

/* Skips the rest of a line that is too long, so that the next call finds the next line. */
static void skip_line(struct kvtel_recording *recording)
{
    for (;;) {
        const char *newline = memchr(recording->bytes + recording->begin, '\n', recording->end - recording->begin);
        if (newline) {
            consume(recording, (size_t)(newline + 1 - (recording->bytes + recording->begin)));
            return;
        }
        consume(recording, recording->end - recording->begin);
        if (recording->at_end || fill(recording) != KVTEL_OK)
            return;
    }
}

/* Finds the next line that is not blank: its text without the newline. KVTEL_OK with size 0: the end. */
static enum kvtel_status next_line(struct kvtel_recording *recording, const char **text, size_t *size)
{
    size_t searched = 0;
    for (;;) {
        const char *start = recording->bytes + recording->begin;
        size_t have = recording->end - recording->begin;
        const char *newline = have > searched ? memchr(start + searched, '\n', have - searched) : NULL;
        if (newline || (recording->at_end && have > 0)) {
            *text = start;
            *size = newline ? (size_t)(newline - start) : have;
            recording->line++;
            searched = 0;
            if (!is_blank(start, *size))
                return KVTEL_OK;
            consume(recording, *size + (newline != NULL));
            continue;
        }
        *size = 0;
        if (recording->at_end)
            return KVTEL_OK;
        searched = have;
        enum kvtel_status status = fill(recording);
        if (status != KVTEL_OK) {
            recording->line++;
            return status;
        }
    }
}

static enum kvtel_status fail_reading(const struct kvtel_recording *recording, struct kvtel_error *error,
                                      enum kvtel_status status, const char *what)
{
    if (status == KVTEL_E_LIMIT)
        return kvtel_fail(error, status, recording->offset, "%s is longer than %zu MiB", what,
                          recording->object_limit >> 20);
    return kvtel_fail(error, status, recording->offset, "%s", kvtel_status_text(status));
}

static enum kvtel_status decode_json(struct kvtel_recording *recording, struct kvtel_record *record,
                                     struct kvtel_value *value, struct kvtel_error *error)
{
    enum kvtel_status status = next_line(recording, &record->text, &record->size);
    record->offset = recording->offset;
    record->line = recording->line;
    if (status != KVTEL_OK) {
        fail_reading(recording, error, status, "a line");
        if (error)
            error->line = record->line, error->column = 1;
        if (status == KVTEL_E_LIMIT)
            skip_line(recording);
        return status;
    }
    if (record->size == 0)
        return KVTEL_OK;
    status = kvtel_value_decode_within(KVTEL_JSON, record->text, record->size, recording->value_limit,
                                       &recording->arena, value, error);
    bool has_end = record->size < recording->end - recording->begin;
    consume(recording, record->size + has_end);
    if (status != KVTEL_OK && error) {
        const char *hint = kvtel_recording_hint(status, record->text, record->size, error->offset, has_end);
        if (hint)
            snprintf(error->message, sizeof error->message, "%s", hint);
        error->offset += record->offset;
        error->line = record->line;
    }
    return status;
}

static enum kvtel_status decode_msgpack(struct kvtel_recording *recording, struct kvtel_record *record,
                                        struct kvtel_value *value, struct kvtel_error *error)
{
    size_t used = 0;
    struct kvtel_error cause; /* error of an attempt that may succeed with more bytes */
    enum kvtel_status status = KVTEL_OK;
    record->offset = recording->offset;
    record->line = ++recording->line;
    record->size = 0;
    for (;;) {
        if (recording->end > recording->begin) {
            kvtel_arena_reset(&recording->arena);
            status = kvtel_value_decode_next(recording->bytes + recording->begin, recording->end - recording->begin,
                                             recording->value_limit, &used, &recording->arena, value, &cause);
            if (status != KVTEL_E_TRUNCATED || recording->at_end)
                break;
        } else if (recording->at_end) {
            return KVTEL_OK;
        }
        /* Reads until there is twice as much before the next attempt, so that a large object is not decoded after
         * each read. */
        size_t wanted = (recording->end - recording->begin) * 2;
        enum kvtel_status filled = KVTEL_OK;
        do
            filled = fill(recording);
        while (filled == KVTEL_OK && !recording->at_end && recording->end - recording->begin < wanted);
        if (filled != KVTEL_OK) {
            recording->broken = true;
            return fail_reading(recording, error, filled, "an object");
        }
    }
    if (status != KVTEL_OK) {
        recording->broken = true; /* the start of the next object is not known */
        if (error) {
            *error = cause;
            error->offset += record->offset;
        }
        return status;
    }
    record->size = used;
    consume(recording, used);
    return KVTEL_OK;
}

/* Adds the place to an error about a member of the object; for JSON also line and column. */
static void place(const struct kvtel_record *record, struct kvtel_error *error, const struct kvtel_value_step *path,
                  size_t depth)
{
    if (!error)
        return;
    error->offset = record->offset;
    if (!record->text)
        return;
    size_t at = kvtel_value_locate(record->text, record->size, path, depth);
    error->offset += at;
    error->line = record->line;
    error->column = (uint32_t)at + 1;
}

static enum kvtel_status fail_at(const struct kvtel_record *record, struct kvtel_error *error, enum kvtel_status status,
                                 const char *key, const char *message)
{
    const struct kvtel_value_step path = { .key = key };
    kvtel_fail(error, status, 0, "%s", message);
    place(record, error, &path, key ? 1 : 0);
    return status;
}

static enum kvtel_status read_engines(struct kvtel_recording *recording, const struct kvtel_value *list,
                                      struct kvtel_record *record, struct kvtel_error *error)
{
    if (!list || list->kind != KVTEL_VALUE_ARRAY || list->size > ENGINE_LIMIT)
        return fail_at(record, error, KVTEL_E_TYPE, "engines",
                       "\"engines\" must be a list of at most 65,536 engine numbers");
    uint32_t *engines = realloc(recording->engines, ((size_t)list->size + 1) * sizeof *engines);
    if (!engines)
        return fail_at(record, error, KVTEL_E_NOMEM, NULL, kvtel_status_text(KVTEL_E_NOMEM));
    recording->engines = engines;
    for (uint32_t i = 0; i < list->size; i++) {
        const struct kvtel_value *engine = &list->items[i];
        if (engine->kind != KVTEL_VALUE_INTEGER || engine->integer < 0 || engine->integer > UINT32_MAX)
            return fail_at(record, error, KVTEL_E_TYPE, "engines", "an engine is not a whole number from 0");
        engines[i] = (uint32_t)engine->integer;
    }
    record->engines = engines;
    record->engine_count = list->size;
    return KVTEL_OK;
}

/* Reads a member that must be a text of bounded length. `*text` is unchanged if the member is missing. */
static enum kvtel_status read_text(const struct kvtel_value *map, const char *key, const struct kvtel_record *record,
                                   const char **text, struct kvtel_error *error)
{
    const struct kvtel_value *value = kvtel_value_get(map, key);
    if (!value)
        return KVTEL_OK;
    const char *fault = value->kind == KVTEL_VALUE_STRING ? kvtel_value_text_fault(value) : "is not a text";
    *text = value->text;
    if (!fault)
        return KVTEL_OK;
    char message[96];
    snprintf(message, sizeof message, "\"%s\" %s", key, fault);
    return fail_at(record, error, KVTEL_E_TYPE, key, message);
}

static enum kvtel_status read_version(const struct kvtel_value *version, const struct kvtel_record *record,
                                      struct kvtel_error *error)
{
    char message[96];
    if (version->kind == KVTEL_VALUE_INTEGER && version->integer == KVTEL_RECORDING_VERSION)
        return KVTEL_OK;
    if (version->kind == KVTEL_VALUE_INTEGER)
        snprintf(message, sizeof message, "the recording is of version %" PRId64 "; this kvtel reads version %d",
                 version->integer, KVTEL_RECORDING_VERSION);
    else
        snprintf(message, sizeof message,
                 "\"kvtel\", the version, must be the whole number %d, without a fraction or quotes",
                 KVTEL_RECORDING_VERSION);
    return fail_at(record, error, KVTEL_E_FORMAT, "kvtel", message);
}

/* A source whose number is too high would never begin anew again. In 1e11 seconds it is the year 5138. */
static const double STARTED_LIMIT = 1e11;

static enum kvtel_status read_header(struct kvtel_recording *recording, const struct kvtel_value *map,
                                     struct kvtel_record *record, struct kvtel_error *error)
{
    const struct kvtel_value *config = kvtel_value_get(map, "kv_transfer_config"),
                             *started = kvtel_value_get(map, "started");
    const struct kvtel_value *cache_metrics = kvtel_value_get(map, "kv_cache_metrics");
    enum kvtel_status status = read_version(kvtel_value_get(map, "kvtel"), record, error);
    record->model_name = "";
    if (status == KVTEL_OK)
        status = read_text(map, "model_name", record, &record->model_name, error);
    if (status == KVTEL_OK)
        status = read_text(map, "source", record, &record->source, error);
    if (status != KVTEL_OK)
        return status;
    if (started &&
        (!kvtel_value_number(started, &record->started) || !(record->started > 0 && record->started <= STARTED_LIMIT)))
        return fail_at(record, error, KVTEL_E_TYPE, "started",
                       "\"started\" is not a number of seconds above 0 and up to 1e11: milliseconds are past that");
    if (cache_metrics && cache_metrics->kind != KVTEL_VALUE_BOOL)
        return fail_at(record, error, KVTEL_E_TYPE, "kv_cache_metrics",
                       "\"kv_cache_metrics\" is neither true nor false");
    if (!config)
        return fail_at(record, error, KVTEL_E_TYPE, NULL, "the header has no \"kv_transfer_config\"");
    status = read_engines(recording, kvtel_value_get(map, "engines"), record, error);
    if (status != KVTEL_OK)
        return status;
    struct kvtel_value_path path = { .steps = { { .key = "kv_transfer_config" } }, .depth = 1 };
    status = kvtel_transfer_config_from_value(config, &path, &record->config, error);
    if (status != KVTEL_OK) {
        place(record, error, path.steps, path.depth);
        return status;
    }
    kvtel_transfer_config_set_cache_metrics(record->config, cache_metrics && cache_metrics->integer);
    record->kind = KVTEL_RECORD_HEADER;
    recording->has_header = true;
    return KVTEL_OK;
}

static enum kvtel_status read_payloads(const struct kvtel_value *map, struct kvtel_record *record,
                                       struct kvtel_error *error)
{
    const struct kvtel_value *engine = kvtel_value_get(map, "engine"), *payload = kvtel_value_get(map, "payload");
    const struct kvtel_value *workers = kvtel_value_get(map, "workers"), *ts = kvtel_value_get(map, "ts");
    const struct kvtel_value *sequence = kvtel_value_get(map, "seq");
    if (!engine && !payload && !workers)
        return fail_at(record, error, KVTEL_E_TYPE, NULL,
                       "an object is a header (\"kvtel\"), payloads (\"engine\" and \"payload\" or \"workers\"), or "
                       "{\"log\": true}");
    if (!engine || engine->kind != KVTEL_VALUE_INTEGER || engine->integer < 0 || engine->integer > UINT32_MAX)
        return fail_at(record, error, KVTEL_E_TYPE, engine ? "engine" : NULL,
                       "\"engine\" is not a whole number from 0");
    if ((payload != NULL) == (workers != NULL))
        return fail_at(record, error, KVTEL_E_TYPE, NULL, "an object has \"payload\" or \"workers\", one of the two");
    if (workers && workers->kind != KVTEL_VALUE_ARRAY)
        return fail_at(record, error, KVTEL_E_TYPE, "workers", "\"workers\" is not a list of payloads");
    if (ts && !kvtel_value_number(ts, &record->timestamp))
        return fail_at(record, error, KVTEL_E_TYPE, "ts", "\"ts\" is not a number of seconds");
    if (sequence && (sequence->kind != KVTEL_VALUE_INTEGER || sequence->integer < 0 ||
                     sequence->integer > KVTEL_RECORDING_SEQUENCE_LIMIT))
        return fail_at(record, error, KVTEL_E_TYPE, "seq",
                       "\"seq\" is not a whole number from 0 to 9,000,000,000,000,000,000");
    record->kind = KVTEL_RECORD_PAYLOADS;
    record->engine = (uint32_t)engine->integer;
    record->payloads = workers ? workers->items : payload;
    record->payload_count = workers ? workers->size : 1;
    record->from_workers = workers != NULL;
    record->sequence = sequence ? sequence->integer : -1;
    return KVTEL_OK;
}

static enum kvtel_status read_object(struct kvtel_recording *recording, const struct kvtel_value *value,
                                     struct kvtel_record *record, struct kvtel_error *error)
{
    if (value->kind != KVTEL_VALUE_MAP)
        return fail_at(record, error, KVTEL_E_TYPE, NULL, "an object of a recording is a map");
    if (kvtel_value_get(value, "kvtel")) {
        recording->has_header = false; /* objects after an invalid header do not belong to the header before */
        return read_header(recording, value, record, error);
    }
    if (!recording->has_header)
        return fail_at(record, error, KVTEL_E_UNKNOWN, NULL,
                       "a header must come first, and be right: {\"kvtel\": 1, \"kv_transfer_config\": ...}");
    const struct kvtel_value *log = kvtel_value_get(value, "log");
    if (log && log->kind == KVTEL_VALUE_BOOL && log->integer) {
        record->kind = KVTEL_RECORD_LOG;
        return KVTEL_OK;
    }
    return read_payloads(value, record, error);
}

/* Whether the byte begins a map or an array in MessagePack. No JSON text begins with such a byte. An array is no
 * recording; it is refused as what it is. */
static bool begins_msgpack(unsigned char byte)
{
    return (byte >= 0x80 && byte <= 0x9f) || (byte >= 0xdc && byte <= 0xdf);
}

static enum kvtel_status start(struct kvtel_recording *recording, struct kvtel_error *error)
{
    while (!recording->at_end && recording->end < KVTEL_FOREIGN_BYTES) {
        enum kvtel_status status = fill(recording);
        if (status != KVTEL_OK)
            return kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    }
    recording->started = true;
    const char *foreign = recording->end > 0 ? kvtel_recording_foreign(recording->bytes, recording->end) : NULL;
    if (foreign) {
        recording->broken = true;
        return kvtel_fail(error, KVTEL_E_FORMAT, 0, "%s", foreign);
    }
    recording->format =
        recording->end > 0 && begins_msgpack((unsigned char)recording->bytes[0]) ? KVTEL_MSGPACK : KVTEL_JSON;
    return KVTEL_OK;
}

enum kvtel_status kvtel_recording_next(struct kvtel_recording *recording, struct kvtel_record *record,
                                       struct kvtel_error *error)
{
    struct kvtel_value *value = &recording->value;
    *value = (struct kvtel_value){ 0 };
    memset(record, 0, sizeof *record);
    record->sequence = -1;
    if (recording->broken || recording->failed)
        return KVTEL_OK;
    enum kvtel_status status = recording->started ? KVTEL_OK : start(recording, error);
    if (status != KVTEL_OK)
        return status;
    kvtel_arena_reset(&recording->arena);
    status = recording->format == KVTEL_JSON ? decode_json(recording, record, value, error)
                                             : decode_msgpack(recording, record, value, error);
    if (status != KVTEL_OK || record->size == 0)
        return status;
    record->object = value;
    return read_object(recording, value, record, error);
}
