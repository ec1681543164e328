/* SPDX-License-Identifier: Apache-2.0 */
/* The cost of a NIXL payload in a logger process: decode, aggregate, observe, reduce. peer_pipeline.py does the same
 * in Python. */
#include "bench.h"

#include <kvtel/kvtel.h>

enum { PAYLOADS = 16, TRANSFERS_A_ROUND = 16000 };

struct pipeline {
    struct kvtel_prom *prom;
    struct kvtel_stats *incoming, *interval;
    char *payloads[PAYLOADS];
    size_t sizes[PAYLOADS];
    int payloads_a_round;
};

static void take_payload(struct pipeline *pipeline, int i)
{
    struct kvtel_reduced *reduced;
    bench_require(kvtel_stats_decode(pipeline->incoming, KVTEL_MSGPACK, pipeline->payloads[i], pipeline->sizes[i],
                                     NULL) == KVTEL_OK,
                  "decode");
    bench_require(kvtel_stats_aggregate(pipeline->interval, pipeline->incoming) == KVTEL_OK, "aggregate");
    bench_require(kvtel_prom_observe(pipeline->prom, pipeline->incoming, 0) == KVTEL_OK, "observe");
    bench_require(kvtel_stats_reduce(pipeline->interval, &reduced) == KVTEL_OK, "reduce");
    kvtel_reduced_destroy(reduced);
    kvtel_stats_reset(pipeline->interval);
}

static void take_round(void *context)
{
    struct pipeline *pipeline = context;
    for (int i = 0; i < pipeline->payloads_a_round; i++)
        take_payload(pipeline, i % PAYLOADS);
}

/* peer_pipeline.py makes the same numbers. */
static void make_payload(struct pipeline *pipeline, int payload, int transfers)
{
    for (int i = 0; i < transfers; i++) {
        uint64_t step = 1 + (uint64_t)(payload * 31 + i * 17) % 101;
        const struct kvtel_transfer transfer = { .duration_ns = 1300000 * step,
                                                 .post_ns = 110000 * step,
                                                 .bytes = 4096 * step * step,
                                                 .descriptors = 3 * step };
        bench_require(kvtel_stats_record_transfer(pipeline->incoming, NULL, &transfer) == KVTEL_OK, "record");
    }
    bench_require(kvtel_stats_encode(pipeline->incoming, KVTEL_MSGPACK, &pipeline->payloads[payload],
                                     &pipeline->sizes[payload]) == KVTEL_OK,
                  "encode");
    kvtel_stats_reset(pipeline->incoming);
}

static double round_ns(struct kvtel_prom *prom, const struct kvtel_connector *connector, int transfers)
{
    struct pipeline pipeline = { .prom = prom,
                                 .incoming = kvtel_stats_create(connector, NULL),
                                 .interval = kvtel_stats_create(connector, NULL),
                                 .payloads_a_round = TRANSFERS_A_ROUND / transfers };
    bench_require(pipeline.incoming && pipeline.interval, "stats");
    for (int i = 0; i < PAYLOADS; i++)
        make_payload(&pipeline, i, transfers);
    double ns = bench_median_ns(take_round, &pipeline);
    for (int i = 0; i < PAYLOADS; i++)
        free(pipeline.payloads[i]);
    kvtel_stats_destroy(pipeline.incoming);
    kvtel_stats_destroy(pipeline.interval);
    return ns;
}

int main(void)
{
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("NixlConnector");
    struct kvtel_store *store = kvtel_store_create(NULL);
    bench_require(config && store, "memory");
    const char *const labelnames[] = { "model_name", "engine" }, *const values[] = { "m", "0" };
    const struct kvtel_engine_labels engine = { .engine = 0, .values = values };
    struct kvtel_prom_options options = {
        .config = config, .labelnames = labelnames, .label_count = 2, .engines = &engine, .engine_count = 1
    };
    struct kvtel_prom *prom = NULL;
    bench_require(kvtel_store_metric_types(store, &options.types) == KVTEL_OK &&
                      kvtel_prom_create(&options, &prom) == KVTEL_OK,
                  "prom");

    const struct kvtel_connector *connector = kvtel_transfer_config_connector(config);
    bench_report("decode, aggregate, observe, reduce: payloads of 1,000 transfers",
                 round_ns(prom, connector, 1000) / TRANSFERS_A_ROUND, "ns/transfer", 60);
    bench_report("decode, aggregate, observe, reduce: payloads of 1 transfer",
                 round_ns(prom, connector, 1) / TRANSFERS_A_ROUND, "ns/payload", 2000);
    kvtel_prom_destroy(prom);
    kvtel_store_close(store);
    kvtel_transfer_config_destroy(config);
    return 0;
}
