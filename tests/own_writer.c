/* SPDX-License-Identifier: Apache-2.0 */
/* A process with a connector that no table of kvtel knows, for tests: own_writer DIR makes a counter, a level and a
 * histogram, says "ready", records once for each line of standard input and says "done" each time. It ends when
 * standard input does. */
#include <kvtel/store.h>

#include <stdio.h>

static uint32_t make(struct kvtel_store *store, const char *name, enum kvtel_metric_type type, enum kvtel_unit unit)
{
    const struct kvtel_buckets *const buckets = KVTEL_BUCKETS(0.001, 0.01, 0.1);
    static const char *const names[] = { "model_name", "engine", "tier" };
    static const char *const values[] = { "own-model", "7", "<b>disk" };
    const struct kvtel_family_spec spec = { .name = name,
                                            .type = type,
                                            .help = "Of a connector of one's own.",
                                            .labelnames = names,
                                            .label_count = 3,
                                            .buckets = type == KVTEL_HISTOGRAM ? buckets : NULL,
                                            .unit = unit };
    uint32_t family, series = UINT32_MAX;
    if (kvtel_store_family(store, &spec, &family) != KVTEL_OK ||
        kvtel_store_series(store, family, values, 3, &series) != KVTEL_OK)
        fprintf(stderr, "own_writer: %s cannot be made\n", name);
    return series;
}

int main(int argc, char **argv)
{
    struct kvtel_lane *lane;
    struct kvtel_store *store = argc == 2
                                    ? kvtel_store_open(KVTEL_STORE_OPTIONS(.dir = argv[1], .model_name = "own-model",
                                                                           .connector = "OwnConnector"))
                                    : NULL;
    if (!store || !kvtel_store_path(store) || kvtel_lane_open(store, &lane) != KVTEL_OK)
        return 1;
    const uint32_t fetched = make(store, "own:blocks_fetched", KVTEL_COUNTER, KVTEL_UNIT_COUNT);
    const uint32_t filled = make(store, "own:tier_filled", KVTEL_GAUGE, KVTEL_UNIT_RATIO);
    const uint32_t time = make(store, "own:fetch_seconds", KVTEL_HISTOGRAM, KVTEL_UNIT_SECONDS);
    puts("ready");
    fflush(stdout);
    for (int c; (c = getchar()) != EOF;) {
        bool good = kvtel_lane_increase(lane, fetched, 3) && kvtel_lane_set(lane, filled, 0.25) &&
                    kvtel_lane_observe(lane, time, &(const double){ 0.004 }, 1) == 1;
        puts(good ? "done" : "refused");
        fflush(stdout);
    }
    kvtel_lane_close(lane);
    kvtel_store_close(store);
    return 0;
}
