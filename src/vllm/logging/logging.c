/* SPDX-License-Identifier: Apache-2.0 */
/* vLLM's KVConnectorLogging: accumulates stats and ends each interval with its lines. */
#include <kvtel/logging.h>

#include <stdlib.h>

#include "base/diagnostics.h"
#include "base/number.h"
#include "base/python.h"
#include "vllm/logging/stats_summary.h"
#include "vllm/stats/stats.h"

/* Limit of engines in one logging object, in the default style; larger than the data parallel size of any
 * deployment. */
enum { ENGINE_LIMIT = 4096 };

struct accumulator {
    uint32_t engine;
    uint32_t ranks; /* largest number of ranks in one payload */
    struct kvtel_stats *stats;
};

struct kvtel_logging {
    const struct kvtel_transfer_config *config;
    const struct kvtel_connector
        *connector; /* NULL: unknown, and nothing of it was observed or there are too many such */
    enum kvtel_log_style style;
    struct kvtel_diagnostics *diagnostics;
    struct kvtel_stats *payload;      /* decoded payload of kvtel_logging_observe_payload(), kept to reuse its memory */
    struct accumulator *accumulators; /* one for each engine, in ascending order; in vLLM's style at most one */
    size_t count;
    /* Timestamps: the begin of the interval, and the newest one seen; 0: not known. */
    double began, newest;
};

struct kvtel_logging *kvtel_logging_create(const struct kvtel_transfer_config *config, enum kvtel_log_style style,
                                           struct kvtel_diagnostics *diagnostics)
{
    struct kvtel_logging *logging = calloc(1, sizeof(*logging));
    if (logging) {
        logging->config = config;
        logging->style = style;
        logging->diagnostics = diagnostics;
    }
    return logging;
}

void kvtel_logging_destroy(struct kvtel_logging *logging)
{
    if (!logging)
        return;
    for (size_t i = 0; i < logging->count; i++)
        kvtel_stats_destroy(logging->accumulators[i].stats);
    free(logging->accumulators);
    kvtel_stats_destroy(logging->payload);
    free(logging);
}

/* Finds the table at the first observation, so that a name alone takes no place among the open tables. Warns if
 * nothing can be logged, because there are too many connectors without a table. */
static enum kvtel_status check_connector(struct kvtel_logging *logging)
{
    const char *name = kvtel_transfer_config_connector_name(logging->config);
    if (!logging->connector)
        logging->connector = kvtel_connector_open(name);
    if (logging->connector)
        return KVTEL_OK;
    kvtel_diagnostics_refuse(logging->diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1, name,
                             "connector %s is not known: its stats are neither logged nor exported", name);
    return KVTEL_E_NO_STATS;
}

/* Finds or makes the accumulator of an engine. */
static enum kvtel_status find_accumulator(struct kvtel_logging *logging, uint32_t engine, struct accumulator **found)
{
    size_t at = 0;
    while (at < logging->count && logging->accumulators[at].engine < engine)
        at++;
    if (at == logging->count || logging->accumulators[at].engine != engine) {
        if (logging->count == ENGINE_LIMIT)
            return KVTEL_E_LIMIT;
        struct accumulator *grown = realloc(logging->accumulators, (logging->count + 1) * sizeof(*grown));
        if (!grown)
            return KVTEL_E_NOMEM;
        logging->accumulators = grown;
        struct kvtel_stats *stats = kvtel_stats_create(logging->connector, NULL);
        if (!stats)
            return KVTEL_E_NOMEM;
        memmove(&grown[at + 1], &grown[at], (logging->count - at) * sizeof(*grown));
        grown[at] = (struct accumulator){ .engine = engine, .stats = stats };
        logging->count++;
        /* The engines share one limit of samples. Each time their number doubles, the limits of the earlier ones are
         * lowered, which keeps the sum bounded. */
        bool twice = (logging->count & (logging->count - 1)) == 0;
        for (size_t i = twice ? 0 : at; i < (twice ? logging->count : at + 1); i++)
            kvtel_stats_set_sample_limit(logging->accumulators[i].stats, KVTEL_SAMPLE_LIMIT / logging->count);
    }
    *found = &logging->accumulators[at];
    return KVTEL_OK;
}

enum kvtel_status kvtel_logging_observe(struct kvtel_logging *logging, const struct kvtel_stats *stats,
                                        const struct kvtel_observation *observation)
{
    static const struct kvtel_observation unknown = { 0 };
    if (!observation)
        observation = &unknown;
    enum kvtel_status status = check_connector(logging);
    if (status != KVTEL_OK)
        return status;
    if (kvtel_stats_connector(stats) != logging->connector)
        return KVTEL_E_MISMATCH;
    struct accumulator *accumulator;
    status = find_accumulator(logging, logging->style == KVTEL_LOG_VLLM ? 0 : observation->engine, &accumulator);
    if (status == KVTEL_OK)
        status = kvtel_stats_aggregate(accumulator->stats, stats);
    if (status != KVTEL_OK)
        return status;
    if (observation->ranks > accumulator->ranks)
        accumulator->ranks = observation->ranks;
    if (observation->timestamp > 0 && logging->began <= 0)
        logging->began = observation->timestamp;
    if (observation->timestamp > logging->newest)
        logging->newest = observation->timestamp;
    return KVTEL_OK;
}

enum kvtel_status kvtel_logging_observe_payload(struct kvtel_logging *logging, enum kvtel_format format,
                                                const void *bytes, size_t size,
                                                const struct kvtel_observation *observation, struct kvtel_error *error)
{
    enum kvtel_status status = check_connector(logging);
    if (status != KVTEL_OK)
        return status;
    if (!logging->payload)
        logging->payload = kvtel_stats_create(logging->connector, logging->diagnostics);
    if (!logging->payload)
        return KVTEL_E_NOMEM;
    status = kvtel_stats_decode(logging->payload, format, bytes, size, error);
    if (status == KVTEL_E_UNKNOWN) /* which was counted, and said once */
        return KVTEL_E_NO_STATS;
    return status == KVTEL_OK ? kvtel_logging_observe(logging, logging->payload, observation) : status;
}

/* Appends a dict as vLLM prints it: at the top without braces and quotes, inside another dict as Python's repr(). */
static enum kvtel_status append_dict(struct kvtel_buffer *buffer, const struct kvtel_reduced *dict, bool nested)
{
    enum kvtel_status status = nested ? kvtel_buffer_append_byte(buffer, '{') : KVTEL_OK;
    for (size_t i = 0; i < kvtel_reduced_count(dict) && status == KVTEL_OK; i++) {
        const struct kvtel_reduced_entry *entry = kvtel_reduced_at(dict, i);
        if (i > 0)
            status = kvtel_buffer_append_text(buffer, ", ");
        if (status == KVTEL_OK)
            status = (nested ? kvtel_python_repr : kvtel_python_line)(buffer, entry->key, strlen(entry->key));
        if (status == KVTEL_OK)
            status = kvtel_buffer_append_text(buffer, nested ? ": " : "=");
        if (status != KVTEL_OK)
            break;
        char number[KVTEL_NUMBER_SIZE];
        switch (entry->kind) {
        case KVTEL_REDUCED_INTEGER:
            status = kvtel_buffer_printf(buffer, "%lld", (long long)entry->integer);
            break;
        case KVTEL_REDUCED_DOUBLE:
            status = kvtel_buffer_append(buffer, number, kvtel_number_repr(entry->number, number));
            break;
        case KVTEL_REDUCED_DICT:
            status = append_dict(buffer, entry->dict, true);
            break;
        }
    }
    return status == KVTEL_OK && nested ? kvtel_buffer_append_byte(buffer, '}') : status;
}

/* Collects the lines, each followed by a NUL, so that either all of them reach the sink or none. */
static enum kvtel_status gather_vllm(const struct kvtel_logging *logging, struct kvtel_buffer *lines)
{
    if (logging->count == 0 || kvtel_stats_is_empty(logging->accumulators[0].stats))
        return KVTEL_OK;
    struct kvtel_reduced *reduced;
    enum kvtel_status status = kvtel_stats_reduce(logging->accumulators[0].stats, &reduced);
    if (status != KVTEL_OK)
        return status;
    if (kvtel_reduced_count(reduced) > 0) {
        status = kvtel_buffer_append_text(lines, "KV Transfer metrics: ");
        if (status == KVTEL_OK)
            status = append_dict(lines, reduced, false);
        if (status == KVTEL_OK)
            status = kvtel_buffer_append_byte(lines, '\0');
    }
    kvtel_reduced_destroy(reduced);
    return status;
}

/* Collects lines; each child of a MultiConnector gets a line of its own. */
static enum kvtel_status gather_summary(const struct kvtel_summary *summary,
                                        const struct kvtel_summary_context *context, struct kvtel_buffer *lines)
{
    enum kvtel_status status = KVTEL_OK;
    if (summary->is_empty)
        return KVTEL_OK;
    for (size_t i = 0; i < summary->child_count && status == KVTEL_OK; i++) {
        struct kvtel_summary_context child = *context;
        child.connector = summary->children[i].class_name;
        status = gather_summary(&summary->children[i], &child, lines);
    }
    if (summary->children)
        return status;
    status = kvtel_summary_line(summary, context, lines);
    return status == KVTEL_OK ? kvtel_buffer_append_byte(lines, '\0') : status;
}

static enum kvtel_status gather_default(const struct kvtel_logging *logging, double interval,
                                        struct kvtel_buffer *lines)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < logging->count && status == KVTEL_OK; i++) {
        const struct accumulator *accumulator = &logging->accumulators[i];
        const struct kvtel_summary_context context = {
            .connector = kvtel_transfer_config_connector_name(logging->config),
            .engine = accumulator->engine,
            .ranks = accumulator->ranks,
            .interval = interval,
        };
        struct kvtel_summary summary;
        status = kvtel_stats_summary_init(&summary, accumulator->stats);
        if (status != KVTEL_OK)
            break;
        status = gather_summary(&summary, &context, lines);
        kvtel_summary_close(&summary);
    }
    return status;
}

/* Whether the stats are kept after this interval. vLLM resets them only after it has printed a line. This shows with
 * a MultiConnector: its children then appear first in the next line, even if they observed nothing. */
static bool keeps_stats(const struct kvtel_logging *logging)
{
    return logging->style == KVTEL_LOG_VLLM && logging->count > 0 &&
           kvtel_stats_is_empty(logging->accumulators[0].stats);
}

enum kvtel_status kvtel_logging_log(struct kvtel_logging *logging, double interval_seconds, kvtel_log_fn sink,
                                    void *context)
{
    double interval = interval_seconds > 0 ? interval_seconds : logging->newest - logging->began;
    struct kvtel_buffer lines = { 0 };
    enum kvtel_status status =
        logging->style == KVTEL_LOG_VLLM ? gather_vllm(logging, &lines) : gather_default(logging, interval, &lines);
    if (status == KVTEL_OK) {
        for (size_t at = 0; at < lines.size; at += strlen(lines.bytes + at) + 1)
            sink(context, lines.bytes + at);
        if (!keeps_stats(logging))
            kvtel_logging_reset(logging);
    }
    kvtel_buffer_free(&lines);
    return status;
}

void kvtel_logging_reset(struct kvtel_logging *logging)
{
    for (size_t i = 0; i < logging->count; i++) {
        kvtel_stats_clear(logging->accumulators[i].stats);
        logging->accumulators[i].ranks = 0;
    }
    logging->began = logging->newest; /* the next interval begins at the end of this one */
}
