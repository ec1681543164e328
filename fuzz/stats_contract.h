/* SPDX-License-Identifier: Apache-2.0 */
/* Promises for an accepted payload: it is encoded as it was decoded, and every later stage accepts it. */
#ifndef KVTEL_FUZZ_STATS_CONTRACT_H
#define KVTEL_FUZZ_STATS_CONTRACT_H

#include "contract.h"

#include <kvtel/exposition.h>
#include <kvtel/logging.h>
#include <kvtel/prom.h>
#include <kvtel/stats.h>
#include <kvtel/store.h>

/* The table for a number; a table with stats. */
static inline const struct kvtel_connector *chosen_connector(uint8_t number)
{
    const struct kvtel_connector *with_stats[64], *connector;
    size_t count = 0;
    for (size_t i = 0; (connector = kvtel_connector_at(i)) && count < 64; i++)
        if (connector->payload_kind != KVTEL_PAYLOAD_NONE)
            with_stats[count++] = connector;
    return with_stats[number % count];
}

/* A name that chooses the table; a MultiConnector with each of the others as a child. */
static inline struct kvtel_transfer_config *chosen_config(const struct kvtel_connector *connector)
{
    static const char multi[] =
        "{\"kv_connector\": \"MultiConnector\", \"kv_connector_extra_config\": {\"connectors\": ["
        "{\"kv_connector\": \"NixlConnector\"}, {\"kv_connector\": \"MooncakeStoreConnector\"}, "
        "{\"kv_connector\": \"OffloadingConnector\"}, {\"kv_connector\": \"UMBPStoreConnector\"}]}}";
    struct kvtel_transfer_config *config = NULL;
    if (connector->payload_kind != KVTEL_PAYLOAD_MULTI)
        return kvtel_transfer_config_of(connector->names[0].name);
    MUST(kvtel_transfer_config_parse(KVTEL_JSON, multi, sizeof multi - 1, &config, NULL) == KVTEL_OK);
    return config;
}

static inline void must_be_whole(const struct kvtel_reduced *reduced)
{
    for (size_t i = 0; i < kvtel_reduced_count(reduced); i++) {
        MUST(kvtel_reduced_at(reduced, i)->key && (unsigned)kvtel_reduced_at(reduced, i)->kind <= KVTEL_REDUCED_DICT);
        if (kvtel_reduced_at(reduced, i)->kind == KVTEL_REDUCED_DICT)
            must_be_whole(kvtel_reduced_at(reduced, i)->dict);
    }
}

static inline size_t must_reduce(const struct kvtel_stats *stats)
{
    struct kvtel_reduced *reduced;
    MUST(kvtel_stats_reduce(stats, &reduced) == KVTEL_OK);
    must_be_whole(reduced);
    size_t count = kvtel_reduced_count(reduced);
    kvtel_reduced_destroy(reduced);
    return count;
}

/* Encoded, decoded and encoded again it is the same. */
static inline void must_come_out_again(const struct kvtel_stats *stats, enum kvtel_format format)
{
    struct kvtel_stats *again = kvtel_stats_create(kvtel_stats_connector(stats), NULL);
    char *first, *second;
    size_t first_size, second_size;
    MUST(kvtel_stats_encode(stats, format, &first, &first_size) == KVTEL_OK);
    MUST(kvtel_stats_decode(again, format, first, first_size, NULL) == KVTEL_OK);
    MUST(kvtel_stats_encode(again, format, &second, &second_size) == KVTEL_OK);
    /* Of an older payload nothing may be left; an empty one has no kind. */
    bool kindless = kvtel_stats_connector(stats)->older && kvtel_stats_is_empty(stats);
    MUST(kindless || (first_size == second_size && memcmp(first, second, first_size) == 0));
    MUST(kvtel_stats_is_empty(stats) == kvtel_stats_is_empty(again));
    MUST(must_reduce(stats) == must_reduce(again));
    free(first);
    free(second);
    kvtel_stats_destroy(again);
}

static inline void ignore_log_line(void *context, const char *line)
{
    (void)context;
    MUST(!strchr(line, '\n'));
}

/* Metrics and log take it, or say why not. */
static inline void must_be_observed(const struct kvtel_stats *stats)
{
    static const char *const labelnames[] = { "model_name", "engine" }, *const values[] = { "m", "0" };
    const struct kvtel_engine_labels engine = { .engine = 0, .values = values };
    struct kvtel_transfer_config *config = chosen_config(kvtel_stats_connector(stats));
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.max_series = 8));
    struct kvtel_prom_options options = {
        .config = config, .labelnames = labelnames, .label_count = 2, .engines = &engine, .engine_count = 1
    };
    struct kvtel_prom *prom;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_buffer text = { 0 };
    MUST(kvtel_store_metric_types(store, &options.types) == KVTEL_OK);
    MUST(kvtel_prom_create(&options, &prom) == KVTEL_OK);
    MUST(kvtel_prom_observe(prom, stats, 0) == KVTEL_OK);
    MUST(kvtel_snapshot_add(snapshot, store) == KVTEL_OK);
    MUST(kvtel_exposition_text(snapshot, &text) == KVTEL_OK);
    for (int style = KVTEL_LOG_DEFAULT; style <= KVTEL_LOG_VLLM; style++) {
        struct kvtel_logging *logging = kvtel_logging_create(config, (enum kvtel_log_style)style, NULL);
        MUST(kvtel_logging_observe(logging, stats, NULL) == KVTEL_OK);
        MUST(kvtel_logging_log(logging, 1, ignore_log_line, NULL) == KVTEL_OK);
        kvtel_logging_destroy(logging);
    }
    kvtel_buffer_free(&text);
    kvtel_snapshot_destroy(snapshot);
    kvtel_prom_destroy(prom);
    kvtel_store_close(store);
    kvtel_transfer_config_destroy(config);
}

/* Into lists, into nothing, and past the limit. */
static inline void must_aggregate(const struct kvtel_stats *stats)
{
    struct kvtel_stats *sum = kvtel_stats_create(kvtel_stats_connector(stats), NULL);
    struct kvtel_stats *small = kvtel_stats_create(kvtel_stats_connector(stats), NULL), *delta;
    kvtel_stats_set_sample_limit(small, 3);
    for (int i = 0; i < 2; i++) {
        MUST(kvtel_stats_aggregate(sum, stats) == KVTEL_OK);
        MUST(kvtel_stats_aggregate(small, stats) == KVTEL_OK);
        MUST(must_reduce(sum) == must_reduce(small));
    }
    must_come_out_again(sum, KVTEL_MSGPACK);
    MUST(kvtel_stats_aggregate(sum, small) == KVTEL_OK);
    MUST(kvtel_stats_clone_and_reset(sum, &delta) == KVTEL_OK);
    MUST(kvtel_stats_is_empty(sum));
    kvtel_stats_destroy(sum);
    kvtel_stats_destroy(small);
    kvtel_stats_destroy(delta);
}

/* The first byte chooses the connector, the rest is its payload. */
static inline void must_take(enum kvtel_format format, const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    struct kvtel_stats *stats = kvtel_stats_create(chosen_connector(data[0]), NULL);
    struct kvtel_error error = { 0 };
    enum kvtel_status status = kvtel_stats_decode(stats, format, data + 1, size - 1, &error);
    if (status == KVTEL_OK) {
        must_come_out_again(stats, KVTEL_MSGPACK);
        must_come_out_again(stats, KVTEL_JSON);
        must_aggregate(stats);
        must_be_observed(stats);
    } else {
        must_explain(status, &error, format, size - 1);
        MUST(kvtel_stats_is_empty(stats));
    }
    kvtel_stats_destroy(stats);
}

#endif
