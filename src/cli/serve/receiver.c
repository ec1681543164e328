/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/v1/stats. */
#include "cli/serve/receiver.h"

#include "base/buffer.h"
#include "base/error.h"
#include "cli/serve/gzip.h"
#include "recording/session.h"
#include "stats/stats.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* What a compressed body may become; and sources whose last sequence number is remembered, the longest silent one makes room. */
enum { INFLATED_LIMIT = 128 << 20, SOURCE_LIMIT = 4096, SOURCE_SIZE = 128 };

struct source {
    char name[SOURCE_SIZE];
    int64_t sequence; /* of the last payload that was counted */
    uint64_t used;
};

struct receiver {
    struct kvtel_metric_types types;
    struct kvtel_diagnostics *diagnostics;
    pthread_mutex_t lock;
    struct source *sources;
    size_t source_count;
    uint64_t uses;
    struct receiver_counts counts;
};

struct receiver *receiver_create(struct kvtel_store *store, struct kvtel_diagnostics *diagnostics)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);
    if (!receiver || kvtel_store_metric_types(store, &receiver->types) != KVTEL_OK) {
        free(receiver);
        return NULL;
    }
    receiver->diagnostics = diagnostics;
    pthread_mutex_init(&receiver->lock, NULL);
    return receiver;
}

void receiver_destroy(struct receiver *receiver)
{
    if (!receiver)
        return;
    pthread_mutex_destroy(&receiver->lock);
    free(receiver->sources);
    free(receiver);
}

struct receiver_counts receiver_counts(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    struct receiver_counts counts = receiver->counts;
    pthread_mutex_unlock(&receiver->lock);
    return counts;
}

uint64_t receiver_refused(struct receiver *receiver, enum kvtel_refusal reason)
{
    pthread_mutex_lock(&receiver->lock);
    uint64_t count = kvtel_diagnostics_count(receiver->diagnostics, reason);
    pthread_mutex_unlock(&receiver->lock);
    return count;
}

/* The remembered source, made if it is new; NULL without memory, when its sequence numbers are not remembered. */
static struct source *find_source(struct receiver *receiver, const char *name)
{
    struct source *oldest = NULL;
    for (size_t i = 0; i < receiver->source_count; i++) {
        struct source *source = &receiver->sources[i];
        if (strncmp(source->name, name, SOURCE_SIZE - 1) == 0) {
            source->used = ++receiver->uses;
            return source;
        }
        if (!oldest || source->used < oldest->used)
            oldest = source;
    }
    if (receiver->source_count < SOURCE_LIMIT) {
        struct source *sources = realloc(receiver->sources, (receiver->source_count + 1) * sizeof *sources);
        if (!sources)
            return NULL;
        receiver->sources = sources;
        oldest = &sources[receiver->source_count++];
    }
    *oldest = (struct source){ .sequence = -1, .used = ++receiver->uses };
    snprintf(oldest->name, sizeof oldest->name, "%s", name);
    return oldest;
}

struct body {
    const char *bytes;
    size_t size, at;
};

static size_t read_body(void *context, void *bytes, size_t size)
{
    struct body *body = context;
    size_t take = body->size - body->at < size ? body->size - body->at : size;
    if (take > 0)
        memcpy(bytes, body->bytes + body->at, take);
    body->at += take;
    return take;
}

/* One pass over the recording. The first, with `apply` false, only looks whether all of it can be taken. */
struct pass {
    struct receiver *receiver;
    bool apply;
    struct kvtel_session *session;
    struct source *source;
    uint64_t accepted, repeated, samples;
};

static enum kvtel_status take_header(struct pass *pass, const struct kvtel_record *record, struct kvtel_error *error)
{
    const struct kvtel_connector *connector = kvtel_transfer_config_connector(record->config);
    const char *name = kvtel_transfer_config_connector_name(record->config);
    if (!connector || connector->shape == KVTEL_SHAPE_NONE) {
        kvtel_fail(error, KVTEL_E_UNKNOWN, record->offset, "%.100s: %s", name,
                   connector ? "this connector has no stats" : "nobody knows this connector");
        error->line = record->line;
        error->column = 1;
        kvtel_transfer_config_destroy(record->config);
        return KVTEL_E_UNKNOWN;
    }
    pass->source = record->source ? find_source(pass->receiver, record->source) : NULL;
    if (!pass->apply) {
        kvtel_transfer_config_destroy(record->config);
        return KVTEL_OK;
    }
    kvtel_session_destroy(pass->session);
    pass->session = NULL;
    return kvtel_session_create(record, &pass->receiver->types, KVTEL_LOG_DEFAULT, pass->receiver->diagnostics, &pass->session);
}

static enum kvtel_status take_payloads(struct pass *pass, const struct kvtel_record *record)
{
    const struct kvtel_stats *stats;
    if (!pass->apply)
        return KVTEL_OK;
    if (pass->source && record->sequence >= 0 && record->sequence <= pass->source->sequence) {
        pass->repeated += record->payload_count;
        return KVTEL_OK;
    }
    enum kvtel_status status = kvtel_session_observe(pass->session, record, &stats);
    if (status != KVTEL_OK)
        return status;
    pass->accepted += record->payload_count;
    pass->samples += stats ? kvtel_stats_sample_count(stats) : 0;
    if (pass->source && record->sequence >= 0)
        pass->source->sequence = record->sequence;
    return KVTEL_OK;
}

static enum kvtel_status run_pass(struct pass *pass, const char *bytes, size_t size, struct kvtel_error *error)
{
    struct body body = { .bytes = bytes, .size = size };
    struct kvtel_recording *recording = kvtel_recording_open(read_body, &body);
    enum kvtel_status status = recording ? KVTEL_OK : kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    bool any = false;
    while (status == KVTEL_OK) {
        struct kvtel_record record;
        status = kvtel_recording_next(recording, &record, error);
        if (status != KVTEL_OK || record.kind == KVTEL_RECORD_END)
            break;
        any = true;
        if (record.kind == KVTEL_RECORD_HEADER)
            status = take_header(pass, &record, error);
        else if (record.kind == KVTEL_RECORD_PAYLOADS)
            status = take_payloads(pass, &record);
        if (status == KVTEL_E_NOMEM)
            kvtel_fail(error, status, record.offset, "%s", kvtel_status_text(status));
    }
    if (status == KVTEL_OK && !any)
        status = kvtel_fail(error, KVTEL_E_SYNTAX, 0, "the recording is empty; its first object must be a header");
    kvtel_session_destroy(pass->session);
    pass->session = NULL;
    kvtel_recording_close(recording);
    return status;
}

static void answer_error(struct http_response *response, const struct kvtel_error *error)
{
    struct kvtel_writer writer;
    response->status = error->status == KVTEL_E_NOMEM ? 503 : error->status == KVTEL_E_LIMIT ? 413 : 400;
    kvtel_writer_init(&writer, KVTEL_JSON, &response->body);
    kvtel_writer_map(&writer, 2);
    kvtel_writer_text(&writer, "status");
    kvtel_writer_text(&writer, "error");
    kvtel_writer_text(&writer, "error");
    kvtel_writer_map(&writer, error->line > 0 ? 4 : 2);
    kvtel_writer_text(&writer, "reason");
    kvtel_writer_text(&writer, error->message);
    kvtel_writer_text(&writer, "offset");
    kvtel_writer_integer(&writer, (int64_t)error->offset);
    if (error->line > 0) {
        kvtel_writer_text(&writer, "line");
        kvtel_writer_integer(&writer, error->line);
        kvtel_writer_text(&writer, "column");
        kvtel_writer_integer(&writer, error->column);
    }
    if (kvtel_writer_finish(&writer) == KVTEL_OK)
        (void)kvtel_buffer_append_byte(&response->body, '\n');
}

static void answer(struct http_response *response, const struct pass *pass)
{
    if (kvtel_buffer_printf(&response->body, "{\"status\": \"success\", \"accepted\": %" PRIu64 ", \"repeated\": %" PRIu64 "}\n",
                            pass->accepted, pass->repeated) != KVTEL_OK)
        response->status = 503;
}

void receiver_handle(void *context, const struct http_request *request, struct http_response *response)
{
    struct receiver *receiver = context;
    struct kvtel_error error = { 0 };
    struct kvtel_buffer inflated = { 0 };
    const char *encoding = http_request_header(request, "Content-Encoding");
    const char *bytes = request->body ? request->body : "";
    size_t size = request->body_size;
    enum kvtel_status status = KVTEL_OK;
    response->content_type = "application/json";
    if (encoding && strcasecmp(encoding, "gzip") == 0) {
        status = gzip_expand(bytes, size, INFLATED_LIMIT, &inflated);
        if (status != KVTEL_OK)
            kvtel_fail(&error, status, 0,
                       status == KVTEL_E_LIMIT ? "the body unpacks to more than 128 MiB" : "the body is not whole gzip");
        bytes = inflated.bytes;
        size = inflated.size;
    } else if (encoding && strcasecmp(encoding, "identity") != 0) {
        status = kvtel_fail(&error, KVTEL_E_UNKNOWN, 0, "Content-Encoding \"%.32s\" is not known; send gzip or none", encoding);
    }
    pthread_mutex_lock(&receiver->lock);
    struct pass pass = { .receiver = receiver };
    if (status == KVTEL_OK)
        status = run_pass(&pass, bytes, size, &error);
    pass.apply = true;
    if (status == KVTEL_OK)
        status = run_pass(&pass, bytes, size, &error);
    receiver->counts.accepted += pass.accepted;
    receiver->counts.repeated += pass.repeated;
    receiver->counts.samples += pass.samples;
    receiver->counts.rejected += status != KVTEL_OK;
    if (status != KVTEL_OK)
        kvtel_diagnostics_refuse(receiver->diagnostics, KVTEL_REFUSED_MALFORMED, 1, "POST /api/v1/stats",
                                 "a posted recording was refused: %s", error.message);
    pthread_mutex_unlock(&receiver->lock);
    if (status == KVTEL_OK)
        answer(response, &pass);
    else
        answer_error(response, &error);
    kvtel_buffer_free(&inflated);
}
