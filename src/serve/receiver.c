/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/v1/stats. */
#include "base/diagnostics.h"
#include "serve/receiver.h"

#include "base/buffer.h"
#include "base/error.h"
#include "serve/own_guard.h"
#include "serve/web/gzip.h"
#include "serve/receiver_answer.h"
#include "serve/receiver_sources.h"
#include "recording/session.h"
#include "vllm/stats/stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    INFLATED_LIMIT = 128 << 20, /* largest size of an uncompressed body */
    OBJECT_LIMIT = 32 << 20,    /* bytes of one object */
    /* values of one object; bounds the memory of a post to some 150 MB, whatever it unpacks to */
    VALUE_LIMIT = 1 << 20
};

struct receiver {
    struct kvtel_metric_types types;
    /* Guards `types`, whose lane has one writer, and the sources. A post holds it for one object at a time. Bodies
     * are unpacked and parsed without it, and scrapes do not take it. */
    pthread_mutex_t apply;
    struct receiver_sources sources;
    pthread_mutex_t say; /* guards `said` */
    struct kvtel_diagnostics *said;
    void (*warn)(void *context, const char *message);
    void *warn_context;
    pthread_mutex_t counting; /* guards the members below, for a few instructions at a time */
    struct receiver_counts counts;
    unsigned applying; /* posts that are being counted */
    bool paused;
    uint64_t refused[KVTEL_REFUSAL_COUNT];
};

struct receiver *receiver_create(struct kvtel_store *store, struct kvtel_diagnostics *diagnostics,
                                 void (*warn)(void *context, const char *message), void *warn_context)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);
    if (!receiver || kvtel_store_metric_types(store, &receiver->types) != KVTEL_OK) {
        free(receiver);
        return NULL;
    }
    receiver->said = diagnostics;
    receiver->warn = warn;
    receiver->warn_context = warn_context;
    receiver_sources_init(&receiver->sources, &receiver->types);
    pthread_mutex_init(&receiver->apply, NULL);
    pthread_mutex_init(&receiver->say, NULL);
    pthread_mutex_init(&receiver->counting, NULL);
    return receiver;
}

void receiver_restore(struct receiver *receiver, const struct kvtel_snapshot *snapshot)
{
    receiver_sources_restore(&receiver->sources, snapshot);
}

bool receiver_pause(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->counting);
    receiver->paused = true;
    bool idle = receiver->applying == 0;
    pthread_mutex_unlock(&receiver->counting);
    return idle;
}

enum kvtel_status receiver_resume(struct receiver *receiver, struct kvtel_store *store,
                                  const struct kvtel_snapshot *snapshot)
{
    enum kvtel_status status = kvtel_store_metric_types(store, &receiver->types);
    if (status != KVTEL_OK)
        return status;
    receiver_sources_free(&receiver->sources);
    receiver_sources_init(&receiver->sources, &receiver->types);
    receiver_sources_restore(&receiver->sources, snapshot);
    pthread_mutex_lock(&receiver->counting);
    receiver->paused = false;
    pthread_mutex_unlock(&receiver->counting);
    return KVTEL_OK;
}

/* False: the store is being replaced. */
static bool begin_applying(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->counting);
    bool good = !receiver->paused;
    receiver->applying += good;
    pthread_mutex_unlock(&receiver->counting);
    return good;
}

static void end_applying(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->counting);
    receiver->applying--;
    pthread_mutex_unlock(&receiver->counting);
}

void receiver_destroy(struct receiver *receiver)
{
    if (!receiver)
        return;
    pthread_mutex_destroy(&receiver->apply);
    pthread_mutex_destroy(&receiver->say);
    pthread_mutex_destroy(&receiver->counting);
    receiver_sources_free(&receiver->sources);
    free(receiver);
}

struct receiver_counts receiver_counts(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->counting);
    struct receiver_counts counts = receiver->counts;
    pthread_mutex_unlock(&receiver->counting);
    return counts;
}

uint64_t receiver_refused(struct receiver *receiver, enum kvtel_refusal reason)
{
    pthread_mutex_lock(&receiver->counting);
    uint64_t count = receiver->refused[reason];
    pthread_mutex_unlock(&receiver->counting);
    return count;
}

/* Warns of a refusal; over all posts each one is warned of once. Refusals are counted when the post is done. */
static void say(void *context, enum kvtel_refusal reason, const char *subject, const char *message)
{
    struct receiver *receiver = context;
    pthread_mutex_lock(&receiver->say);
    kvtel_diagnostics_refuse(receiver->said, reason, 0, subject, "%s", message);
    pthread_mutex_unlock(&receiver->say);
}

/* A request's body and how much of it was read. */
struct body {
    const char *bytes;
    size_t size, at;
    bool packed;
    struct gzip_reader gzip;
};

static enum kvtel_status open_body(struct body *body)
{
    body->at = 0;
    return body->packed ? gzip_reader_open(&body->gzip, body->bytes, body->size, INFLATED_LIMIT) : KVTEL_OK;
}

static size_t read_body(void *context, void *bytes, size_t size)
{
    struct body *body = context;
    if (body->packed)
        return gzip_reader_read(&body->gzip, bytes, size);
    size_t take = body->size - body->at < size ? body->size - body->at : size;
    if (take > 0)
        memcpy(bytes, body->bytes + body->at, take);
    body->at += take;
    return take;
}

/* Closes the body. A failure to unpack it replaces the reader's status. */
static enum kvtel_status close_body(struct body *body, enum kvtel_status status, struct kvtel_error *error)
{
    if (!body->packed)
        return status;
    gzip_reader_close(&body->gzip);
    if (status == KVTEL_OK || body->gzip.status == KVTEL_OK)
        return status;
    return kvtel_fail(error, body->gzip.status, 0, "%s",
                      body->gzip.status == KVTEL_E_LIMIT ? "the body unpacks to more than 128 MiB"
                      : body->gzip.status == KVTEL_E_NOMEM
                          ? kvtel_status_text(KVTEL_E_NOMEM)
                          : "the body is not whole gzip, though Content-Encoding says gzip");
}

/* One pass over the recording. The first pass, with `apply` false, only checks whether all of it can be accepted,
 * and changes nothing. */
struct pass {
    struct receiver *receiver;
    bool apply;
    struct kvtel_diagnostics *diagnostics; /* diagnostics of this post */
    /* In the first pass: the connector's name, if it has no table with stats; its payloads must describe themselves. */
    char unknown[KVTEL_TEXT_LIMIT + 1];
    bool has_table;    /* a table without stats */
    bool is_described; /* a payload of this post had a descriptor */
    struct kvtel_session *session;
    struct receiver_source *source;
    double started;  /* of the header; 0: not given */
    int64_t highest; /* highest sequence number of the source in this post; -1: none */
    bool counted;    /* one of the payloads was new */
    struct receiver_answer answer;
};

/* Checks in the first pass that a payload of a connector without a table describes itself. */
static enum kvtel_status check_described(struct pass *pass, const struct kvtel_record *record,
                                         struct kvtel_error *error)
{
    for (size_t i = 0; *pass->unknown && i < record->payload_count; i++) {
        const struct kvtel_value *payload = &record->payloads[i];
        if (payload->kind != KVTEL_VALUE_MAP || pass->is_described)
            continue;
        pass->is_described = kvtel_value_get(payload, "_metrics_descriptor") != NULL;
        if (pass->is_described || kvtel_payload_is_described(pass->unknown, payload))
            continue;
        kvtel_fail(error, KVTEL_E_UNKNOWN, record->offset, "%.100s: %s, and its payload does not describe itself",
                   pass->unknown, pass->has_table ? "this connector has no stats" : "this connector is unknown");
        if (error && record->text) {
            error->line = record->line;
            error->column = 1;
        }
        return KVTEL_E_UNKNOWN;
    }
    return KVTEL_OK;
}

/* Warns when no payload of a post was new and all were older than those counted before, or the source's start is: the
 * sender seems to have restarted its numbering. */
static void tell_restart(struct pass *pass)
{
    struct receiver_source *source = pass->source;
    const bool is_earlier = source && pass->started > 0 && pass->started < source->started;
    if (!source || pass->counted || pass->highest < 0 || (!is_earlier && pass->highest >= source->sequence))
        return;
    struct receiver_stale stale = { .sequence = source->sequence, .highest = pass->highest };
    snprintf(stale.source, sizeof stale.source, "%s", source->name);
    stale.started = is_earlier ? source->started : 0;
    stale.given = is_earlier ? pass->started : 0;
    if (pass->answer.stale_sources++ == 0)
        pass->answer.stale = stale;
    if (source->warned)
        return;
    source->warned = true;
    char text[RECEIVER_STALE_TEXT];
    receiver_stale_text(&stale, text);
    pass->receiver->warn(pass->receiver->warn_context, text);
}

static void let_source_go(struct pass *pass)
{
    tell_restart(pass);
    receiver_sources_let_go(pass->source);
    pass->source = NULL;
    pass->highest = -1;
    pass->counted = false;
}

static enum kvtel_status take_header(struct pass *pass, const struct kvtel_record *record)
{
    const struct kvtel_connector *connector = kvtel_transfer_config_connector(record->config);
    enum kvtel_status status = KVTEL_OK;
    if (!pass->apply) {
        bool is_known = connector && connector->payload_kind != KVTEL_PAYLOAD_NONE;
        snprintf(pass->unknown, sizeof pass->unknown, "%s",
                 is_known ? "" : kvtel_transfer_config_connector_name(record->config));
        pass->has_table = connector != NULL;
        pass->is_described = false;
        kvtel_transfer_config_destroy(record->config);
        return KVTEL_OK;
    }
    kvtel_session_destroy(pass->session);
    pass->session = NULL;
    pthread_mutex_lock(&pass->receiver->apply);
    let_source_go(pass);
    pass->started = record->started;
    if (record->source)
        pass->source = receiver_sources_hold(&pass->receiver->sources, record->source, record->started);
    status = kvtel_session_create(record, &pass->receiver->types, KVTEL_LOG_DEFAULT, pass->diagnostics, &pass->session);
    pthread_mutex_unlock(&pass->receiver->apply);
    if (status == KVTEL_OK)
        kvtel_session_without_log(pass->session);
    return status;
}

/* Records the payloads of one object. The lock is held. */
static enum kvtel_status apply_payloads(struct pass *pass, const struct kvtel_record *record)
{
    const struct kvtel_stats *stats;
    bool numbered = pass->source && record->sequence >= 0;
    if (numbered && record->sequence > pass->highest)
        pass->highest = record->sequence;
    if (numbered && record->sequence <= pass->source->sequence) {
        pass->answer.repeated += record->payload_count;
        return KVTEL_OK;
    }
    enum kvtel_status status = kvtel_session_observe(pass->session, record, &stats);
    if (status != KVTEL_OK)
        return status;
    pass->answer.accepted += kvtel_session_used(pass->session);
    pass->answer.samples += stats ? kvtel_stats_sample_count(stats) : 0;
    pass->counted = true;
    if (numbered)
        receiver_sources_advance(&pass->receiver->sources, pass->source, record->sequence);
    return KVTEL_OK;
}

static enum kvtel_status take_payloads(struct pass *pass, const struct kvtel_record *record, struct kvtel_error *error)
{
    if (!pass->apply)
        return check_described(pass, record, error);
    pthread_mutex_lock(&pass->receiver->apply);
    enum kvtel_status status = apply_payloads(pass, record);
    pthread_mutex_unlock(&pass->receiver->apply);
    return status;
}

static enum kvtel_status take_objects(struct pass *pass, struct kvtel_recording *recording, struct kvtel_error *error)
{
    enum kvtel_status status = KVTEL_OK;
    bool any = false;
    while (status == KVTEL_OK) {
        struct kvtel_record record;
        status = kvtel_recording_next(recording, &record, error);
        if (status != KVTEL_OK || record.kind == KVTEL_RECORD_END)
            break;
        any = true;
        if (record.kind == KVTEL_RECORD_HEADER)
            status = take_header(pass, &record);
        else if (record.kind == KVTEL_RECORD_PAYLOADS)
            status = take_payloads(pass, &record, error);
        if (status == KVTEL_E_NOMEM)
            kvtel_fail(error, status, record.offset, "%s", kvtel_status_text(status));
    }
    if (status == KVTEL_OK && !any)
        status = kvtel_fail(error, KVTEL_E_SYNTAX, 0, "the recording is empty; its first object must be a header");
    return status;
}

static enum kvtel_status run_pass(struct pass *pass, struct body *body, struct kvtel_error *error)
{
    struct kvtel_recording *recording = kvtel_recording_open(read_body, body);
    enum kvtel_status status = recording ? open_body(body) : KVTEL_E_NOMEM;
    if (status != KVTEL_OK) {
        kvtel_recording_close(recording);
        return kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    }
    kvtel_recording_limit(recording, OBJECT_LIMIT, VALUE_LIMIT);
    status = close_body(body, take_objects(pass, recording, error), error);
    kvtel_recording_close(recording);
    kvtel_session_destroy(pass->session);
    pass->session = NULL;
    if (!pass->apply)
        return status;
    pthread_mutex_lock(&pass->receiver->apply);
    let_source_go(pass);
    pthread_mutex_unlock(&pass->receiver->apply);
    return status;
}

static enum kvtel_status take_encoding(const struct http_request *request, struct body *body, struct kvtel_error *error)
{
    const char *encoding = http_request_header(request, "Content-Encoding");
    *body = (struct body){ .bytes = request->body ? request->body : "", .size = request->body_size };
    body->packed = encoding && (strcasecmp(encoding, "gzip") == 0 || strcasecmp(encoding, "x-gzip") == 0);
    if (!encoding || body->packed || strcasecmp(encoding, "identity") == 0)
        return KVTEL_OK;
    return kvtel_fail(error, KVTEL_E_UNKNOWN, 0, "Content-Encoding \"%.32s\" is not known; send gzip or none",
                      encoding);
}

/* Adds a finished post to the counts. */
static void count(struct receiver *receiver, struct pass *pass, enum kvtel_status status,
                  const struct kvtel_error *error)
{
    if (status != KVTEL_OK)
        kvtel_diagnostics_refuse(pass->diagnostics, KVTEL_REFUSED_MALFORMED, 1, "POST /api/v1/stats",
                                 "a posted recording was refused: %s", error->message);
    pthread_mutex_lock(&receiver->counting);
    receiver->counts.accepted += pass->answer.accepted;
    receiver->counts.repeated += pass->answer.repeated;
    receiver->counts.samples += pass->answer.samples;
    receiver->counts.rejected += status != KVTEL_OK;
    for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++) {
        pass->answer.refused[reason] = kvtel_diagnostics_count(pass->diagnostics, (enum kvtel_refusal)reason);
        receiver->refused[reason] += pass->answer.refused[reason];
    }
    pthread_mutex_unlock(&receiver->counting);
}

/* Counts the post. A sender may send one again of which the numbers were lost. */
static enum kvtel_status apply(struct pass *pass, struct body *body, struct kvtel_error *error)
{
    static const char *const again = "the file that posts are counted in was truncated or removed; send this again";
    if (!begin_applying(pass->receiver))
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", again);
    enum kvtel_status status = own_guard_was_cut() ? KVTEL_OK : run_pass(pass, body, error);
    if (status == KVTEL_OK && own_guard_was_cut())
        status = kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", again);
    end_applying(pass->receiver);
    return status;
}

void receiver_handle(void *context, const struct http_request *request, struct http_response *response)
{
    struct receiver *receiver = context;
    struct kvtel_error error = { 0 };
    struct body body;
    struct pass pass = { .receiver = receiver, .highest = -1, .diagnostics = kvtel_diagnostics_create(say, receiver) };
    enum kvtel_status status = take_encoding(request, &body, &error);
    if (status == KVTEL_OK && !pass.diagnostics)
        status = kvtel_fail(&error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    if (status == KVTEL_OK)
        status = run_pass(&pass, &body, &error);
    pass.apply = true;
    if (status == KVTEL_OK)
        status = apply(&pass, &body, &error);
    count(receiver, &pass, status, &error);
    kvtel_diagnostics_destroy(pass.diagnostics);
    if (status == KVTEL_OK)
        receiver_answer(response, &pass.answer);
    else
        receiver_answer_error(response, &error);
}
