/* SPDX-License-Identifier: Apache-2.0 */
/* A store with the data of exposition_load.h. */
#ifndef KVTEL_BENCH_EXPOSITION_STORE_H
#define KVTEL_BENCH_EXPOSITION_STORE_H

#include "bench.h"
#include "exposition_load.h"

#include <kvtel/kvtel.h>

/* Adds one engine's values to the connector's i-th histogram or counter. */
static inline void load_series(struct kvtel_lane *lane, uint32_t series, const struct kvtel_metric *metric, int i,
                               int engine)
{
    if (metric->type == KVTEL_COUNTER) {
        bench_require(kvtel_lane_increase(lane, series, load_count(i - LOAD_HISTOGRAMS, engine)), "increase");
        return;
    }
    double values[LOAD_TRANSFERS];
    for (int transfer = 0; transfer < LOAD_TRANSFERS; transfer++)
        values[transfer] = load_sample(i, engine, transfer);
    bench_require(kvtel_lane_observe(lane, series, values, LOAD_TRANSFERS) == LOAD_TRANSFERS, "observe");
}

static inline struct kvtel_store *loaded_store(void)
{
    struct kvtel_store *store = kvtel_store_create(NULL);
    const struct kvtel_connector *connector = kvtel_connector_find("NixlConnector");
    struct kvtel_lane *lane;
    bench_require(store && connector && kvtel_lane_open(store, &lane) == KVTEL_OK, "store");
    const char *const labelnames[] = { "model_name", "engine" };
    for (int i = 0; connector->metrics[i].name; i++) {
        const struct kvtel_metric *metric = &connector->metrics[i];
        const struct kvtel_family_spec spec = { .name = metric->name,
                                                .type = metric->type,
                                                .help = metric->help,
                                                .labelnames = labelnames,
                                                .label_count = 2,
                                                .buckets = metric->buckets,
                                                .unit = metric->unit };
        uint32_t family, series;
        bench_require(kvtel_store_family(store, &spec, &family) == KVTEL_OK, metric->name);
        for (int engine = 0; engine < LOAD_ENGINES; engine++) {
            char number[16];
            snprintf(number, sizeof number, "%d", engine);
            const char *const labels[] = { LOAD_MODEL, number };
            bench_require(kvtel_store_series(store, family, labels, 2, &series) == KVTEL_OK, "series");
            bench_require(series == (uint32_t)(i * LOAD_ENGINES + engine), "order of series");
            load_series(lane, series, metric, i, engine);
        }
    }
    kvtel_lane_close(lane);
    return store;
}

#endif
