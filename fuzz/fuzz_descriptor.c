/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads that describe themselves, as JSON: of a connector without a table, and beside the table of another. The
 * first payload may register a descriptor; the second one is read by it. */
#include "stats_contract.h"

#include "connectors/learned.h"

static void must_describe(const uint8_t *data, size_t size)
{
    static const char *const labelnames[] = { "model_name", "engine" }, *const values[] = { "m", "0" };
    const struct kvtel_engine_labels engine = { .engine = 0, .values = values };
    struct kvtel_learned *open = kvtel_learned_make("FuzzedConnector", NULL);
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("FuzzedConnector");
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.max_series = 8));
    struct kvtel_stats *stats = kvtel_stats_create(&open->table, NULL), *sum = kvtel_stats_create(&open->table, NULL);
    struct kvtel_prom_options options = {
        .config = config, .labelnames = labelnames, .label_count = 2, .engines = &engine, .engine_count = 1
    };
    struct kvtel_prom_metrics *metrics;
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    struct kvtel_buffer text = { 0 };
    MUST(kvtel_store_metric_types(store, &options.types) == KVTEL_OK);
    MUST(kvtel_prom_metrics_create_generic(&open->table, &options, &metrics) == KVTEL_OK);
    for (int i = 0; i < 2; i++) {
        struct kvtel_error error = { 0 };
        enum kvtel_status status = kvtel_stats_decode(stats, KVTEL_JSON, data, size, &error);
        if (status != KVTEL_OK) {
            must_explain(status, &error, KVTEL_JSON, size);
            continue;
        }
        MUST(kvtel_prom_metrics_observe(metrics, stats, 0) == KVTEL_OK);
        MUST(kvtel_stats_aggregate(sum, stats) == KVTEL_OK);
        must_come_out_again(stats, KVTEL_JSON);
        must_come_out_again(sum, KVTEL_MSGPACK);
        must_reduce(sum);
    }
    MUST(atomic_load(&open->metric_count) <= KVTEL_LEARNED_METRICS);
    MUST(kvtel_snapshot_add(snapshot, store) == KVTEL_OK);
    MUST(kvtel_exposition_text(snapshot, &text) == KVTEL_OK);
    kvtel_buffer_free(&text);
    kvtel_snapshot_destroy(snapshot);
    kvtel_prom_metrics_destroy(metrics);
    kvtel_stats_destroy(stats);
    kvtel_stats_destroy(sum);
    kvtel_store_close(store);
    kvtel_transfer_config_destroy(config);
    kvtel_learned_free(open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    must_describe(data, size);
    return 0;
}
