/* SPDX-License-Identifier: Apache-2.0 */
/* Takes each path, for gate.py, which counts their instructions under callgrind. Stores are in the heap: valgrind does
 * not know the file's mapping. */
#include "record_paths.h"

#include <kvtel/kvtel.h>
#include <valgrind/callgrind.h>

enum { ENGINES = 20, SCRAPES = 20, PAYLOADS = 40, TRANSFERS = 500 };

/* Counts a path's instructions under a name, which ends with the number of units that they are divided by. */
static void count(const char *name, void (*path)(void *context), void *context, size_t units)
{
    char trigger[128];
    snprintf(trigger, sizeof trigger, "%s / %zu", name, units);
    path(context); /* what is done once only is not counted: a thread's lane, a buffer's memory */
    CALLGRIND_ZERO_STATS;
    path(context);
    CALLGRIND_DUMP_STATS_AT(trigger);
}

static void count_recording(void)
{
    for (size_t i = 0; i < sizeof record_paths / sizeof *record_paths; i++) {
        if (record_paths[i].window == record_open_timed)
            continue; /* under valgrind the clock is a system call */
        struct path_load load = path_open(&record_paths[i], NULL);
        count(record_paths[i].name, record_paths[i].window, &load, RECORD_WINDOW);
        path_close(&load);
    }
}

struct scrape {
    struct kvtel_store *store;
    struct kvtel_recorder *engines[ENGINES];
    struct kvtel_snapshot *snapshot;
    struct kvtel_buffer text;
};

static void read_store(void *context)
{
    struct scrape *scrape = context;
    for (int i = 0; i < SCRAPES; i++) {
        kvtel_snapshot_destroy(scrape->snapshot);
        scrape->snapshot = kvtel_snapshot_create();
        bench_require(kvtel_snapshot_add(scrape->snapshot, scrape->store) == KVTEL_OK, "a snapshot");
    }
}

/* As a program does that is scraped: each engine recorded since the last time. */
static void read_changes(void *context)
{
    struct scrape *scrape = context;
    for (int i = 0; i < SCRAPES; i++) {
        for (int engine = 0; engine < ENGINES; engine++)
            (void)kvtel_record_transfer(scrape->engines[engine], &record_transfers()[i % RECORD_VALUES]);
        kvtel_snapshot_reset(scrape->snapshot);
        bench_require(kvtel_snapshot_add(scrape->snapshot, scrape->store) == KVTEL_OK, "a snapshot");
    }
}

static void encode(void *context)
{
    struct scrape *scrape = context;
    for (int i = 0; i < SCRAPES; i++) {
        scrape->text.size = 0;
        bench_require(kvtel_exposition_text(scrape->snapshot, &scrape->text) == KVTEL_OK, "text");
    }
}

static size_t lines_of(const struct kvtel_buffer *text)
{
    size_t lines = 0;
    for (size_t i = 0; i < text->size; i++)
        lines += text->bytes[i] == '\n';
    return lines;
}

/* Makes a store in which as many engines recorded, through one lane. */
static struct kvtel_store *scraped_store(struct kvtel_recorder **engines)
{
    struct kvtel_store *store = record_store(NULL, 0);
    const struct kvtel_transfer *transfers = record_transfers();
    for (int engine = 0; engine < ENGINES; engine++) {
        char number[16];
        snprintf(number, sizeof number, "%d", engine);
        struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find("NixlConnector"),
                                                                KVTEL_RECORDER_OPTIONS(.engine = number));
        bench_require(recorder != NULL, "a recorder");
        for (int i = 0; i < 400; i++)
            (void)kvtel_record_transfer(recorder, &transfers[i % RECORD_VALUES]);
        engines[engine] = recorder;
    }
    return store;
}

static void count_scrape(void)
{
    struct scrape scrape = { .snapshot = kvtel_snapshot_create() };
    scrape.store = scraped_store(scrape.engines);
    bench_require(scrape.snapshot != NULL, "a snapshot");
    read_store(&scrape);
    encode(&scrape);
    size_t lines = lines_of(&scrape.text);
    bench_require(lines > 60 * ENGINES, "lines");
    count("scrape: a new snapshot of a store, for a line", read_store, &scrape, SCRAPES * lines);
    count("scrape: read what changed since the last time, for a line", read_changes, &scrape, SCRAPES * lines);
    count("scrape: encode, for a line", encode, &scrape, SCRAPES * lines);
    for (int engine = 0; engine < ENGINES; engine++)
        kvtel_recorder_destroy(scrape.engines[engine]);
    kvtel_snapshot_destroy(scrape.snapshot);
    kvtel_buffer_free(&scrape.text);
    record_store_close(scrape.store);
}

struct posts {
    struct kvtel_stats *incoming, *interval;
    struct kvtel_prom *prom;
    enum kvtel_format format;
    char *bytes;
    size_t size;
};

static void take_payloads(void *context)
{
    struct posts *posts = context;
    for (int i = 0; i < PAYLOADS; i++) {
        struct kvtel_reduced *reduced = NULL;
        bench_require(kvtel_stats_decode(posts->incoming, posts->format, posts->bytes, posts->size, NULL) == KVTEL_OK &&
                          kvtel_stats_aggregate(posts->interval, posts->incoming) == KVTEL_OK &&
                          kvtel_prom_observe(posts->prom, posts->incoming, 0) == KVTEL_OK &&
                          kvtel_stats_reduce(posts->interval, &reduced) == KVTEL_OK,
                      "a payload");
        kvtel_reduced_destroy(reduced);
        kvtel_stats_reset(posts->interval);
    }
}

static void count_payloads(const char *name, enum kvtel_format format, struct kvtel_prom *prom,
                           const struct kvtel_connector *connector)
{
    const struct kvtel_transfer *transfers = record_transfers();
    struct posts posts = { .incoming = kvtel_stats_create(connector, NULL),
                           .interval = kvtel_stats_create(connector, NULL),
                           .prom = prom,
                           .format = format };
    bench_require(posts.incoming && posts.interval, "stats");
    for (int i = 0; i < TRANSFERS; i++)
        bench_require(kvtel_stats_record_transfer(posts.incoming, NULL, &transfers[i % RECORD_VALUES]) == KVTEL_OK,
                      "stats");
    bench_require(kvtel_stats_encode(posts.incoming, format, &posts.bytes, &posts.size) == KVTEL_OK, "encode");
    count(name, take_payloads, &posts, (size_t)PAYLOADS * TRANSFERS);
    free(posts.bytes);
    kvtel_stats_destroy(posts.incoming);
    kvtel_stats_destroy(posts.interval);
}

static void count_vllm(void)
{
    struct kvtel_transfer_config *config = kvtel_transfer_config_of("NixlConnector");
    struct kvtel_store *store = kvtel_store_create(NULL);
    const char *const labelnames[] = { "model_name", "engine" }, *const values[] = { "m", "0" };
    const struct kvtel_engine_labels engine = { .engine = 0, .values = values };
    struct kvtel_prom_options options = {
        .config = config, .labelnames = labelnames, .label_count = 2, .engines = &engine, .engine_count = 1
    };
    struct kvtel_prom *prom = NULL;
    bench_require(config && store && kvtel_store_metric_types(store, &options.types) == KVTEL_OK &&
                      kvtel_prom_create(&options, &prom) == KVTEL_OK,
                  "prom");
    const struct kvtel_connector *connector = kvtel_transfer_config_connector(config);
    count_payloads("vLLM's dict of 500 transfers in MessagePack, for one", KVTEL_MSGPACK, prom, connector);
    count_payloads("vLLM's dict of 500 transfers in JSON, for one", KVTEL_JSON, prom, connector);
    kvtel_prom_destroy(prom);
    kvtel_store_close(store);
    kvtel_transfer_config_destroy(config);
}

int main(void)
{
    count_recording();
    count_scrape();
    count_vllm();
    return 0;
}
