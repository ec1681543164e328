/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries of the engines that appear in metrics. */
#include "collect/series.h"
#include "report/snapshot_summary.h"

#include <stdio.h>
#include <stdlib.h>

#include "connectors/table.h"
#include "nixl/telemetry.h"
#include "report/tables.h"

/* The engine that is being summarised. */
struct source {
    const struct kvtel_interval *interval;
    uint32_t engine;
    const char *operation; /* NULL: the table is not by operations */
};

static uint64_t whole(double number)
{
    return number >= 0x1p64 ? UINT64_MAX : number > 0 ? (uint64_t)(number + 0.5) : 0;
}

static enum kvtel_status measure(const struct source *source, const char *key, const char *status,
                                 struct kvtel_measure *measured)
{
    const struct kvtel_selection selection = { .engine = source->engine,
                                               .operation = source->operation,
                                               .status = status };
    return kvtel_interval_measure(source->interval, key, &selection, measured);
}

static struct kvtel_quantiles quantiles_of(const struct kvtel_interval_bins *bins)
{
    if (bins->count == 0)
        return (struct kvtel_quantiles){ 0 };
    return (struct kvtel_quantiles){
        .known = true,
        .p50 = kvtel_interval_quantile(bins, 0.5, KVTEL_NUMPY),
        .p90 = kvtel_interval_quantile(bins, 0.9, KVTEL_NUMPY),
        .p99 = kvtel_interval_quantile(bins, 0.99, KVTEL_NUMPY),
        .max = kvtel_interval_quantile(bins, 1, KVTEL_NUMPY),
    };
}

/* Counts calls by status. Every status but "ok" is a failure. */
static enum kvtel_status count_statuses(const struct source *source, const char *key, struct kvtel_flow_summary *flow)
{
    struct kvtel_interval_texts statuses;
    enum kvtel_status status =
        kvtel_interval_statuses(source->interval, key, source->engine, source->operation, &statuses);
    for (size_t i = 0; i < statuses.count && status == KVTEL_OK; i++) {
        struct kvtel_measure measured;
        flow->has_failed = true;
        if (strcmp(statuses.texts[i], "ok") == 0)
            continue;
        status = measure(source, key, statuses.texts[i], &measured);
        flow->failed += measured.bins.count;
        if (status == KVTEL_OK)
            status = kvtel_summary_add_failures(&flow->failures, statuses.texts[i], measured.bins.count);
    }
    return status;
}

/* The measures of a flow. */
struct flow_measures {
    struct kvtel_measure time, post, bytes, sizes, descriptors, count, failed;
};

static enum kvtel_status measure_flow(const struct source *source, const struct kvtel_flow *described,
                                      struct flow_measures *measured)
{
    const struct {
        const char *key;
        struct kvtel_measure *measure;
    } keys[] = {
        { described->time, &measured->time },     { described->post, &measured->post },
        { described->bytes, &measured->bytes },   { described->sizes, &measured->sizes },
        { described->count, &measured->count },   { described->descriptors, &measured->descriptors },
        { described->failed, &measured->failed },
    };
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]) && status == KVTEL_OK; i++)
        status = measure(source, keys[i].key, NULL, keys[i].measure);
    return status;
}

/* Number of successful transfers: the count of a histogram, or the value of a counter. */
static void count_transfers(const struct flow_measures *measured, struct kvtel_flow_summary *flow)
{
    const struct kvtel_measure *const samples[] = { &measured->time, &measured->sizes, &measured->bytes,
                                                    &measured->descriptors, &measured->post };
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]) && !flow->has_transfers; i++) {
        flow->has_transfers = samples[i]->bins.family != NULL;
        flow->transfers = samples[i]->bins.count;
    }
    if (!flow->has_transfers) {
        flow->has_transfers = measured->count.is_known;
        flow->transfers = measured->count.bins.family ? measured->count.bins.count : whole(measured->count.sum);
    }
}

static enum kvtel_status summarise_flow(const struct source *source, const struct kvtel_flow *described,
                                        struct kvtel_flow_summary *flow, struct kvtel_flow_bins *bins)
{
    struct flow_measures measured;
    enum kvtel_status status = measure_flow(source, described, &measured);
    if (status != KVTEL_OK)
        return status;
    *flow = (struct kvtel_flow_summary){
        .name = source->operation ? source->operation : described->name,
        .has_bytes = measured.bytes.is_known,
        .bytes = measured.bytes.sum,
        .has_descriptors = measured.descriptors.is_known,
        .descriptors = measured.descriptors.sum,
        .has_seconds = measured.time.is_known,
        .seconds = measured.time.sum,
        .rate = measured.bytes.is_known && measured.time.sum > 0 ? measured.bytes.sum / measured.time.sum : 0,
        .time = quantiles_of(&measured.time.bins),
        .post = quantiles_of(&measured.post.bins),
    };
    *bins = (struct kvtel_flow_bins){
        .time = measured.time.bins,
        .post = measured.post.bins,
        .size = measured.sizes.is_known ? measured.sizes.bins : measured.bytes.bins,
    };
    count_transfers(&measured, flow);
    if (source->interval->table->payload_kind == KVTEL_PAYLOAD_ROWS) {
        flow->failed_descriptors = measured.failed.sum;
        if (described->status)
            status = count_statuses(source, described->time, flow);
        flow->transfers -= flow->failed < flow->transfers ? flow->failed : flow->transfers;
    } else {
        flow->has_failed = measured.failed.is_known;
        flow->failed = whole(measured.failed.sum);
    }
    return status;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Summarises the table's flows, or one flow for each operation. */
static enum kvtel_status summarise_flows(struct source *source, struct kvtel_engine_summary *entry)
{
    const struct kvtel_connector *table = source->interval->table;
    struct kvtel_interval_texts operations = { 0 };
    const struct kvtel_flow *flows = table->flows;
    size_t count = 0;
    while (flows && flows[count].name)
        count++;
    bool each_operation = flows && count > 0 && strcmp(flows[0].name, "*") == 0;
    if (each_operation) {
        enum kvtel_status status = kvtel_interval_operations(source->interval, source->engine, &operations);
        if (status != KVTEL_OK)
            return status;
        count = operations.count;
        if (kvtel_table_log(table)->sorted && count > 0)
            qsort(operations.texts, count, sizeof(*operations.texts), compare_texts);
    }
    entry->summary.flows = calloc(count + 1, sizeof(*entry->summary.flows));
    entry->bins = kvtel_arena_alloc(source->interval->arena, (count + 1) * sizeof(*entry->bins));
    enum kvtel_status status = entry->summary.flows && entry->bins ? KVTEL_OK : KVTEL_E_NOMEM;
    for (size_t i = 0; i < count && status == KVTEL_OK; i++) {
        source->operation = each_operation ? operations.texts[i] : NULL;
        status = summarise_flow(source, &flows[each_operation ? 0 : i], &entry->summary.flows[i], &entry->bins[i]);
        entry->summary.flow_count++;
    }
    source->operation = NULL;
    return status;
}

/* "transfer_or_handshake" */
static const char *join_labels(struct kvtel_arena *arena, const char *first, const char *second)
{
    size_t size = strlen(first) + strlen("_or_") + strlen(second) + 1;
    char *joined = kvtel_arena_alloc(arena, size);
    if (joined)
        (void)snprintf(joined, size, "%s_or_%s", first, second);
    return joined;
}

static const char *class_of(const struct kvtel_connector *table, const char *field)
{
    for (const struct kvtel_failure_field *failure = table->failures; failure && failure->field; failure++) {
        if (strcmp(failure->field, field) == 0)
            return kvtel_failure_label(failure->failure);
    }
    return NULL;
}

/* Counts failures of classes that share a family and have none of their own: the family's growth minus that of the
 * classes with a family of their own. */
static enum kvtel_status add_rest(const struct source *source, const struct kvtel_interval_family *family,
                                  struct kvtel_summary *summary)
{
    const struct kvtel_connector *table = source->interval->table;
    const struct kvtel_selection selection = { .engine = source->engine };
    const char *const *fields = family->metric->fields;
    const char *label = NULL;
    struct kvtel_measure all, part;
    enum kvtel_status status = kvtel_interval_measure_family(source->interval, family, &selection, &all);
    for (size_t i = 0; i < KVTEL_METRIC_FIELDS && fields[i] && status == KVTEL_OK; i++) {
        const char *class = class_of(table, fields[i]);
        status = measure(source, fields[i], NULL, &part);
        all.sum -= part.sum;
        if (status == KVTEL_OK && class && !part.is_known) {
            label = label ? join_labels(source->interval->arena, label, class) : class;
            status = label ? KVTEL_OK : KVTEL_E_NOMEM;
        }
    }
    return status == KVTEL_OK && label ? kvtel_summary_add_class(summary, label, whole(all.sum)) : status;
}

/* Counts NIXL's errors, which have a status only. */
static enum kvtel_status add_nixl_errors(const struct source *source, struct kvtel_summary *summary)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < source->interval->family_count; i++) {
        const struct kvtel_interval_family *family = &source->interval->families[i];
        if (strcmp(family->metric->labels[0] ? family->metric->labels[0] : "", "status") != 0)
            continue;
        size_t count;
        const uint32_t *members = kvtel_interval_series(source->interval, family, source->engine, &count);
        for (size_t k = 0; k < count && status == KVTEL_OK; k++) {
            const struct kvtel_snapshot_series *series = &family->later->series[members[k]],
                                               *before = family->before[members[k]];
            status = kvtel_summary_add_class(summary, series->values[family->labels[0]],
                                             whole(series->value - (before ? before->value : 0)));
        }
    }
    return status;
}

static enum kvtel_status summarise_failures(const struct source *source, struct kvtel_summary *summary)
{
    const struct kvtel_connector *table = source->interval->table;
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < source->interval->family_count && status == KVTEL_OK; i++) {
        const struct kvtel_metric *metric = source->interval->families[i].metric;
        if (metric->fields[0] && metric->fields[1] && !metric->values[0])
            status = add_rest(source, &source->interval->families[i], summary);
    }
    for (const struct kvtel_failure_field *failure = table->failures; failure && failure->field && status == KVTEL_OK;
         failure++) {
        struct kvtel_measure measured;
        status = measure(source, failure->field, NULL, &measured);
        if (status == KVTEL_OK && measured.is_known)
            status = kvtel_summary_add_class(summary, kvtel_failure_label(failure->failure), whole(measured.sum));
    }
    if (status == KVTEL_OK)
        status = kvtel_summary_add_flow_failures(summary, table);
    return status == KVTEL_OK && table == &kvtel_nixl_telemetry ? add_nixl_errors(source, summary) : status;
}

static const char *other_key(const struct kvtel_connector *table, const struct kvtel_metric *metric)
{
    if (table->payload_kind == KVTEL_PAYLOAD_TYPED)
        return metric->fields[0] || metric->input == KVTEL_INPUT_INFO ? NULL : metric->name;
    return table->payload_kind == KVTEL_PAYLOAD_COLUMNS && metric->fields[0] && !metric->fields[1] ? metric->fields[0]
                                                                                                   : NULL;
}

/* Copies a series' label values in the form of struct kvtel_other_value; NULL: no memory. */
static const char *copy_labels(const struct kvtel_interval *interval, const struct kvtel_interval_family *family,
                               const struct kvtel_snapshot_series *series)
{
    size_t size = 1;
    for (size_t i = 0; i < family->label_count; i++)
        size += strlen(family->labels[i] < 0 ? "" : series->values[family->labels[i]]) + 1;
    char *labels = kvtel_arena_alloc(interval->arena, size), *end = labels;
    for (size_t i = 0; labels && i < family->label_count; i++) {
        const char *value = family->labels[i] < 0 ? "" : series->values[family->labels[i]];
        memcpy(end, value, strlen(value) + 1);
        end += strlen(value) + 1;
    }
    return labels;
}

/* Adds gauges, and counters that grew, that do not belong to a flow. */
static enum kvtel_status add_others(const struct source *source, const struct kvtel_interval_family *family,
                                    struct kvtel_summary *summary)
{
    const char *key = other_key(source->interval->table, family->metric);
    if (!key || family->later->type == KVTEL_HISTOGRAM || kvtel_summary_covers(source->interval->table, key))
        return KVTEL_OK;
    size_t count;
    const uint32_t *members = kvtel_interval_series(source->interval, family, source->engine, &count);
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_snapshot_series *series = &family->later->series[members[i]],
                                           *before = family->before[members[i]];
        bool is_gauge = family->later->type == KVTEL_GAUGE;
        double value = series->value - (!is_gauge && before ? before->value : 0);
        if (is_gauge ? series->stamp == 0 : value <= 0)
            continue;
        const char *labels = copy_labels(source->interval, family, series);
        if (!labels)
            return KVTEL_E_NOMEM;
        summary->is_empty = summary->is_empty && is_gauge;
        summary->others[summary->other_count++] = (struct kvtel_other_value){
            .name = key,
            .labels = labels,
            .label_count = (uint32_t)family->label_count,
            .unit = family->metric->unit,
            .value = value,
        };
    }
    return KVTEL_OK;
}

static enum kvtel_status summarise_others(const struct source *source, struct kvtel_summary *summary)
{
    size_t capacity = 1;
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < source->interval->family_count; i++) {
        size_t count;
        (void)kvtel_interval_series(source->interval, &source->interval->families[i], source->engine, &count);
        capacity += count;
    }
    summary->others = calloc(capacity, sizeof(*summary->others));
    if (!summary->others)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < source->interval->family_count && status == KVTEL_OK; i++)
        status = add_others(source, &source->interval->families[i], summary);
    return status;
}

static enum kvtel_status summarise_engine(const struct kvtel_interval *interval, uint32_t engine,
                                          struct kvtel_engine_summary *entry)
{
    struct source source = { .interval = interval, .engine = engine };
    struct kvtel_summary *summary = &entry->summary;
    *entry = (struct kvtel_engine_summary){
        .connector = interval->table->names[0].name,
        .model_name = interval->engines[engine].model_name,
        .engine = interval->engines[engine].engine,
    };
    enum kvtel_status status = summarise_flows(&source, entry);
    if (status == KVTEL_OK)
        status = summarise_failures(&source, summary);
    summary->is_empty = summary->failed == 0;
    for (size_t i = 0; i < summary->flow_count && status == KVTEL_OK; i++) {
        const struct kvtel_flow_summary *flow = &summary->flows[i];
        summary->is_empty = summary->is_empty && flow->transfers == 0 && flow->failed == 0 && flow->bytes <= 0 &&
                            flow->seconds <= 0 && flow->descriptors <= 0;
    }
    return status == KVTEL_OK ? summarise_others(&source, summary) : status;
}

/* Orders models by name and engines by number. */
static int compare_entries(const void *a, const void *b)
{
    const struct kvtel_engine_summary *one = a, *other = b;
    int order = strcmp(one->model_name, other->model_name);
    size_t length = strlen(one->engine), other_length = strlen(other->engine);
    if (order == 0 && length != other_length)
        return length < other_length ? -1 : 1;
    return order != 0 ? order : strcmp(one->engine, other->engine);
}

/* Whether the filter lets an engine through. */
static bool passes(const struct kvtel_interval *interval, uint32_t engine, const char *filter)
{
    const char *connector = interval->table->names[0].name, *name = interval->engines[engine].engine,
               *model = interval->engines[engine].model_name;
    char text[1024];
    if (!filter || !*filter)
        return true;
    (void)snprintf(text, sizeof(text), "%s%s%s%s%s", connector, *name ? " engine " : "", name, *model ? " " : "",
                   model);
    return strcasestr(text, filter) != NULL;
}

static enum kvtel_status add_table(struct kvtel_snapshot_summary *made, const struct kvtel_connector *table,
                                   const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                                   const struct kvtel_summary_choice *choice)
{
    struct kvtel_interval interval;
    enum kvtel_status status = kvtel_interval_init(&interval, table, earlier, later, &made->arena);
    if (status != KVTEL_OK || interval.engine_count == 0)
        return status;
    size_t rest = choice->limit - made->count,
           most = made->count + (interval.engine_count < rest ? interval.engine_count : rest);
    struct kvtel_engine_summary *entries = realloc(made->entries, (most + 1) * sizeof(*entries));
    if (!entries)
        return KVTEL_E_NOMEM;
    made->entries = entries;
    size_t first = made->count;
    for (uint32_t i = 0; i < interval.engine_count && status == KVTEL_OK; i++) {
        if (passes(&interval, i, choice->filter) && made->all++ >= choice->offset && made->count < most)
            status = summarise_engine(&interval, i, &entries[made->count++]);
    }
    qsort(entries + first, made->count - first, sizeof(*entries), compare_entries);
    return status;
}

static enum kvtel_status make(struct kvtel_snapshot_summary *made, const struct kvtel_snapshot *earlier,
                              const struct kvtel_snapshot *later, const struct kvtel_summary_choice *choice)
{
    struct kvtel_snapshot_summary summary = { 0 };
    enum kvtel_status status = KVTEL_OK;
    const struct kvtel_connector *table;
    for (size_t i = 0; status == KVTEL_OK && (table = kvtel_snapshot_table(i)); i++)
        status = add_table(&summary, table, earlier, later, choice);
    if (status == KVTEL_OK)
        status = kvtel_generic_table(later, &summary.arena, &table);
    if (status == KVTEL_OK)
        status = add_table(&summary, table, earlier, later, choice);
    if (status == KVTEL_OK)
        *made = summary;
    else
        kvtel_snapshot_summary_close(&summary);
    return status;
}

enum kvtel_status kvtel_snapshot_summary_init(struct kvtel_snapshot_summary *made, const struct kvtel_snapshot *earlier,
                                              const struct kvtel_snapshot *later, size_t limit)
{
    return make(made, earlier, later, &(const struct kvtel_summary_choice){ .limit = limit });
}

enum kvtel_status kvtel_snapshot_summary_choose(struct kvtel_snapshot_summary *made,
                                                const struct kvtel_snapshot *snapshot,
                                                const struct kvtel_summary_choice *choice)
{
    return make(made, NULL, snapshot, choice);
}

void kvtel_snapshot_summary_close(struct kvtel_snapshot_summary *made)
{
    for (size_t i = 0; i < made->count; i++)
        kvtel_summary_close(&made->entries[i].summary);
    free(made->entries);
    kvtel_arena_free(&made->arena);
    *made = (struct kvtel_snapshot_summary){ 0 };
}
