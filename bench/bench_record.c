/* SPDX-License-Identifier: Apache-2.0 */
/* Recording, folding, snapshots and scrapes of stores. */
#include "record_load.h"

#include <kvtel/reader.h>
#include <kvtel/recorder.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { STORES = 1000, LANES = 8, FOLDS = 4000, BLOCK = 256 };

static const struct kvtel_transfer *transfers(void)
{
    static struct kvtel_transfer made[RECORD_VALUES];
    struct record_value values[RECORD_VALUES];
    record_fill(values);
    for (int i = 0; i < RECORD_VALUES; i++) {
        made[i].duration_ns = (uint64_t)(values[i].seconds * 1e9 + 0.5);
        made[i].post_ns = (uint64_t)(values[i].post_seconds * 1e9 + 0.5);
        made[i].bytes = (uint64_t)values[i].bytes;
        made[i].descriptors = (uint64_t)values[i].descriptors;
    }
    return made;
}

struct load {
    struct kvtel_recorder *recorder;
    const struct kvtel_transfer *transfers;
};

static void record_window(void *context)
{
    const struct load *load = context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_transfer(load->recorder, &load->transfers[i % RECORD_VALUES]);
}

/* The slowest call of each block is the one that folds. Interrupts must not count: the slowest of a hundred blocks
 * is left out. */
static double fold_us(const struct load *load)
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

/* Ways of recording that leave columns without a value, or that write more than a row. Each must cost about as much
 * as a NIXL transfer, because noting absent values takes constant time. */
struct option_path {
    const char *name;
    const char *connector;
    bool windows;
    void (*window)(void *context);
};

struct path_load {
    struct load load;
    const struct kvtel_operation *operation;
    const struct kvtel_instrument *instrument;
    struct kvtel_lane *lane;
    uint32_t series;
};

static struct kvtel_transfer without(const struct kvtel_transfer *transfer, bool post, bool descriptors)
{
    struct kvtel_transfer made = *transfer;
    made.post_ns = post ? 0 : made.post_ns;
    made.descriptors = descriptors ? 0 : made.descriptors;
    return made;
}

static void record_unmeasured(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        const struct kvtel_transfer transfer =
            without(&path->load.transfers[i % RECORD_VALUES], i % 3 == 0, i % 2 == 0);
        (void)kvtel_record_transfer(path->load.recorder, &transfer);
    }
}

/* Records transfers of which only half give the time of the first byte. */
static void record_points(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        struct kvtel_transfer transfer = path->load.transfers[i % RECORD_VALUES];
        transfer.submitted_ns = 1000000000;
        transfer.done_ns = transfer.submitted_ns + transfer.duration_ns;
        transfer.first_byte_ns = i % 2 == 0 ? transfer.submitted_ns + transfer.duration_ns / 4 : 0;
        (void)kvtel_record_transfer(path->load.recorder, &transfer);
    }
}

static void record_operations(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_operation(path->operation, &path->load.transfers[i % RECORD_VALUES]);
}

static void record_values(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_value(path->instrument, 1);
}

/* Observes into a series of a recorder's group; the other columns stay without a value. */
static void observe_group(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        double seconds = (double)path->load.transfers[i % RECORD_VALUES].duration_ns / 1e9;
        (void)kvtel_lane_observe(path->lane, path->series, &seconds, 1);
    }
}

static void increase(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_lane_increase(path->lane, path->series, 1);
}

static const struct option_path option_paths[] = {
    { "record a NIXL transfer with .windows and no point in time", "NixlConnector", true, record_window },
    { "record a NIXL transfer with .windows, every other with a first byte", "NixlConnector", true, record_points },
    { "record a NIXL transfer without post or descriptors now and then", "NixlConnector", false, record_unmeasured },
    { "record an operation of a store with a status", "MooncakeStoreConnector", false, record_operations },
    { "record an operation that counts", "UMBPStoreConnector", false, record_operations },
    { "record a failure", "NixlConnector", false, record_values },
    { "observe a series of a recorder's group", "NixlConnector", false, observe_group },
    { "increase a counter of a lane", "NixlConnector", false, increase },
};

static struct kvtel_store *open_store(const char *dir, uint32_t engine)
{
    struct kvtel_store *store =
        kvtel_store_open(KVTEL_STORE_OPTIONS(.model_name = "model", .engine = engine, .dir = dir));
    bench_require(store && kvtel_store_path(store), "a store in shared memory");
    return store;
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
        struct kvtel_store *store = open_store(dir, (uint32_t)i);
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
    struct kvtel_store *store = open_store(dir, 0);
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL);
    struct load load = { recorder, made };
    double before = kib_of(store);
    (void)kvtel_record_transfer(recorder, &made[0]);
    double lane = kib_of(store) - before;
    for (int i = 0; i < 50; i++)
        record_window(&load);
    bench_require(kib_of(store) - before == lane, "a lane of constant size");
    (void)unlink(kvtel_store_path(store));
    kvtel_recorder_destroy(recorder);
    kvtel_store_close(store);
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
    struct kvtel_store *store = open_store(dir, 0);
    struct load load = { kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"), NULL), made };
    double one = 0;
    for (int threads = 1; threads <= RECORD_THREADS && threads <= record_processors(); threads *= 2) {
        double ns = record_median_ns(record_window, &load, threads);
        if (threads == 1)
            one = ns;
        if (ns > 0)
            bench_report(record_row(threads), ns, "ns",
                         threads > 1 && one * 1.05 > 10 ? one * 1.05 : 10); /* no slower, within noise */
    }
    bench_report("the call that folds 256 transfers, 95th percentile", fold_us(&load), "us", 5);
    (void)unlink(kvtel_store_path(store));
    kvtel_recorder_destroy(load.recorder);
    kvtel_store_close(store);
}

/* Makes the first series of the connector's first family, or of its first counter. */
static uint32_t first_series(struct kvtel_store *store, const struct kvtel_connector *connector,
                             enum kvtel_metric_type type)
{
    const struct kvtel_metric *metric = connector->metrics;
    while (metric->type != type)
        metric++;
    const struct kvtel_family_spec spec = { .name = metric->name,
                                            .type = metric->type,
                                            .help = metric->help,
                                            .labelnames = (const char *const[]){ "model_name", "engine" },
                                            .label_count = 2,
                                            .buckets = metric->buckets,
                                            .unit = metric->unit };
    uint32_t family, series;
    bench_require(kvtel_store_family(store, &spec, &family) == KVTEL_OK, "a family");
    bench_require(kvtel_store_series(store, family, (const char *const[]){ "model", "0" }, 2, &series) == KVTEL_OK,
                  "a series");
    return series;
}

static void bench_option_paths(const char *dir, const struct kvtel_transfer *made)
{
    for (size_t i = 0; i < sizeof option_paths / sizeof *option_paths; i++) {
        const struct option_path *path = &option_paths[i];
        const struct kvtel_connector *connector = kvtel_connector_find(path->connector);
        struct kvtel_store *store = open_store(dir, 0);
        struct path_load load = { .load.transfers = made };
        load.load.recorder = kvtel_recorder_create(store, connector, KVTEL_RECORDER_OPTIONS(.windows = path->windows));
        load.operation = kvtel_recorder_operation(
            load.load.recorder, connector->payload_kind == KVTEL_PAYLOAD_COLUMNS ? NULL : "load", "ok");
        load.instrument = kvtel_recorder_instrument(load.load.recorder, "num_failed_transfers", NULL, 0);
        bench_require(kvtel_lane_open(store, &load.lane) == KVTEL_OK, "a lane");
        if (connector->payload_kind == KVTEL_PAYLOAD_COLUMNS)
            load.series = first_series(store, connector, path->window == increase ? KVTEL_COUNTER : KVTEL_HISTOGRAM);
        bench_report(path->name, record_median_ns(path->window, &load, 1), "ns", 50);
        (void)unlink(kvtel_store_path(store));
        kvtel_recorder_destroy(load.load.recorder);
        kvtel_store_close(store);
    }
}

int main(void)
{
    char dir[] = "/dev/shm/kvtel-bench-XXXXXX";
    bench_require(mkdtemp(dir) != NULL, "a directory in shared memory");
    const struct kvtel_transfer *made = transfers();
    bench_recording(dir, made);
    bench_option_paths(dir, made);
    bench_report("read CLOCK_MONOTONIC", bench_median_ns(read_clock, NULL) / RECORD_WINDOW, "ns", 0);
    bench_report("read the tick counter", bench_median_ns(read_ticks, NULL) / RECORD_WINDOW, "ns", 0);
    bench_report("memory of a lane for NIXL", lane_kib(dir, made), "KiB", 256);

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
