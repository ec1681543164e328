/* SPDX-License-Identifier: Apache-2.0 */
/* The summary as JSON. */
#include "collect/series.h"
#include "report/summary_json.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "report/failure_text.h"
#include "report/snapshot_summary.h"
#include "value/value.h"

static void put_text(struct kvtel_writer *writer, const char *key, const char *text)
{
    kvtel_writer_text(writer, key);
    kvtel_writer_text(writer, text);
}

static void put_count(struct kvtel_writer *writer, const char *key, uint64_t count)
{
    kvtel_writer_text(writer, key);
    kvtel_writer_integer(writer, count > INT64_MAX ? INT64_MAX : (int64_t)count);
}

/* Writes a number, or null for infinity and NaN, which JSON cannot express. */
static void put_number(struct kvtel_writer *writer, const char *key, double number)
{
    kvtel_writer_text(writer, key);
    if (isfinite(number))
        kvtel_writer_number(writer, number);
    else
        kvtel_writer_nil(writer);
}

static void put_bins(struct kvtel_writer *writer, const char *key, const struct kvtel_interval_bins *bins)
{
    size_t filled = 0;
    for (uint32_t i = 0; i < bins->bin_count; i++)
        filled += bins->bins[i] > 0;
    kvtel_writer_text(writer, key);
    kvtel_writer_map(writer, 3);
    put_count(writer, "count", bins->count);
    put_number(writer, "sum", bins->sum);
    kvtel_writer_text(writer, "bins");
    kvtel_writer_array(writer, filled);
    for (uint32_t i = 0; i < bins->bin_count; i++) {
        if (bins->bins[i] == 0)
            continue;
        kvtel_writer_array(writer, 2);
        if (bins->first_bin + i < bins->family->bound_count)
            kvtel_writer_number(writer, bins->family->bounds[bins->first_bin + i]);
        else
            kvtel_writer_nil(writer);
        kvtel_writer_integer(writer, (int64_t)bins->bins[i]);
    }
}

static void put_failures(struct kvtel_writer *writer, const struct kvtel_failure_counts *failures)
{
    kvtel_writer_text(writer, "failures");
    kvtel_writer_map(writer, failures->count);
    for (size_t i = 0; i < failures->count; i++)
        put_count(writer, failures->entries[i].label, failures->entries[i].count);
}

/* Writes the transfers by which the longest times were left. */
static void put_slowest(struct kvtel_writer *writer, const struct kvtel_interval_bins *bins)
{
    kvtel_writer_text(writer, "slowest");
    kvtel_writer_array(writer, bins->largest_count);
    for (size_t i = 0; i < bins->largest_count; i++) {
        const struct kvtel_snapshot_exemplar *exemplar = bins->largest[i];
        const char *name;
        kvtel_writer_map(writer, 3);
        put_number(writer, "seconds", kvtel_snapshot_exemplar_value(exemplar));
        put_number(writer, "time", (double)(kvtel_snapshot_exemplar_time_ns(exemplar) / 1000000u) / 1e3);
        kvtel_writer_text(writer, "labels");
        kvtel_writer_map(writer, kvtel_snapshot_exemplar_label_count(exemplar));
        for (size_t k = 0; (name = kvtel_snapshot_exemplar_label_name(exemplar, k)); k++)
            put_text(writer, name, kvtel_snapshot_exemplar_label(exemplar, k));
    }
}

/* Writes a flow. What the connector does not measure does not get a member. */
static void put_flow(struct kvtel_writer *writer, const struct kvtel_flow_summary *flow,
                     const struct kvtel_flow_bins *bins)
{
    const struct {
        const char *key;
        const struct kvtel_interval_bins *bins;
    } histograms[] = { { "time", &bins->time }, { "post", &bins->post }, { "size", &bins->size } };
    size_t members =
        2U + flow->has_transfers + flow->has_bytes + flow->has_descriptors + flow->has_seconds + flow->has_failed;
    for (size_t i = 0; i < sizeof(histograms) / sizeof(histograms[0]); i++)
        members += histograms[i].bins->family != NULL;
    members += bins->time.largest_count > 0;
    kvtel_writer_map(writer, members);
    put_text(writer, "name", flow->name);
    if (flow->has_transfers)
        put_count(writer, "transfers", flow->transfers);
    if (flow->has_failed)
        put_count(writer, "failed", flow->failed);
    if (flow->has_bytes)
        put_number(writer, "bytes", flow->bytes);
    if (flow->has_descriptors)
        put_number(writer, "descriptors", flow->descriptors);
    if (flow->has_seconds)
        put_number(writer, "seconds", flow->seconds);
    put_failures(writer, &flow->failures);
    for (size_t i = 0; i < sizeof(histograms) / sizeof(histograms[0]); i++) {
        if (histograms[i].bins->family)
            put_bins(writer, histograms[i].key, histograms[i].bins);
    }
    if (bins->time.largest_count > 0)
        put_slowest(writer, &bins->time);
}

static const char *unit_name(enum kvtel_unit unit)
{
    static const char *const names[] = { "count", "seconds", "bytes", "ratio" };
    return (size_t)unit < sizeof(names) / sizeof(names[0]) ? names[unit] : "count";
}

static void put_others(struct kvtel_writer *writer, const struct kvtel_summary *summary)
{
    size_t shown = summary->other_count < SUMMARY_OTHERS ? summary->other_count : SUMMARY_OTHERS;
    kvtel_writer_text(writer, "others");
    kvtel_writer_array(writer, shown);
    for (size_t i = 0; i < shown; i++) {
        const struct kvtel_other_value *other = &summary->others[i];
        const char *label = other->labels;
        kvtel_writer_map(writer, 4);
        put_text(writer, "name", other->name);
        kvtel_writer_text(writer, "labels");
        kvtel_writer_array(writer, other->label_count);
        for (uint32_t k = 0; k < other->label_count; k++, label += strlen(label) + 1)
            kvtel_writer_text(writer, label);
        put_text(writer, "unit", unit_name(other->unit));
        put_number(writer, "value", other->value);
    }
    put_count(writer, "others_total", summary->other_count);
}

static void put_entry(struct kvtel_writer *writer, const struct kvtel_engine_summary *entry)
{
    const struct kvtel_summary *summary = &entry->summary;
    kvtel_writer_map(writer, 8);
    put_text(writer, "connector", entry->connector);
    put_text(writer, "model_name", entry->model_name);
    put_text(writer, "engine", entry->engine);
    kvtel_writer_text(writer, "flows");
    kvtel_writer_array(writer, summary->flow_count);
    for (size_t i = 0; i < summary->flow_count; i++)
        put_flow(writer, &summary->flows[i], &entry->bins[i]);
    put_count(writer, "failed", summary->failed);
    put_failures(writer, &summary->failures);
    put_others(writer, summary);
}

static void put_source(struct kvtel_writer *writer, const struct summary_source *source)
{
    kvtel_writer_map(writer, 9);
    put_text(writer, "kind", source->kind);
    put_text(writer, "name", source->name);
    put_text(writer, "connector", source->connector);
    put_count(writer, "engine", source->engine);
    put_count(writer, "rank", source->rank);
    put_count(writer, "pid", source->pid);
    put_text(writer, "state", source->state);
    kvtel_writer_text(writer, "reason");
    if (source->reason && *source->reason)
        kvtel_writer_text(writer, source->reason);
    else
        kvtel_writer_nil(writer);
    put_number(writer, "age_seconds", source->age_seconds);
}

static void put_writer(struct kvtel_writer *writer, const struct summary_writer *told)
{
    kvtel_writer_map(writer, 9);
    put_text(writer, "connector", told->connector);
    put_text(writer, "model_name", told->model_name);
    put_count(writer, "engine", told->engine);
    put_count(writer, "rank", told->rank);
    put_count(writer, "pid", told->pid);
    put_count(writer, "live", told->live);
    put_count(writer, "restarts", told->restarts);
    put_count(writer, "unclosed", told->unclosed);
    put_number(writer, "last_seen_seconds", told->live > 0 ? 0 : told->last_seen_seconds);
}

static void put_open_row(struct kvtel_writer *writer, const struct summary_open_row *row)
{
    kvtel_writer_map(writer, 8);
    put_text(writer, "connector", row->connector);
    put_text(writer, "model_name", row->model_name);
    put_text(writer, "engine", row->engine);
    put_text(writer, "operation", row->operation);
    put_count(writer, "open", row->open);
    put_number(writer, "bytes", row->bytes);
    put_number(writer, "oldest_seconds", row->oldest_seconds);
    put_count(writer, "stalled", row->stalled);
}

static void put_open(struct kvtel_writer *writer, const struct summary_open *open)
{
    kvtel_writer_map(writer, 8);
    put_text(writer, "connector", open->connector);
    put_text(writer, "engine", open->engine);
    put_text(writer, "operation", open->operation);
    put_count(writer, "pid", open->pid);
    put_text(writer, "peer", open->peer);
    kvtel_writer_text(writer, "bytes");
    if (open->bytes >= 0)
        kvtel_writer_number(writer, open->bytes);
    else
        kvtel_writer_nil(writer);
    put_number(writer, "age_seconds", open->age_seconds);
    kvtel_writer_text(writer, "stalled");
    kvtel_writer_bool(writer, open->stalled);
}

static void put_peers(struct kvtel_writer *writer, const struct summary_peers *peers)
{
    size_t shown = peers->count < SUMMARY_PEERS ? peers->count : SUMMARY_PEERS;
    kvtel_writer_text(writer, "peers");
    kvtel_writer_array(writer, shown);
    for (size_t i = 0; i < shown; i++) {
        const struct summary_peer *peer = &peers->all[i];
        kvtel_writer_map(writer, 7);
        put_text(writer, "peer", peer->name);
        put_count(writer, "transfers", peer->transfers);
        put_number(writer, "bytes", peer->bytes);
        put_count(writer, "failed", peer->failed);
        put_count(writer, "unseen", peer->unseen);
        put_count(writer, "open", peer->open);
        put_number(writer, "oldest_seconds", peer->oldest_seconds);
    }
    put_count(writer, "peers_total", peers->count);
}

static void put_refused(struct kvtel_writer *writer, const uint64_t *refused)
{
    size_t reasons = 0;
    for (int i = 0; i < KVTEL_REFUSAL_COUNT; i++)
        reasons += refused[i] > 0;
    kvtel_writer_text(writer, "refused");
    kvtel_writer_map(writer, reasons);
    for (int i = 0; i < KVTEL_REFUSAL_COUNT; i++) {
        if (refused[i] > 0)
            put_count(writer, kvtel_refusal_label((enum kvtel_refusal)i), refused[i]);
    }
}

enum { EXPLAINED_MOST = 64 };

/* Lists the classes of all entries that have a sentence, each one once. */
static size_t list_classes(const struct kvtel_snapshot_summary *made, const char *classes[EXPLAINED_MOST])
{
    const char *texts[KVTEL_FAILURE_TEXTS];
    size_t count = 0;
    for (size_t i = 0; i < made->count; i++) {
        const struct kvtel_failure_counts *failures = &made->entries[i].summary.failures;
        for (size_t k = 0; k < failures->count; k++) {
            const char *label = failures->entries[k].label;
            size_t known = 0;
            while (known < count && strcmp(classes[known], label) != 0)
                known++;
            if (known == count && count < EXPLAINED_MOST && kvtel_failure_texts(label, texts) > 0)
                classes[count++] = label;
        }
    }
    return count;
}

/* Writes what the classes of failure mean, as lists of sentences, and what failures without a class are. */
static void put_failure_texts(struct kvtel_writer *writer, const struct kvtel_snapshot_summary *made)
{
    const char *classes[EXPLAINED_MOST + 1], *texts[KVTEL_FAILURE_TEXTS];
    size_t count = list_classes(made, classes);
    classes[count++] = "other";
    kvtel_writer_text(writer, "failure_texts");
    kvtel_writer_map(writer, count);
    for (size_t i = 0; i < count; i++) {
        size_t found = kvtel_failure_texts(classes[i], texts);
        kvtel_writer_text(writer, classes[i]);
        kvtel_writer_array(writer, found);
        for (size_t k = 0; k < found; k++)
            kvtel_writer_text(writer, texts[k]);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (double)time.tv_sec + (double)(time.tv_nsec / 1000000) / 1e3;
}

enum kvtel_status summary_json_write(const struct kvtel_snapshot *snapshot, const struct summary_options *options,
                                     struct kvtel_buffer *buffer)
{
    struct kvtel_snapshot_summary made;
    const struct kvtel_summary_choice choice = { options->filter, options->offset,
                                                 options->limit > 0 ? options->limit : SUMMARY_ENTRIES };
    enum kvtel_status status = kvtel_snapshot_summary_choose(&made, snapshot, &choice);
    if (status != KVTEL_OK)
        return status;
    struct summary_peers peers;
    status = summary_peers_init(&peers, snapshot, options->open_peers);
    if (status != KVTEL_OK) {
        kvtel_snapshot_summary_close(&made);
        return status;
    }
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, KVTEL_JSON, buffer);
    kvtel_writer_map(&writer, 16);
    put_text(&writer, "version", kvtel_version());
    put_number(&writer, "time", now());
    put_number(&writer, "uptime_seconds", options->uptime_seconds);
    kvtel_writer_text(&writer, "sources");
    kvtel_writer_array(&writer, options->source_count);
    for (size_t i = 0; i < options->source_count; i++)
        put_source(&writer, &options->sources[i]);
    put_count(&writer, "sources_total", options->all_sources);
    put_count(&writer, "recording", options->recording);
    kvtel_writer_text(&writer, "writers");
    kvtel_writer_array(&writer, options->writer_count);
    for (size_t i = 0; i < options->writer_count; i++)
        put_writer(&writer, &options->writers[i]);
    put_count(&writer, "writers_total", options->all_writers);
    kvtel_writer_text(&writer, "open");
    kvtel_writer_array(&writer, options->open_count);
    for (size_t i = 0; i < options->open_count; i++)
        put_open_row(&writer, &options->open[i]);
    kvtel_writer_text(&writer, "oldest_open");
    kvtel_writer_array(&writer, options->oldest_count);
    for (size_t i = 0; i < options->oldest_count; i++)
        put_open(&writer, &options->oldest[i]);
    put_peers(&writer, &peers);
    put_refused(&writer, options->refused);
    kvtel_writer_text(&writer, "connectors");
    kvtel_writer_array(&writer, made.count);
    for (size_t i = 0; i < made.count; i++)
        put_entry(&writer, &made.entries[i]);
    put_count(&writer, "connectors_total", made.all);
    put_failure_texts(&writer, &made);
    status = kvtel_writer_finish(&writer);
    summary_peers_close(&peers);
    kvtel_snapshot_summary_close(&made);
    return status;
}
