/* SPDX-License-Identifier: Apache-2.0 */
/* What the exporter's history costs for 256 engines that all work: a point, an answer, and its memory. */
#include "bench.h"
#include "history/history.h"
#include "report/snapshot_summary.h"
#include "report/summary_json.h"

#include <kvtel/kvtel.h>
#include <math.h>
#include <unistd.h>

enum { ENGINES = 256, TRANSFERS = 50, POINTS = 720, TIMED = 40 };
static const double STEP = 5;

static struct kvtel_store *stores[ENGINES];
static struct kvtel_recorder *recorders[ENGINES];
static struct kvtel_snapshot *snapshot;
static struct history *history;
static double point_ns[TIMED], clock_seconds;

/* CPU time, so that other work on the machine does not count. */
static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double median_cpu_ns(void (*run_round)(void *context), void *context)
{
    double times[BENCH_FEWEST_ROUNDS];
    for (int i = 0; i < BENCH_FEWEST_ROUNDS; i++) {
        const double began = cpu_ns();
        run_round(context);
        times[i] = cpu_ns() - began;
    }
    qsort(times, BENCH_FEWEST_ROUNDS, sizeof *times, bench_compare);
    return times[BENCH_FEWEST_ROUNDS / 2];
}

/* Some transfers in each engine, of times and sizes that differ. */
static void work(void)
{
    static unsigned random = 1;
    for (int engine = 0; engine < ENGINES; engine++) {
        for (int i = 0; i < TRANSFERS; i++) {
            random = random * 1103515245 + 12345;
            const double factor = exp2((double)(random >> 8 & 0xffff) / 16384);
            const struct kvtel_transfer transfer = { .duration_ns = (uint64_t)(1e6 * factor),
                                                     .post_ns = (uint64_t)(1e5 * factor),
                                                     .bytes = 1 << (16 + (random >> 24) % 6),
                                                     .descriptors = 16 };
            kvtel_record_transfer(recorders[engine], &transfer);
        }
    }
}

/* Reads all stores, and makes a point. @return ns of CPU for the point */
static double take(void)
{
    struct kvtel_snapshot_summary made;
    kvtel_snapshot_reset(snapshot);
    for (int engine = 0; engine < ENGINES; engine++)
        bench_require(kvtel_snapshot_add(snapshot, stores[engine]) == KVTEL_OK, "snapshot");
    const double began = cpu_ns();
    bench_require(kvtel_snapshot_summary_init(&made, NULL, snapshot, SUMMARY_ENTRIES) == KVTEL_OK, "summary");
    bench_require(history_take(history, &made, 1.8e9 + clock_seconds, (uint64_t)(clock_seconds * 1e9) + 1) == KVTEL_OK,
                  "point");
    kvtel_snapshot_summary_close(&made);
    clock_seconds += STEP;
    return cpu_ns() - began;
}

static void answer(void *context)
{
    struct kvtel_buffer *json = context;
    json->size = 0;
    bench_require(history_write_json(history, 1.8e9 + clock_seconds, json) == KVTEL_OK, "JSON");
}

static void save(void *context)
{
    bench_require(history_save(history, context, NULL) == KVTEL_OK, "a file in shared memory");
}

int main(void)
{
    struct kvtel_buffer json = { 0 };
    char dir[] = "/dev/shm/kvtel-bench-XXXXXX";
    snapshot = kvtel_snapshot_create();
    history = history_create(3600);
    bench_require(snapshot && history && mkdtemp(dir), "memory");
    for (int i = 0; i < ENGINES; i++) {
        stores[i] = kvtel_store_create(KVTEL_STORE_OPTIONS(.model_name = "m", .engine = (uint32_t)i));
        bench_require(stores[i] != NULL, "store");
        recorders[i] = kvtel_recorder_create(stores[i], kvtel_connector_find("NixlConnector"), NULL);
        bench_require(recorders[i] != NULL, "recorder");
    }
    for (int i = 0; i <= POINTS; i++) {
        work();
        point_ns[i % TIMED] = take();
    }
    qsort(point_ns, TIMED, sizeof *point_ns, bench_compare);
    bench_report("history of 256 engines: a point, each 5 s: CPU", point_ns[TIMED / 2] / 1e6, "ms", 0);
    bench_report("history of 256 engines: an hour in memory", (double)history_memory(history) / 1e6, "MB", 16);
    bench_report("history of 256 engines: the hour as JSON: CPU", median_cpu_ns(answer, &json) / 1e6, "ms", 0);
    bench_report("history of 256 engines: size as JSON", (double)json.size / 1e6, "MB", 0);
    bench_report("history of 256 engines: the file written, each 60 s: CPU", median_cpu_ns(save, dir) / 1e6, "ms", 0);
    history_destroy(history);
    kvtel_buffer_free(&json);
    char path[64];
    (void)snprintf(path, sizeof path, "%s/history.kvtel-history", dir);
    (void)unlink(path);
    return rmdir(dir) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
