/* SPDX-License-Identifier: Apache-2.0 */
/* Passes one recording through stats, Prometheus metrics and the log. */
#include "base/diagnostics.h"
#include "recording/session.h"

#include "vllm/stats/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kvtel_session {
    struct kvtel_transfer_config *config;
    const struct kvtel_connector *connector; /* NULL: unknown */
    struct kvtel_diagnostics *diagnostics;
    struct kvtel_prom *prom;
    struct kvtel_logging *logging;
    struct kvtel_stats *stats, *worker; /* NULL: the connector has no table with stats, and no payload taught one yet */
    uint32_t *engines;
    size_t engine_count;
    size_t used; /* number of usable payloads in the last record */
};

/* Makes the metrics with vLLM's labels of an engine: the served model's name, the engine's number. */
static enum kvtel_status create_prom(struct kvtel_session *session, const struct kvtel_record *header,
                                     const struct kvtel_metric_types *types)
{
    static const char *const labelnames[] = { "model_name", "engine" };
    struct labels {
        const char *values[2];
        char number[16];
    } *labels = calloc(header->engine_count + 1, sizeof *labels);
    struct kvtel_engine_labels *engines = calloc(header->engine_count + 1, sizeof *engines);
    enum kvtel_status status = KVTEL_E_NOMEM;
    if (labels && engines) {
        for (size_t i = 0; i < header->engine_count; i++) {
            snprintf(labels[i].number, sizeof labels[i].number, "%" PRIu32, header->engines[i]);
            labels[i].values[0] = header->model_name;
            labels[i].values[1] = labels[i].number;
            engines[i] = (struct kvtel_engine_labels){ .engine = header->engines[i], .values = labels[i].values };
        }
        const struct kvtel_prom_options options = {
            .config = session->config,
            .types = *types,
            .labelnames = labelnames,
            .label_count = 2,
            .engines = engines,
            .engine_count = header->engine_count,
            .diagnostics = session->diagnostics,
        };
        status = kvtel_prom_create(&options, &session->prom);
    }
    free(labels);
    free(engines);
    return status;
}

static enum kvtel_status make_stats(struct kvtel_session *session, const struct kvtel_connector *table)
{
    session->stats = kvtel_stats_create(table, session->diagnostics);
    session->worker = kvtel_stats_create(table, session->diagnostics);
    if (session->stats && session->worker)
        return KVTEL_OK;
    kvtel_stats_destroy(session->stats);
    kvtel_stats_destroy(session->worker);
    session->stats = session->worker = NULL;
    return KVTEL_E_NOMEM;
}

enum kvtel_status kvtel_session_create(const struct kvtel_record *header, const struct kvtel_metric_types *types,
                                       enum kvtel_log_style style, struct kvtel_diagnostics *diagnostics,
                                       struct kvtel_session **session)
{
    struct kvtel_session *self = calloc(1, sizeof *self);
    if (!self) {
        kvtel_transfer_config_destroy(header->config);
        return KVTEL_E_NOMEM;
    }
    self->config = header->config;
    self->connector = kvtel_transfer_config_connector(header->config);
    self->diagnostics = diagnostics;
    self->engines = malloc((header->engine_count + 1) * sizeof *self->engines);
    self->logging = kvtel_logging_create(self->config, style, diagnostics);
    bool has_stats = self->connector && self->connector->payload_kind != KVTEL_PAYLOAD_NONE;
    enum kvtel_status status = has_stats ? make_stats(self, self->connector) : KVTEL_OK;
    if (!self->engines || !self->logging)
        status = KVTEL_E_NOMEM;
    if (status == KVTEL_OK)
        status = create_prom(self, header, types);
    if (status != KVTEL_OK) {
        kvtel_session_destroy(self);
        return status;
    }
    if (header->engine_count > 0)
        memcpy(self->engines, header->engines, header->engine_count * sizeof *self->engines);
    self->engine_count = header->engine_count;
    *session = self;
    return KVTEL_OK;
}

void kvtel_session_destroy(struct kvtel_session *session)
{
    if (!session)
        return;
    kvtel_prom_destroy(session->prom);
    kvtel_logging_destroy(session->logging);
    kvtel_stats_destroy(session->stats);
    kvtel_stats_destroy(session->worker);
    kvtel_transfer_config_destroy(session->config);
    free(session->engines);
    free(session);
}

void kvtel_session_without_log(struct kvtel_session *session)
{
    kvtel_logging_destroy(session->logging);
    session->logging = NULL;
}

size_t kvtel_session_used(const struct kvtel_session *session)
{
    return session->used;
}

const struct kvtel_connector *kvtel_session_connector(const struct kvtel_session *session)
{
    return session->connector;
}

const char *kvtel_session_connector_name(const struct kvtel_session *session)
{
    return kvtel_transfer_config_connector_name(session->config);
}

static bool is_declared(const struct kvtel_session *session, uint32_t engine)
{
    /* usually engines are numbered 0, 1, 2, ... */
    if (engine < session->engine_count && session->engines[engine] == engine)
        return true;
    for (size_t i = 0; i < session->engine_count; i++)
        if (session->engines[i] == engine)
            return true;
    return false;
}

static uint64_t count_refusals(const struct kvtel_diagnostics *diagnostics)
{
    uint64_t count = 0;
    for (int reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++)
        count += kvtel_diagnostics_count(diagnostics, (enum kvtel_refusal)reason);
    return count;
}

/* Counts a payload that was not usable. */
static void refuse_payload(struct kvtel_session *session, enum kvtel_status status)
{
    if (status != KVTEL_E_UNKNOWN && status != KVTEL_E_LIMIT) /* which were counted */
        kvtel_diagnostics_refuse(session->diagnostics, KVTEL_REFUSED_WRONG_TYPE, 1, "payload",
                                 "a payload was refused: %s", kvtel_status_text(status));
}

/* Finds the table of a connector that has none with stats, from the payloads. `begin` out: the first payload with
 * something to take; the payload count: none has. Status: KVTEL_OK, KVTEL_E_NOMEM. */
static enum kvtel_status find_table(struct kvtel_session *session, const struct kvtel_record *record, size_t *begin)
{
    for (*begin = 0; *begin < record->payload_count; ++*begin) {
        const struct kvtel_connector *table;
        uint64_t refused = count_refusals(session->diagnostics);
        enum kvtel_status status = kvtel_payload_table(kvtel_session_connector_name(session), &record->payloads[*begin],
                                                       session->diagnostics, &table);
        if (status == KVTEL_E_NOMEM)
            return status;
        if (table)
            return make_stats(session, table);
        session->used += status == KVTEL_OK && count_refusals(session->diagnostics) == refused;
        if (status != KVTEL_OK)
            refuse_payload(session, status);
    }
    return KVTEL_OK;
}

/* Aggregates the payloads of all workers, from `begin` on. `used` returns the number of usable ones. */
static enum kvtel_status aggregate(struct kvtel_session *session, const struct kvtel_record *record, size_t begin,
                                   size_t *used)
{
    *used = 0;
    for (size_t i = begin; i < record->payload_count; i++) {
        struct kvtel_stats *into = *used == 0 ? session->stats : session->worker;
        uint64_t refused = count_refusals(session->diagnostics);
        kvtel_arena_reset(&into->arena); /* without a reset the arena would grow with each payload */
        enum kvtel_status status = kvtel_stats_decode_value(into, &record->payloads[i], NULL);
        bool nothing =
            status == KVTEL_OK && kvtel_stats_is_empty(into) && count_refusals(session->diagnostics) > refused;
        if (status == KVTEL_OK && *used > 0)
            status = kvtel_stats_aggregate(session->stats, session->worker);
        if (status == KVTEL_E_NOMEM)
            return status;
        session->used += status == KVTEL_OK && !nothing;
        if (status == KVTEL_OK)
            ++*used;
        else
            refuse_payload(session, status);
    }
    return KVTEL_OK;
}

enum kvtel_status kvtel_session_observe(struct kvtel_session *session, const struct kvtel_record *record,
                                        const struct kvtel_stats **stats)
{
    *stats = NULL;
    session->used = 0;
    if (!is_declared(session, record->engine)) {
        char engine[16];
        snprintf(engine, sizeof engine, "%" PRIu32, record->engine);
        kvtel_diagnostics_refuse(session->diagnostics, KVTEL_REFUSED_UNKNOWN_ENGINE, record->payload_count, engine,
                                 "engine %s is not in the header's list of engines; its payloads are not used", engine);
        return KVTEL_OK;
    }
    size_t used, begin = 0;
    enum kvtel_status status = session->stats ? KVTEL_OK : find_table(session, record, &begin);
    if (status == KVTEL_OK)
        status = aggregate(session, record, begin, &used);
    if (status != KVTEL_OK || used == 0)
        return status;
    const struct kvtel_observation observation = {
        .engine = record->engine,
        .ranks = record->from_workers ? (uint32_t)used : 0,
        .timestamp = record->timestamp,
    };
    if (session->logging)
        status = kvtel_logging_observe(session->logging, session->stats, &observation);
    if (status == KVTEL_E_NOMEM)
        return status;
    if (status != KVTEL_OK)
        kvtel_diagnostics_refuse(
            session->diagnostics, status == KVTEL_E_LIMIT ? KVTEL_REFUSED_SERIES_LIMIT : KVTEL_REFUSED_WRONG_TYPE, 1,
            "log", "a payload is not in the log: %s",
            status == KVTEL_E_LIMIT ? "too many engines" : "payloads of older and of newer vLLM in one interval");
    kvtel_prom_observe(session->prom, session->stats, record->engine);
    *stats = session->stats;
    return KVTEL_OK;
}

enum kvtel_status kvtel_session_log(struct kvtel_session *session, kvtel_log_fn sink, void *context)
{
    return kvtel_logging_log(session->logging, 0, sink, context);
}
