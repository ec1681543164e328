/* SPDX-License-Identifier: Apache-2.0 */
/* The time to write a scrape: a snapshot of a store, and its text, or what other formats make of it. */
#include "bench.h"
#include "exposition/exposition.h"
#include "exposition/otlp.h"
#include "exposition_store.h"

#include <kvtel/kvtel.h>

struct scrape {
    struct kvtel_store *store;
    struct kvtel_lane *lane;
    int rounds;
    struct kvtel_snapshot *snapshot;
    struct kvtel_buffer text;
};

static void encode(void *context)
{
    struct scrape *scrape = context;
    scrape->text.size = 0;
    bench_require(kvtel_exposition_text(scrape->snapshot, &scrape->text) == KVTEL_OK, "encode");
}

struct format {
    const struct kvtel_snapshot *snapshot;
    struct kvtel_exposition_options options;
    struct kvtel_buffer bytes;
};

static void encode_format(void *context)
{
    struct format *format = context;
    format->bytes.size = 0;
    for (size_t i = 0; i < kvtel_snapshot_family_count(format->snapshot); i++)
        bench_require(kvtel_exposition_family(kvtel_snapshot_family(format->snapshot, i), &format->options,
                                              &format->bytes) == KVTEL_OK,
                      "encode");
}

/* The other formats of the same snapshot, each within a factor of the time of the text. */
static void measure_formats(const struct kvtel_snapshot *snapshot, double text_ms)
{
    static const struct {
        const char *name, *bytes;
        enum kvtel_exposition_format format;
        enum kvtel_histograms histograms;
        double factor;
    } rows[] = {
        { LOAD_ROW_FORMAT("OpenMetrics", "encode"), LOAD_ROW_FORMAT("OpenMetrics", "bytes"), KVTEL_FORMAT_OPENMETRICS,
          KVTEL_HISTOGRAMS_BOTH, 1.3 },
        { LOAD_ROW_FORMAT("protobuf, classic and native", "encode"),
          LOAD_ROW_FORMAT("protobuf, classic and native", "bytes"), KVTEL_FORMAT_PROTOBUF, KVTEL_HISTOGRAMS_BOTH, 1 },
        { LOAD_ROW_FORMAT("protobuf, classic", "encode"), LOAD_ROW_FORMAT("protobuf, classic", "bytes"),
          KVTEL_FORMAT_PROTOBUF, KVTEL_HISTOGRAMS_CLASSIC, 1 },
        { LOAD_ROW_FORMAT("protobuf, native", "encode"), LOAD_ROW_FORMAT("protobuf, native", "bytes"),
          KVTEL_FORMAT_PROTOBUF, KVTEL_HISTOGRAMS_NATIVE, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct format format = { .snapshot = snapshot, .options = kvtel_exposition_defaults(rows[i].format) };
        format.options.histograms = rows[i].histograms;
        double ns = bench_median_ns(encode_format, &format);
        bench_report(rows[i].name, ns / 1e6, "ms", rows[i].factor * text_ms);
        bench_report(rows[i].bytes, (double)format.bytes.size / 1e6, "MB", 0);
        kvtel_buffer_free(&format.bytes);
    }
}

struct push {
    const struct kvtel_snapshot *snapshot;
    struct kvtel_otlp_options options;
    struct kvtel_buffer bytes;
};

static void encode_push(void *context)
{
    static const struct kvtel_otlp_attribute resource[] = { { "service.name", "kvtel" } };
    struct push *push = context;
    push->bytes.size = 0;
    for (size_t i = 0; i < kvtel_snapshot_family_count(push->snapshot); i++)
        bench_require(kvtel_otlp_family(kvtel_snapshot_family(push->snapshot, i), &push->options, &push->bytes) ==
                          KVTEL_OK,
                      "encode");
    bench_require(kvtel_otlp_finish(resource, 1, &push->bytes) == KVTEL_OK, "encode");
}

/* The same as a push. */
static void measure_pushes(const struct kvtel_snapshot *snapshot)
{
    static const struct {
        const char *name, *bytes;
        enum kvtel_histograms histograms;
    } rows[] = {
        { LOAD_ROW_FORMAT("OTLP, exponential", "encode"), LOAD_ROW_FORMAT("OTLP, exponential", "bytes"),
          KVTEL_HISTOGRAMS_NATIVE },
        { LOAD_ROW_FORMAT("OTLP, explicit", "encode"), LOAD_ROW_FORMAT("OTLP, explicit", "bytes"),
          KVTEL_HISTOGRAMS_CLASSIC },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct push push = {
            .snapshot = snapshot,
            .options = { .histograms = rows[i].histograms, .native_schema = 3, .most_buckets = 160, .time_ns = 1 }
        };
        bench_report(rows[i].name, bench_median_ns(encode_push, &push) / 1e6, "ms", 0);
        bench_report(rows[i].bytes, (double)push.bytes.size / 1e6, "MB", 0);
        kvtel_buffer_free(&push.bytes);
    }
}

static void snapshot_and_encode(void *context)
{
    struct scrape *scrape = context;
    kvtel_snapshot_reset(scrape->snapshot);
    bench_require(kvtel_snapshot_add(scrape->snapshot, scrape->store) == KVTEL_OK, "snapshot");
    encode(context);
}

/* By a snapshot that was never used. */
static void first_snapshot_and_encode(void *context)
{
    struct scrape *scrape = context;
    kvtel_snapshot_destroy(scrape->snapshot);
    scrape->snapshot = kvtel_snapshot_create();
    bench_require(scrape->snapshot != NULL, "snapshot");
    snapshot_and_encode(context);
}

/* The same from the store, as protobuf with both kinds of buckets. */
static void snapshot_and_encode_protobuf(void *context)
{
    struct scrape *scrape = context;
    kvtel_snapshot_reset(scrape->snapshot);
    bench_require(kvtel_snapshot_add(scrape->snapshot, scrape->store) == KVTEL_OK, "snapshot");
    scrape->text.size = 0;
    bench_require(kvtel_exposition(scrape->snapshot, KVTEL_FORMAT_PROTOBUF, &scrape->text) == KVTEL_OK, "encode");
}

/* Series are numbered in the order in which they are made: family by family. */
static uint32_t series_of(int i, int engine)
{
    return (uint32_t)(i * LOAD_ENGINES + engine);
}

static void record(struct scrape *scrape, int engine, int transfer)
{
    for (int i = 0; i < LOAD_HISTOGRAMS; i++) {
        const double value = load_sample(i, engine, transfer);
        bench_require(kvtel_lane_observe(scrape->lane, series_of(i, engine), &value, 1) == 1, "observe");
    }
}

/* Changes each series: a transfer of each engine, and 1 for each counter. */
static void change_all(void *context)
{
    struct scrape *scrape = context;
    for (int engine = 0; engine < LOAD_ENGINES; engine++) {
        record(scrape, engine, scrape->rounds);
        for (int i = LOAD_HISTOGRAMS; i < LOAD_HISTOGRAMS + LOAD_COUNTERS; i++)
            bench_require(kvtel_lane_increase(scrape->lane, series_of(i, engine), 1), "increase");
    }
    scrape->rounds++;
}

static void check_lines(const struct kvtel_buffer *text)
{
    size_t series = 0;
    for (size_t i = 0; i < text->size; i++)
        series += text->bytes[i] == '\n' && i + 1 < text->size && text->bytes[i + 1] != '#';
    bench_require(series + 1 >= LOAD_SERIES && series <= LOAD_SERIES + 16, "number of series");
}

/* What a scrape costs a program: of the first one, and of all later ones. */
static void measure_scrapes(struct scrape *scrape)
{
    double ns = bench_median_ns(first_snapshot_and_encode, scrape);
    check_lines(&scrape->text);
    bench_report(LOAD_ROW_FIRST, ns / 1e6, "ms", 0);
    /* so that blocks are full at different times, and in each round some are folded */
    for (int engine = 0; engine < LOAD_ENGINES; engine++)
        for (int more = 0; more < engine % 256; more++)
            record(scrape, engine, more);
    ns = bench_median_behind_ns(change_all, snapshot_and_encode, scrape);
    check_lines(&scrape->text);
    bench_report_against(LOAD_ROW_SCRAPE, ns / 1e6, "ms", 0, "Rust prometheus-client", 2);
    bench_report(LOAD_ROW_SCRAPE_RATE, (double)scrape->text.size / ns, "GB/s", 0);
}

int main(void)
{
    struct scrape scrape = { .lane = NULL };
    scrape.store = loaded_store();
    bench_require(kvtel_lane_open(scrape.store, &scrape.lane) == KVTEL_OK, "lane");
    measure_scrapes(&scrape);
    double ns = bench_median_ns(encode, &scrape);
    bench_report(LOAD_ROW_ENCODE, ns / 1e6, "ms", 0);
    bench_report(LOAD_ROW_ENCODE_RATE, (double)scrape.text.size / ns, "GB/s", 2);
    bench_report(LOAD_ROW_FORMAT("text", "bytes"), (double)scrape.text.size / 1e6, "MB", 0);
    bench_report(LOAD_ROW_FORMAT("protobuf, classic and native", "snapshot and encode"),
                 bench_median_behind_ns(change_all, snapshot_and_encode_protobuf, &scrape) / 1e6, "ms", 0);
    measure_formats(scrape.snapshot, ns / 1e6);
    measure_pushes(scrape.snapshot);
    kvtel_buffer_free(&scrape.text);
    kvtel_snapshot_destroy(scrape.snapshot);
    kvtel_lane_close(scrape.lane);
    kvtel_store_close(scrape.store);
    return 0;
}
