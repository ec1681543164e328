/* SPDX-License-Identifier: Apache-2.0 */
/* The time to write a scrape: a snapshot of a store, and its text, or what other formats make of it. */
#include "bench.h"
#include "exposition/exposition.h"
#include "exposition/otlp.h"
#include "exposition_load.h"

#include <kvtel/kvtel.h>

struct scrape {
    struct kvtel_store *store;
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

/* The same from the store, as protobuf with both kinds of buckets. */
static void snapshot_and_encode_protobuf(void *context)
{
    struct scrape *scrape = context;
    kvtel_snapshot_reset(scrape->snapshot);
    bench_require(kvtel_snapshot_add(scrape->snapshot, scrape->store) == KVTEL_OK, "snapshot");
    scrape->text.size = 0;
    bench_require(kvtel_exposition(scrape->snapshot, KVTEL_FORMAT_PROTOBUF, &scrape->text) == KVTEL_OK, "encode");
}

/* Adds one engine's values to the connector's i-th histogram or counter. */
static void load_series(struct kvtel_lane *lane, uint32_t series, const struct kvtel_metric *metric, int i, int engine)
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

static struct kvtel_store *loaded_store(void)
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
            load_series(lane, series, metric, i, engine);
        }
    }
    kvtel_lane_close(lane);
    return store;
}

static void check_lines(const struct kvtel_buffer *text)
{
    size_t series = 0;
    for (size_t i = 0; i < text->size; i++)
        series += text->bytes[i] == '\n' && i + 1 < text->size && text->bytes[i + 1] != '#';
    bench_require(series + 1 >= LOAD_SERIES && series <= LOAD_SERIES + 16, "number of series");
}

int main(void)
{
    struct scrape scrape = { .store = loaded_store(), .snapshot = kvtel_snapshot_create() };
    bench_require(scrape.snapshot != NULL, "snapshot");
    double ns = bench_median_ns(snapshot_and_encode, &scrape);
    check_lines(&scrape.text);
    bench_report_against(LOAD_ROW_SCRAPE, ns / 1e6, "ms", 0, "Rust prometheus-client", 2);
    bench_report(LOAD_ROW_SCRAPE_RATE, (double)scrape.text.size / ns, "GB/s", 0);
    ns = bench_median_ns(encode, &scrape);
    bench_report(LOAD_ROW_ENCODE, ns / 1e6, "ms", 0);
    bench_report(LOAD_ROW_ENCODE_RATE, (double)scrape.text.size / ns, "GB/s", 2);
    bench_report(LOAD_ROW_FORMAT("text", "bytes"), (double)scrape.text.size / 1e6, "MB", 0);
    bench_report(LOAD_ROW_FORMAT("protobuf, classic and native", "snapshot and encode"),
                 bench_median_ns(snapshot_and_encode_protobuf, &scrape) / 1e6, "ms", 0);
    measure_formats(scrape.snapshot, ns / 1e6);
    measure_pushes(scrape.snapshot);
    kvtel_buffer_free(&scrape.text);
    kvtel_snapshot_destroy(scrape.snapshot);
    kvtel_store_close(scrape.store);
    return 0;
}
