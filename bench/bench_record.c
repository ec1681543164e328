/* SPDX-License-Identifier: Apache-2.0 */
/* Recording, folding, snapshots and scrapes of stores. */
#include "record_paths.h"

#include <kvtel/reader.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { STORES = 1000, LANES = 8, FOLDS = 4000, BLOCK = 256 };

/* The slowest call of each block is the one that folds. Interrupts must not count: the slowest of a hundred blocks
 * is left out. */
static double fold_us(const struct path_load *load)
{
    double *times = calloc(FOLDS, sizeof *times);
    bench_require(times != NULL, "memory");
    for (int i = 0; i < FOLDS * BLOCK; i++) {
        double start = bench_now_ns();
        (void)kvtel_record_transfer(load->recorder, &load->transfers[i % RECORD_VALUES]);
        double ns = bench_now_ns() - start;
        times[i / BLOCK] = ns > times[i / BLOCK] ? ns : times[i / BLOCK];
    }
    qsort(times, FOLDS, sizeof *times, bench_compare);
    double slowest = times[FOLDS - 1 - FOLDS / 20];
    free(times);
    return slowest / 1e3;
}

/* Fills eight lanes with one folded block and some pending rows each. */
static void fill_lanes(struct kvtel_store *store, struct kvtel_recorder *recorder, const struct kvtel_transfer *made)
{
    const struct kvtel_operation *operation = kvtel_recorder_operation(recorder, NULL, NULL);
    for (int lane_at = 0; lane_at < LANES; lane_at++) {
        struct kvtel_lane *lane;
        bench_require(kvtel_lane_open(store, &lane) == KVTEL_OK, "a lane");
        for (int i = 0; i < BLOCK + BLOCK / 2; i++)
            bench_require(kvtel_lane_record(lane, operation, &made[i % RECORD_VALUES]), "recording");
    }
}

struct scrape {
    struct kvtel_snapshot *snapshot;
    struct kvtel_store_reader *readers[STORES];
    int count;
};

static void scrape_all(void *context)
{
    struct scrape *scrape = context;
    kvtel_snapshot_reset(scrape->snapshot);
    enum kvtel_status status =
        kvtel_snapshot_add_readers(scrape->snapshot, scrape->readers, (size_t)scrape->count, NULL);
    bench_require(status == KVTEL_OK, "reading the stores");
}

static void make_stores(struct scrape *scrape, const char *dir, const struct kvtel_transfer *made)
{
    struct rlimit files = { STORES + 100, STORES + 100 };
    (void)setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 0; i < STORES; i++) {
        struct kvtel_store *store = record_store(dir, (uint32_t)i);
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
        fill_lanes(store, recorder, made);
        bench_require(kvtel_store_reader_open(kvtel_store_path(store), &scrape->readers[i], NULL) == KVTEL_OK,
                      "opening a store");
        (void)unlink(kvtel_store_path(store));
        kvtel_recorder_destroy(recorder);
        kvtel_store_close(store);
    }
    scrape->count = STORES;
}

static double kib_of(const struct kvtel_store *store)
{
    struct stat status;
    bench_require(stat(kvtel_store_path(store), &status) == 0, "a file's size");
    return (double)status.st_blocks / 2;
}

/* The size of one more lane in the file. Recording must not take more. */
static double lane_kib(const char *dir, const struct kvtel_transfer *made)
{
    struct kvtel_store *store = record_store(dir, 0);
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    struct path_load load = { .transfers = made, .store = store, .recorder = recorder };
    bench_require(kvtel_lane_open(store, &load.lane) == KVTEL_OK, "a lane"); /* lines of lanes share a page */
    double before = kib_of(store);
    (void)kvtel_record_transfer(recorder, &made[0]);
    double lane = kib_of(store) - before;
    for (int i = 0; i < 50; i++)
        record_window(&load);
    bench_require(kib_of(store) - before == lane, "a lane of constant size");
    kvtel_recorder_destroy(recorder);
    record_store_close(store);
    return lane;
}

static volatile uint64_t clock_sink;

static void read_clock(void *context)
{
    (void)context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        clock_sink = kvtel_now_ns();
}

static void read_ticks(void *context)
{
    (void)context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        clock_sink = kvtel_ticks_now();
}

static void bench_recording(const char *dir, const struct kvtel_transfer *made)
{
    struct kvtel_store *store = record_store(dir, 0);
    struct path_load load = {
        .transfers = made,
        .store = store,
        .recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL),
    };
    double one = 0;
    for (int threads = 1; threads <= RECORD_THREADS && threads <= record_processors(); threads *= 2) {
        double ns = record_median_ns(record_window, &load, threads);
        if (threads == 1)
            one = ns;
        if (ns > 0)
            bench_report_against(record_row(threads), ns, "ns", threads > 1 && one * 1.05 > 6.5 ? one * 1.05 : 6.5,
                                 RECORD_LOCAL, RECORD_TIMES); /* no slower, within noise */
    }
    bench_report("the call that folds 256 transfers, 95th percentile", fold_us(&load), "us", 1.8);
    kvtel_recorder_destroy(load.recorder);
    record_store_close(store);
}

/* The first path is the plain row, and each other without a bar of its own may take twice as long; a begin and its end
 * 25 ns more; and what reads the clock as long as it takes. */
static double bar_of(const struct record_path *path, double plain)
{
    if (path->bar > 0)
        return path->bar;
    return path->window == record_open ? plain + 25 : path->window == record_open_timed ? 0 : 2 * plain;
}

static void bench_paths(const char *dir)
{
    double plain = 0;
    for (size_t i = 0; i < sizeof record_paths / sizeof *record_paths; i++) {
        const struct record_path *path = &record_paths[i];
        struct path_load load = path_open(path, dir);
        double ns = record_median_ns(path->window, &load, 1);
        bench_report_against(path->name, ns, "ns", bar_of(path, plain), path->against ? RECORD_LOCAL : NULL,
                             RECORD_TIMES);
        plain = i == 0 ? ns : plain;
        path_close(&load);
    }
}

int main(void)
{
    char dir[] = "/dev/shm/kvtel-bench-XXXXXX";
    bench_require(mkdtemp(dir) != NULL, "a directory in shared memory");
    const struct kvtel_transfer *made = record_transfers();
    bench_recording(dir, made);
    bench_paths(dir);
    bench_report("read CLOCK_MONOTONIC", bench_median_ns(read_clock, NULL) / RECORD_WINDOW, "ns", 0);
    bench_report("read the tick counter", bench_median_ns(read_ticks, NULL) / RECORD_WINDOW, "ns", 0);
    bench_report("memory of a lane for NIXL", lane_kib(dir, made), "KiB", 160);

    struct scrape *scrape = calloc(1, sizeof *scrape);
    bench_require(scrape && (scrape->snapshot = kvtel_snapshot_create()), "memory");
    make_stores(scrape, dir, made);
    scrape->count = 1;
    bench_report("snapshot of a store of 8 lanes", bench_median_ns(scrape_all, scrape) / 1e3, "us", 0);
    scrape->count = STORES;
    bench_report("scrape of 1,000 stores of 8 lanes", bench_median_ns(scrape_all, scrape) / 1e6, "ms", 50);
    for (int i = 0; i < STORES; i++)
        kvtel_store_reader_close(scrape->readers[i]);
    kvtel_snapshot_destroy(scrape->snapshot);
    free(scrape);
    (void)rmdir(dir);
    return 0;
}
