/* SPDX-License-Identifier: Apache-2.0 */
/* The engines behind a scrape: load_stores DIR STORES ENGINES [LANES] makes stores of so many NIXL engines each, with
 * numbers in every series, and obeys lines of standard input:
 * - record N: N engines, from the first store on, record a transfer and a failure of each kind: all their series
 * change; with LANES, a transfer in each of so many lanes of the store, too
 * - churn N: N stores come and go, one after the other, each with a transfer of one of eight engines
 *
 * It prints "done" after each and ends with its input. */
#include "record_paths.h"

#include <kvtel/kvtel.h>
#include <sys/resource.h>

enum { COUNTERS = 4, ENGINES_OF_CHURN = 8, FIRST_TRANSFERS = 640, LANES = 16 };

static const char *const counters[COUNTERS] = { "num_failed_transfers", "num_failed_notifications",
                                                "num_kv_expired_reqs", "num_notifications_after_expiry" };

struct engine {
    struct kvtel_recorder *recorder;
    const struct kvtel_operation *operation;
    const struct kvtel_instrument *counters[COUNTERS];
    struct kvtel_lane *lanes[LANES]; /* NULL behind the last one */
};

static struct engine open_engine(struct kvtel_store *store, unsigned number, long lanes)
{
    char label[16];
    snprintf(label, sizeof label, "%u", number);
    struct engine engine = { .recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"),
                                                               KVTEL_RECORDER_OPTIONS(.engine = label)) };
    bench_require(engine.recorder != NULL, "a recorder");
    engine.operation = kvtel_recorder_operation(engine.recorder, NULL, NULL);
    for (int i = 0; i < COUNTERS; i++)
        engine.counters[i] = kvtel_recorder_instrument(engine.recorder, counters[i], NULL, 0);
    for (long i = 0; i < lanes; i++)
        bench_require(kvtel_lane_open(store, &engine.lanes[i]) == KVTEL_OK, "a lane");
    return engine;
}

/* Records one of the transfers, and adds 1 to each counter. */
static void record(const struct engine *engine, const struct kvtel_transfer *transfer)
{
    bench_require(kvtel_record_transfer(engine->recorder, transfer), "a transfer");
    for (int i = 0; i < COUNTERS; i++)
        bench_require(kvtel_record_value(engine->counters[i], 1), counters[i]);
    for (int i = 0; i < LANES && engine->lanes[i]; i++)
        bench_require(kvtel_lane_record(engine->lanes[i], engine->operation, transfer), "a transfer of a lane");
}

static void churn(const char *dir, long count, const struct kvtel_transfer *transfers)
{
    for (long i = 0; i < count; i++) {
        struct kvtel_store *store = record_store(dir, (uint32_t)(i % ENGINES_OF_CHURN));
        struct engine engine = open_engine(store, (unsigned)(i % ENGINES_OF_CHURN), 0);
        record(&engine, &transfers[i % RECORD_VALUES]);
        kvtel_recorder_destroy(engine.recorder);
        kvtel_store_close(store);
    }
}

static void obey(const char *dir, const struct engine *engines, long engine_count)
{
    const struct kvtel_transfer *transfers = record_transfers();
    char line[64];
    for (long turn = 0; fgets(line, sizeof line, stdin); turn++) {
        long count;
        if (sscanf(line, "record %ld", &count) == 1) {
            for (long i = 0; i < count && i < engine_count; i++)
                record(&engines[i], &transfers[(i + turn) % RECORD_VALUES]);
        } else if (sscanf(line, "churn %ld", &count) == 1) {
            churn(dir, count, transfers);
        }
        puts("done");
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    bench_require(argc == 4 || argc == 5, "usage: load_stores DIR STORES ENGINES [LANES]");
    const long lanes = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
    bench_require(lanes >= 0 && lanes <= LANES, "at most 16 lanes");
    long store_count = strtol(argv[2], NULL, 10), engines_each = strtol(argv[3], NULL, 10);
    struct rlimit files = { (rlim_t)store_count + 100, (rlim_t)store_count + 100 };
    (void)setrlimit(RLIMIT_NOFILE, &files);
    struct kvtel_store **stores = calloc((size_t)store_count + 1, sizeof(struct kvtel_store *));
    struct engine *engines = calloc((size_t)(store_count * engines_each) + 1, sizeof *engines);
    bench_require(stores && engines, "memory");
    for (long i = 0; i < store_count; i++) {
        stores[i] = record_store(argv[1], (uint32_t)i);
        for (long j = i * engines_each; j < (i + 1) * engines_each; j++) {
            engines[j] = open_engine(stores[i], (unsigned)j, lanes);
            for (int k = 0; k < FIRST_TRANSFERS; k++)
                record(&engines[j], &record_transfers()[k % RECORD_VALUES]);
        }
    }
    puts("done");
    fflush(stdout);
    obey(argv[1], engines, store_count * engines_each);
    for (long j = 0; j < store_count * engines_each; j++)
        kvtel_recorder_destroy(engines[j].recorder);
    for (long i = 0; i < store_count; i++)
        kvtel_store_close(stores[i]);
    free(engines);
    free(stores);
    return 0;
}
