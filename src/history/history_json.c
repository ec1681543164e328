/* SPDX-License-Identifier: Apache-2.0 */
/* The history as JSON. */
#include "history/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "value/value.h"

/* Histograms are given for these stretches of the past: each one's end, in 3600ths of the duration. */
static const double bands[] = { 60, 120, 300, 600, 900, 1800, 3600 };
enum { BANDS = sizeof bands / sizeof *bands, QUANTILES = 3 };
static const double shares[QUANTILES] = { 0.5, 0.9, 0.99 };
static const char *const share_names[QUANTILES] = { "p50", "p90", "p99" };
static const char *const histogram_names[HISTORY_HISTOGRAMS] = { "time", "post", "size" };
enum { QUANTILED = 2 }; /* histograms of which points have quantiles */

/* One flow in all points, and its histograms in each band. */
struct columns {
    uint64_t bands[BANDS][HISTORY_HISTOGRAMS][HISTORY_BINS + 1];
    struct {
        bool is_there;
        uint64_t transfers, bytes, failed;
        uint16_t quantiles[QUANTILED][QUANTILES]; /* bins; 0: nothing came */
    } points[HISTORY_POINTS];
};

struct job {
    struct history_copy copy;
    struct kvtel_writer writer;
    struct history_bytes rest[HISTORY_POINTS]; /* of each point: what follows the key below */
    uint64_t keys[HISTORY_POINTS];             /* the next entry's number plus 1; 0: none is left */
    unsigned band[HISTORY_POINTS];
    struct columns *flows; /* of the entry that is written, HISTORY_FLOWS */
    uint64_t failures[HISTORY_CLASSES][HISTORY_POINTS];
    double bounds[HISTORY_BINS + 1], middles[HISTORY_BINS + 1];
};

static void put_text(struct kvtel_writer *writer, const char *key, const char *text)
{
    kvtel_writer_text(writer, key);
    kvtel_writer_text(writer, text);
}

static void put_count(struct kvtel_writer *writer, uint64_t count)
{
    kvtel_writer_integer(writer, count > INT64_MAX ? INT64_MAX : (int64_t)count);
}

/* -- Gathering -- */

/* Quantiles of one point's histogram, as the bins that they are in. */
static void find_quantiles(struct history_bytes bins, uint16_t *quantiles)
{
    const struct history_bytes all = bins;
    uint64_t bin = 0, count, total = 0;
    while (history_take_bin(&bins, &bin, &count))
        total += count;
    bins = all;
    bin = 0;
    int next = 0;
    for (uint64_t below = 0; next < QUANTILES && history_take_bin(&bins, &bin, &count);) {
        below += count;
        while (next < QUANTILES && (double)below >= shares[next] * (double)total)
            quantiles[next++] = (uint16_t)bin;
    }
}

static void gather_flow(struct columns *columns, size_t point, unsigned band, const struct history_flow_growth *grown)
{
    columns->points[point].is_there = true;
    columns->points[point].transfers = grown->transfers;
    columns->points[point].bytes = grown->bytes;
    columns->points[point].failed = grown->failed;
    for (int i = 0; i < HISTORY_HISTOGRAMS; i++) {
        struct history_bytes bins = grown->bins[i];
        for (uint64_t bin = 0, count; history_take_bin(&bins, &bin, &count);)
            columns->bands[band][i][bin] += count;
        if (i < QUANTILED)
            find_quantiles(grown->bins[i], columns->points[point].quantiles[i]);
    }
}

/* Reads an entry's part of all points. */
static void gather_entry(struct job *job, uint32_t number)
{
    struct history_growth growth;
    memset(job->flows, 0, job->copy.entries[number].flow_count * sizeof *job->flows);
    memset(job->failures, 0, sizeof job->failures);
    for (size_t i = 0; i < job->copy.count; i++) {
        if (job->keys[i] != number + 1 || !history_take_growth(&job->rest[i], &growth))
            continue;
        for (uint32_t k = 0; k < job->copy.entries[number].flow_count; k++)
            if (growth.flows[k].is_there)
                gather_flow(&job->flows[k], i, job->band[i], &growth.flows[k]);
        for (uint32_t k = 0; k < HISTORY_CLASSES; k++)
            job->failures[k][i] = growth.failures[k];
        (void)history_take_key(&job->rest[i], HISTORY_ENTRIES, &job->keys[i]);
    }
}

/* -- Writing -- */

static void put_bins(struct job *job, const uint64_t *bins)
{
    uint64_t count = 0;
    size_t filled = 0;
    for (uint32_t bin = 1; bin <= HISTORY_BINS; bin++) {
        count += bins[bin];
        filled += bins[bin] > 0;
    }
    kvtel_writer_map(&job->writer, 2);
    kvtel_writer_text(&job->writer, "count");
    put_count(&job->writer, count);
    kvtel_writer_text(&job->writer, "bins");
    kvtel_writer_array(&job->writer, filled);
    for (uint32_t bin = 1; bin <= HISTORY_BINS; bin++) {
        if (bins[bin] == 0)
            continue;
        kvtel_writer_array(&job->writer, 2);
        if (bin < HISTORY_BINS)
            kvtel_writer_number(&job->writer, job->bounds[bin]);
        else
            kvtel_writer_nil(&job->writer);
        put_count(&job->writer, bins[bin]);
    }
}

/* Writes a count of each point. `value` is that of the first point. */
static void put_column(struct job *job, const char *name, const struct columns *columns, size_t offset)
{
    kvtel_writer_text(&job->writer, name);
    kvtel_writer_array(&job->writer, job->copy.count);
    for (size_t i = 0; i < job->copy.count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)&columns->points[i] + offset, sizeof value);
        if (columns->points[i].is_there)
            put_count(&job->writer, value);
        else
            kvtel_writer_nil(&job->writer);
    }
}

static void put_quantiles(struct job *job, const struct columns *columns, int histogram)
{
    kvtel_writer_text(&job->writer, histogram_names[histogram]);
    kvtel_writer_map(&job->writer, QUANTILES);
    for (int q = 0; q < QUANTILES; q++) {
        kvtel_writer_text(&job->writer, share_names[q]);
        kvtel_writer_array(&job->writer, job->copy.count);
        for (size_t i = 0; i < job->copy.count; i++) {
            const unsigned bin = columns->points[i].quantiles[histogram][q];
            if (bin > 0)
                kvtel_writer_number(&job->writer, job->middles[bin]);
            else
                kvtel_writer_nil(&job->writer);
        }
    }
}

static void put_bands(struct job *job, const struct history_flow *flow, const struct columns *columns)
{
    size_t histograms = 0;
    for (int i = 0; i < HISTORY_HISTOGRAMS; i++)
        histograms += (flow->measures & (unsigned)HISTORY_HAS_TIME << i) != 0;
    kvtel_writer_text(&job->writer, "bands");
    kvtel_writer_array(&job->writer, BANDS);
    for (int band = 0; band < BANDS; band++) {
        kvtel_writer_map(&job->writer, histograms);
        for (int i = 0; i < HISTORY_HISTOGRAMS; i++) {
            if (!(flow->measures & (unsigned)HISTORY_HAS_TIME << i))
                continue;
            kvtel_writer_text(&job->writer, histogram_names[i]);
            put_bins(job, columns->bands[band][i]);
        }
    }
}

static void put_flow(struct job *job, const struct history_flow *flow, const struct columns *columns)
{
    const struct {
        const char *name;
        unsigned measure;
        size_t offset;
        uint64_t now;
    } counts[] = {
        { "transfers", HISTORY_HAS_TRANSFERS, offsetof(struct columns, points[0].transfers), flow->transfers },
        { "bytes", HISTORY_HAS_BYTES, offsetof(struct columns, points[0].bytes), flow->bytes },
        { "failed", HISTORY_HAS_FAILED, offsetof(struct columns, points[0].failed), flow->failed },
    };
    enum { COUNTS = sizeof counts / sizeof *counts };
    size_t measured = 0, quantiled = 0;
    for (int i = 0; i < COUNTS; i++)
        measured += (flow->measures & counts[i].measure) != 0;
    for (int i = 0; i < QUANTILED; i++)
        quantiled += (flow->measures & (unsigned)HISTORY_HAS_TIME << i) != 0;
    kvtel_writer_map(&job->writer, 3 + measured + quantiled);
    put_text(&job->writer, "name", flow->name);
    for (int i = 0; i < COUNTS; i++)
        if (flow->measures & counts[i].measure)
            put_column(job, counts[i].name, columns, counts[i].offset - offsetof(struct columns, points));
    for (int i = 0; i < QUANTILED; i++)
        if (flow->measures & (unsigned)HISTORY_HAS_TIME << i)
            put_quantiles(job, columns, i);
    put_bands(job, flow, columns);
    kvtel_writer_text(&job->writer, "at_end");
    if (!flow->is_known) {
        kvtel_writer_nil(&job->writer);
        return;
    }
    kvtel_writer_map(&job->writer, measured);
    for (int i = 0; i < COUNTS; i++) {
        if (!(flow->measures & counts[i].measure))
            continue;
        kvtel_writer_text(&job->writer, counts[i].name);
        put_count(&job->writer, counts[i].now);
    }
}

static void put_entry(struct job *job, const struct history_entry *entry, bool is_rest)
{
    struct kvtel_writer *writer = &job->writer;
    kvtel_writer_map(writer, is_rest ? 4 : 6);
    put_text(writer, "connector", entry->connector);
    if (!is_rest) {
        put_text(writer, "model_name", entry->model);
        put_text(writer, "engine", entry->engine);
    }
    kvtel_writer_text(writer, "flows");
    kvtel_writer_array(writer, entry->flow_count);
    for (uint32_t i = 0; i < entry->flow_count; i++)
        put_flow(job, &entry->flows[i], &job->flows[i]);
    kvtel_writer_text(writer, "failures");
    kvtel_writer_map(writer, entry->class_count);
    for (uint32_t i = 0; i < entry->class_count; i++) {
        kvtel_writer_text(writer, entry->classes[i].name);
        kvtel_writer_array(writer, job->copy.count);
        for (size_t k = 0; k < job->copy.count; k++)
            put_count(writer, job->failures[i][k]);
    }
    kvtel_writer_text(writer, "failures_at_end");
    if (!entry->is_known) {
        kvtel_writer_nil(writer);
        return;
    }
    kvtel_writer_map(writer, entry->class_count);
    for (uint32_t i = 0; i < entry->class_count; i++) {
        kvtel_writer_text(writer, entry->classes[i].name);
        put_count(writer, entry->classes[i].count);
    }
}

static void put_head(struct job *job, double time)
{
    struct kvtel_writer *writer = &job->writer;
    const struct history_copy *history = &job->copy;
    put_text(writer, "version", kvtel_version());
    kvtel_writer_text(writer, "format");
    kvtel_writer_integer(writer, 1);
    kvtel_writer_text(writer, "time");
    kvtel_writer_number(writer, time);
    kvtel_writer_text(writer, "duration_seconds");
    kvtel_writer_number(writer, history->duration);
    kvtel_writer_text(writer, "bands");
    kvtel_writer_array(writer, BANDS);
    for (int i = 0; i < BANDS; i++)
        kvtel_writer_number(writer, bands[i] * history->duration / 3600);
    kvtel_writer_text(writer, "end");
    kvtel_writer_array(writer, history->count);
    for (size_t i = 0; i < history->count; i++)
        kvtel_writer_number(writer, round(history->points[i].end * 1e3) / 1e3);
    kvtel_writer_text(writer, "seconds");
    kvtel_writer_array(writer, history->count);
    for (size_t i = 0; i < history->count; i++)
        kvtel_writer_number(writer, round(history->points[i].seconds * 1e3) / 1e3);
}

static void begin(struct job *job, double time)
{
    for (uint32_t bin = 1; bin <= HISTORY_BINS; bin++) {
        job->bounds[bin] = history_bin_bound(bin);
        job->middles[bin] = history_bin_middle(bin);
    }
    for (size_t i = 0; i < job->copy.count; i++) {
        const struct history_point *point = &job->copy.points[i];
        const double age = time - point->end + point->seconds / 2;
        while (job->band[i] + 1 < BANDS && age > bands[job->band[i]] * job->copy.duration / 3600)
            job->band[i]++;
        job->rest[i] = history_point_bytes(point);
        (void)history_take_key(&job->rest[i], HISTORY_ENTRIES, &job->keys[i]);
    }
}

/* Whether a point has something of an entry. */
static bool is_shown(const struct history_entry *entry, double oldest)
{
    return entry->connector && entry->last_seen > oldest;
}

/* Writes a list of the entries from one number to below another. */
static void put_entries(struct job *job, const char *name, uint32_t from, uint32_t to)
{
    const struct history_copy *copy = &job->copy;
    const double oldest = copy->count > 0 ? copy->points[0].end - copy->points[0].seconds : INFINITY;
    const uint32_t end = to < copy->used ? to : copy->used;
    size_t shown = 0;
    for (uint32_t i = from; i < end; i++)
        shown += is_shown(&copy->entries[i], oldest);
    kvtel_writer_text(&job->writer, name);
    kvtel_writer_array(&job->writer, shown);
    for (uint32_t i = from; i < end; i++) {
        gather_entry(job, i);
        if (is_shown(&copy->entries[i], oldest))
            put_entry(job, &copy->entries[i], from == HISTORY_OWN);
    }
}

static enum kvtel_status write_all(struct job *job, double time, struct kvtel_buffer *buffer)
{
    begin(job, time);
    kvtel_writer_init(&job->writer, KVTEL_JSON, buffer);
    kvtel_writer_map(&job->writer, 10);
    put_head(job, time);
    put_entries(job, "connectors", 0, HISTORY_OWN);
    put_entries(job, "rest", HISTORY_OWN, HISTORY_ENTRIES);
    kvtel_writer_text(&job->writer, "left_out");
    put_count(&job->writer, job->copy.left_out);
    return kvtel_writer_finish(&job->writer);
}

enum kvtel_status history_write_json(struct history *history, double time, struct kvtel_buffer *buffer)
{
    struct job *job = calloc(1, sizeof *job);
    enum kvtel_status status = KVTEL_E_NOMEM;
    if (job && (job->flows = calloc(HISTORY_FLOWS, sizeof *job->flows))) {
        status = history_copy_take(history, &job->copy);
        if (status == KVTEL_OK)
            status = write_all(job, time, buffer);
        history_copy_release(history, &job->copy);
        free(job->flows);
    }
    free(job);
    return status;
}
