/* SPDX-License-Identifier: Apache-2.0 */
/* Each way to record, as a function that takes it RECORD_WINDOW times: for bench_record.c, and for
 * tests/instructions/paths.c, which counts instructions. */
#ifndef KVTEL_BENCH_RECORD_PATHS_H
#define KVTEL_BENCH_RECORD_PATHS_H

#include "record_load.h"

#include "record/recorder.h"

#include <kvtel/recorder.h>

static inline const struct kvtel_transfer *record_transfers(void)
{
    static struct kvtel_transfer made[RECORD_VALUES];
    struct record_value values[RECORD_VALUES];
    if (made[0].bytes > 0)
        return made;
    record_fill(values);
    for (int i = 0; i < RECORD_VALUES; i++) {
        made[i].duration_ns = (uint64_t)(values[i].seconds * 1e9 + 0.5);
        made[i].post_ns = (uint64_t)(values[i].post_seconds * 1e9 + 0.5);
        made[i].bytes = (uint64_t)values[i].bytes;
        made[i].descriptors = (uint64_t)values[i].descriptors;
    }
    return made;
}

/* Makes a store, which is a file unless `dir` is NULL. */
static inline struct kvtel_store *record_store(const char *dir, uint32_t engine)
{
    const struct kvtel_store_options *options =
        KVTEL_STORE_OPTIONS(.model_name = "model", .engine = engine, .dir = dir);
    struct kvtel_store *store = dir ? kvtel_store_open(options) : kvtel_store_create(options);
    bench_require(store && (!dir || kvtel_store_path(store)), "a store");
    return store;
}

static inline void record_store_close(struct kvtel_store *store)
{
    if (kvtel_store_path(store))
        (void)unlink(kvtel_store_path(store));
    kvtel_store_close(store);
}

#define RECORD_OPEN "begin and end a NIXL transfer"

/* What the window of a path uses. */
struct path_load {
    const struct kvtel_transfer *transfers; /* RECORD_VALUES */
    struct kvtel_store *store;
    struct kvtel_recorder *recorder;
    const struct kvtel_operation *operation;
    const struct kvtel_instrument *instrument;
    struct kvtel_lane *lane;
    uint32_t series;
};

static inline void record_window(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_transfer(path->recorder, &path->transfers[i % RECORD_VALUES]);
}

/* Fills the struct right before each call, as an engine does that has just measured its numbers. */
static inline void record_filled(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        const struct kvtel_transfer *from = &path->transfers[i % RECORD_VALUES];
        struct kvtel_transfer transfer = { 0 };
        transfer.duration_ns = from->duration_ns;
        transfer.post_ns = from->post_ns;
        transfer.bytes = from->bytes;
        transfer.descriptors = from->descriptors;
        __asm__ volatile("" : : "r"(&transfer) : "memory"); /* the stores are done one by one, before the call */
        (void)kvtel_record_transfer(path->recorder, &transfer);
    }
}

/* Records in an order that a processor cannot learn. */
static inline void record_shuffled(void *context)
{
    enum { ORDER = 1 << 14 };
    static uint8_t order[ORDER];
    const struct path_load *path = context;
    for (uint64_t i = 0, seed = 7; order[0] == 0 && i < ORDER; i++)
        order[i] = (uint8_t)(1 + record_uniform(&seed) * (RECORD_VALUES - 1));
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_transfer(path->recorder, &path->transfers[order[i % ORDER]]);
}

/* Each number is an explicit bound of its histogram. */
static inline void record_bounds(void *context)
{
    const struct path_load *path = context;
    const struct kvtel_transfer transfer = {
        .duration_ns = 5000000, .post_ns = 1000000, .bytes = 10485760, .descriptors = 20
    };
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_transfer(path->recorder, &transfer);
}

static inline void record_batches(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i += RECORD_VALUES)
        (void)kvtel_record_transfers(path->operation, path->transfers,
                                     RECORD_WINDOW - i < RECORD_VALUES ? (size_t)(RECORD_WINDOW - i) : RECORD_VALUES);
}

static inline void record_unmeasured(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        struct kvtel_transfer transfer = path->transfers[i % RECORD_VALUES];
        transfer.post_ns = i % 3 == 0 ? 0 : transfer.post_ns;
        transfer.descriptors = i % 2 == 0 ? 0 : transfer.descriptors;
        (void)kvtel_record_transfer(path->recorder, &transfer);
    }
}

/* Records transfers of which only half give the time of the first byte. */
static inline void record_points(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        struct kvtel_transfer transfer = path->transfers[i % RECORD_VALUES];
        transfer.submitted_ns = 1000000000;
        transfer.done_ns = transfer.submitted_ns + transfer.duration_ns;
        transfer.first_byte_ns = i % 2 == 0 ? transfer.submitted_ns + transfer.duration_ns / 4 : 0;
        (void)kvtel_record_transfer(path->recorder, &transfer);
    }
}

/* Begins and ends each transfer, with the times that the caller has. */
static inline void record_open(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        const struct kvtel_transfer *transfer = &path->transfers[i % RECORD_VALUES];
        const struct kvtel_transfer_start start = { .bytes = transfer->bytes, .began_ns = 1000000000, .peer = 1 };
        struct kvtel_transfer_token token = kvtel_transfer_begin(path->operation, &start);
        (void)kvtel_transfer_end(&token, transfer);
    }
}

/* The same, where both calls read the clock. */
static inline void record_open_timed(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        const struct kvtel_transfer_start start = { .bytes = path->transfers[i % RECORD_VALUES].bytes, .peer = 1 };
        struct kvtel_transfer_token token = kvtel_transfer_begin(path->operation, &start);
        (void)kvtel_transfer_end(&token, NULL);
    }
}

/* Leaves each transfer as an exemplar with a trace and a request. Its time is given: a clock would be read otherwise.
 */
static inline void record_exemplars(void *context)
{
    const struct path_load *path = context;
    struct kvtel_exemplar exemplar = { .time_ns = 1 };
    bench_require(
        kvtel_exemplar_add_traceparent(&exemplar, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") &&
            kvtel_exemplar_add(&exemplar, "request_id", "cmpl-0123456789abcdef"),
        "labels");
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_exemplar(path->operation, &path->transfers[i % RECORD_VALUES], &exemplar);
}

static inline void record_operations(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_operation(path->operation, &path->transfers[i % RECORD_VALUES]);
}

static inline void record_values(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_record_value(path->instrument, 1);
}

/* Observes into one series; where that is a series of a recorder's group, the other columns stay without a value. */
static inline void record_observations(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++) {
        double seconds = (double)path->transfers[i % RECORD_VALUES].duration_ns / 1e9;
        (void)kvtel_lane_observe(path->lane, path->series, &seconds, 1);
    }
}

static inline void record_increases(void *context)
{
    const struct path_load *path = context;
    for (int i = 0; i < RECORD_WINDOW; i++)
        (void)kvtel_lane_increase(path->lane, path->series, 1);
}

/* Ways of recording that leave columns without a value, or that write more than a row, must cost about as much as a
 * NIXL transfer, because noting absent values takes constant time. */
static const struct record_path {
    const char *name;
    const char *connector;
    void (*window)(void *context);
    double bar;              /* 0: from the first path */
    bool against;            /* the bar of the peer */
    const char *finder;      /* the way to find cells, which a processor without AVX2 and FMA has; NULL: its own */
    bool windows;            /* the recorder's option */
    uint32_t open_transfers; /* likewise */
    bool exemplars;          /* likewise */
    bool counter;            /* the series is one, not a histogram */
    bool own_series;         /* the series is in no recorder's group */
} record_paths[] = {
    { .name = "record a NIXL transfer", .connector = "NixlConnector", .window = record_window, .bar = 6.5 },
    { .name = RECORD_ROW_FILLED, .connector = "NixlConnector", .window = record_filled, .bar = 8.5, .against = true },
    { .name = RECORD_ROW_RANDOM, .connector = "NixlConnector", .window = record_shuffled, .bar = 6.5 },
    { .name = "record a NIXL transfer without AVX2 and FMA",
      .connector = "NixlConnector",
      .window = record_shuffled,
      .bar = 9.5,
      .finder = "SSE2" },
    { .name = "record a NIXL transfer, each number on a bound", .connector = "NixlConnector", .window = record_bounds },
    { .name = "record NIXL transfers in batches of 64, a transfer",
      .connector = "NixlConnector",
      .window = record_batches,
      .bar = 4.5 },
    { .name = "record a NIXL transfer with .windows and no point in time",
      .connector = "NixlConnector",
      .window = record_window,
      .windows = true },
    { .name = "record a NIXL transfer with .windows, every other with a first byte",
      .connector = "NixlConnector",
      .window = record_points,
      .windows = true },
    { .name = "record a NIXL transfer with an exemplar, its time given",
      .connector = "NixlConnector",
      .window = record_exemplars,
      .exemplars = true },
    { .name = "record a NIXL transfer without post or descriptors now and then",
      .connector = "NixlConnector",
      .window = record_unmeasured },
    { .name = RECORD_OPEN, .connector = "NixlConnector", .window = record_open, .open_transfers = 64 },
    { .name = "begin and end a NIXL transfer, both reading the clock",
      .connector = "NixlConnector",
      .window = record_open_timed,
      .open_transfers = 64 },
    { .name = "record an operation of a store with a status",
      .connector = "MooncakeStoreConnector",
      .window = record_operations },
    { .name = "record an operation that counts", .connector = "UMBPStoreConnector", .window = record_operations },
    { .name = "record a failure", .connector = "NixlConnector", .window = record_values },
    { .name = "observe a series of a recorder's group", .connector = "NixlConnector", .window = record_observations },
    { .name = "observe a series of its own",
      .connector = "NixlConnector",
      .window = record_observations,
      .own_series = true },
    { .name = "increase a counter of a lane",
      .connector = "NixlConnector",
      .window = record_increases,
      .counter = true },
};

/* Makes a series of the connector's first metric of its type. */
static inline uint32_t path_series(struct kvtel_store *store, const struct kvtel_connector *connector,
                                   const struct record_path *path)
{
    const struct kvtel_metric *metric = connector->metrics;
    while (metric->type != (path->counter ? KVTEL_COUNTER : KVTEL_HISTOGRAM))
        metric++;
    const struct kvtel_family_spec spec = { .name = path->own_series ? "own" : metric->name,
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

/* Makes a group find its cells in the way of this name, if the machine has it. */
static inline void path_choose(const struct kvtel_row_group *group, const char *name)
{
    for (const struct kvtel_finder *finder = kvtel_finders; name && finder->name; finder++)
        if (strcmp(finder->name, name) == 0)
            ((struct kvtel_row_group *)(uintptr_t)group)->finder = finder;
}

static inline struct path_load path_open(const struct record_path *path, const char *dir)
{
    const struct kvtel_connector *connector = kvtel_connector_find(path->connector);
    struct path_load load = { .transfers = record_transfers(), .store = record_store(dir, 0) };
    load.recorder =
        kvtel_recorder_create(load.store, connector,
                              KVTEL_RECORDER_OPTIONS(.windows = path->windows, .open_transfers = path->open_transfers,
                                                     .exemplars = path->exemplars));
    bench_require(load.recorder != NULL, "a recorder");
    bool columns = connector->payload_kind == KVTEL_PAYLOAD_COLUMNS;
    load.operation = kvtel_recorder_operation(load.recorder, columns ? NULL : "load", "ok");
    path_choose(load.operation->group, path->finder);
    load.instrument = kvtel_recorder_instrument(load.recorder, "num_failed_transfers", NULL, 0);
    bench_require(kvtel_lane_open(load.store, &load.lane) == KVTEL_OK, "a lane");
    if (columns)
        load.series = path_series(load.store, connector, path);
    return load;
}

static inline void path_close(struct path_load *load)
{
    kvtel_recorder_destroy(load->recorder);
    record_store_close(load->store);
}

#endif
