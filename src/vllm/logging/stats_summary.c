/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a summary from stats: flows and failures, by the connector's table. */
#include "vllm/logging/stats_summary.h"

#include <stdlib.h>

#include "vllm/stats/arithmetic.h"
#include "vllm/stats/stats.h"

/* The source of the summary: a table and the column sets that it describes. */
struct source {
    const struct kvtel_content *content;
    const struct kvtel_connector *table;
};

/* The columns of a key: one for each label set of a typed metric, else the one of the column set. */
static const struct kvtel_column *columns_of(const struct source *source, const struct kvtel_column_set *set,
                                             const char *key, size_t *count)
{
    *count = 0;
    if (source->table->payload_kind == KVTEL_PAYLOAD_TYPED) {
        set = kvtel_content_find_set(source->content, key, strlen(key));
        *count = set ? set->column_count : 0;
        return set ? set->columns : NULL;
    }
    const struct kvtel_column *column = set ? kvtel_column_set_find(source->content, set, key) : NULL;
    *count = column ? 1 : 0;
    return column;
}

/* Whether a key has one value for each transfer rather than a sum. */
static bool has_samples(const struct kvtel_connector *table, const char *key)
{
    if (!key)
        return false;
    if (table->payload_kind == KVTEL_PAYLOAD_TYPED) {
        const struct kvtel_metric *metric = kvtel_table_metric(table, key);
        return metric && metric->type == KVTEL_HISTOGRAM;
    }
    int field = kvtel_table_field(table, key);
    return field >= 0 && table->fields[field].kind == KVTEL_FIELD_SAMPLES;
}

static double column_sum(const struct kvtel_column *column)
{
    if (column->summary)
        return kvtel_distribution_sum(column->summary);
    double sum = 0;
    for (size_t i = 0; i < column->count; i++)
        sum += kvtel_column_number(column, i);
    return sum;
}

/* The sum of a key's values. False: the connector does not have the key. */
static bool sum_of(const struct source *source, const struct kvtel_column_set *set, const char *key, double *sum)
{
    if (!key)
        return false;
    size_t count;
    const struct kvtel_column *columns = columns_of(source, set, key, &count);
    *sum = 0;
    for (size_t i = 0; i < count; i++)
        *sum += column_sum(&columns[i]);
    return true;
}

static uint64_t whole(double number)
{
    return number >= 0x1p64 ? UINT64_MAX : number > 0 ? (uint64_t)number : 0;
}

static bool total_of(const struct source *source, const struct kvtel_column_set *set, const char *key, uint64_t *total)
{
    double sum;
    if (!sum_of(source, set, key, &sum))
        return false;
    *total = whole(sum);
    return true;
}

/* Quantiles of one column. Several label sets are not mixed. */
static enum kvtel_status quantiles_of(const struct source *source, const struct kvtel_column_set *set, const char *key,
                                      struct kvtel_quantiles *quantiles)
{
    if (!has_samples(source->table, key))
        return KVTEL_OK;
    size_t count;
    const struct kvtel_column *column = columns_of(source, set, key, &count);
    if (count != 1 || kvtel_column_total_count(column) == 0)
        return KVTEL_OK;
    quantiles->known = true;
    if (column->summary) {
        quantiles->p50 = kvtel_distribution_quantile(column->summary, 0.5);
        quantiles->p90 = kvtel_distribution_quantile(column->summary, 0.9);
        quantiles->p99 = kvtel_distribution_quantile(column->summary, 0.99);
        quantiles->max = column->summary->largest;
        return KVTEL_OK;
    }
    double *values = malloc(column->count * sizeof(*values));
    if (!values)
        return KVTEL_E_NOMEM;
    kvtel_column_copy_doubles(column, values);
    quantiles->p50 = kvtel_percentile(values, column->count, 0.5);
    quantiles->p90 = kvtel_percentile(values, column->count, 0.9);
    quantiles->p99 = kvtel_percentile(values, column->count, 0.99);
    quantiles->max = kvtel_percentile(values, column->count, 1);
    free(values);
    return KVTEL_OK;
}

/* Counts the rows by status. */
static enum kvtel_status count_statuses(const struct source *source, const struct kvtel_column_set *set,
                                        const char *key, struct kvtel_flow_summary *flow)
{
    size_t columns;
    const struct kvtel_column *column = columns_of(source, set, key, &columns);
    const struct kvtel_distribution *summary = column ? column->summary : NULL;
    uint64_t *counts = calloc(source->content->text_count + 1, sizeof(*counts));
    if (!counts)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; column && i < column->count; i++)
        counts[column->values[i].integer]++;
    for (size_t i = 0; summary && i < summary->bin_count && i < source->content->text_count; i++)
        counts[i] += summary->bins[i];
    enum kvtel_status status = KVTEL_OK;
    flow->has_failed = true;
    for (size_t i = 0; i < source->content->text_count && status == KVTEL_OK; i++) {
        if (strcmp(source->content->texts[i], "ok") == 0)
            continue;
        flow->failed += counts[i];
        status = kvtel_summary_add_failures(&flow->failures, source->content->texts[i], counts[i]);
    }
    free(counts);
    return status;
}

/* Number of successful transfers: the number of samples, or the value of a total. */
static void count_transfers(const struct source *source, const struct kvtel_column_set *set,
                            const struct kvtel_flow *described, struct kvtel_flow_summary *flow)
{
    const char *const keys[] = { described->time, described->sizes, described->bytes, described->descriptors,
                                 described->post };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!has_samples(source->table, keys[i]))
            continue;
        size_t count;
        const struct kvtel_column *columns = columns_of(source, set, keys[i], &count);
        for (size_t k = 0; k < count; k++)
            flow->transfers += kvtel_column_total_count(&columns[k]);
        flow->has_transfers = true;
        break;
    }
    if (!flow->has_transfers)
        flow->has_transfers = total_of(source, set, described->count, &flow->transfers);
    if (described->status) /* failed transfers have samples, too */
        flow->transfers -= flow->failed < flow->transfers ? flow->failed : flow->transfers;
}

static enum kvtel_status summarise_flow(const struct source *source, const struct kvtel_column_set *set,
                                        const struct kvtel_flow *described, struct kvtel_flow_summary *flow)
{
    flow->name = strcmp(described->name, "*") == 0 ? set->name : described->name;
    flow->has_bytes = sum_of(source, set, described->bytes, &flow->bytes);
    flow->has_descriptors = sum_of(source, set, described->descriptors, &flow->descriptors);
    flow->has_seconds = sum_of(source, set, described->time, &flow->seconds);
    if (flow->has_bytes && flow->has_seconds && flow->seconds > 0)
        flow->rate = flow->bytes / flow->seconds;
    enum kvtel_status status = KVTEL_OK;
    if (source->table->payload_kind == KVTEL_PAYLOAD_ROWS) {
        sum_of(source, set, described->failed, &flow->failed_descriptors);
        if (described->status)
            status = count_statuses(source, set, described->status, flow);
    } else {
        flow->has_failed = total_of(source, set, described->failed, &flow->failed);
    }
    count_transfers(source, set, described, flow);
    if (status == KVTEL_OK)
        status = quantiles_of(source, set, described->time, &flow->time);
    return status == KVTEL_OK ? quantiles_of(source, set, described->post, &flow->post) : status;
}

static int compare_flows(const void *a, const void *b)
{
    return strcmp(((const struct kvtel_flow_summary *)a)->name, ((const struct kvtel_flow_summary *)b)->name);
}

static bool is_empty_set(const struct kvtel_column_set *set)
{
    for (size_t i = 0; i < set->column_count; i++) {
        if (kvtel_column_total_count(&set->columns[i]) > 0)
            return false;
    }
    return true;
}

static enum kvtel_status summarise_flows(const struct source *source, struct kvtel_summary *summary)
{
    const struct kvtel_content *content = source->content;
    const struct kvtel_flow *flows = source->table->flows;
    size_t count = 0;
    while (flows && flows[count].name)
        count++;
    bool each_operation = count > 0 && strcmp(flows[0].name, "*") == 0;
    size_t capacity = each_operation ? content->set_count : count;
    summary->flows = calloc(capacity + 1, sizeof(*summary->flows));
    if (!summary->flows)
        return KVTEL_E_NOMEM;
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < capacity && status == KVTEL_OK; i++) {
        const struct kvtel_column_set *set = each_operation           ? &content->sets[i]
                                             : content->set_count > 0 ? &content->sets[0]
                                                                      : NULL;
        if (each_operation && is_empty_set(set))
            continue;
        struct kvtel_flow_summary *flow = &summary->flows[summary->flow_count++];
        status = summarise_flow(source, set, &flows[each_operation ? 0 : i], flow);
    }
    if (each_operation && kvtel_table_log(source->table)->sorted && status == KVTEL_OK)
        qsort(summary->flows, summary->flow_count, sizeof(*summary->flows), compare_flows);
    return status;
}

/* Summarises all failures: the classes that the connector counts, and the statuses and totals of its flows. */
static enum kvtel_status summarise_failures(const struct source *source, struct kvtel_summary *summary)
{
    const struct kvtel_connector *table = source->table;
    const struct kvtel_column_set *set = source->content->set_count > 0 ? &source->content->sets[0] : NULL;
    enum kvtel_status status = KVTEL_OK;
    for (const struct kvtel_failure_field *failure = table->failures; failure && failure->field && status == KVTEL_OK;
         failure++) {
        uint64_t count = 0;
        total_of(source, set, failure->field, &count);
        status = kvtel_summary_add_class(summary, kvtel_failure_label(failure->failure), count);
    }
    return status == KVTEL_OK ? kvtel_summary_add_flow_failures(summary, table) : status;
}

static void add_others(const struct source *source, const struct kvtel_column_set *set, struct kvtel_summary *summary)
{
    bool typed = source->table->payload_kind == KVTEL_PAYLOAD_TYPED;
    if (typed && kvtel_summary_covers(source->table, set->name))
        return;
    for (size_t i = 0; i < set->column_count; i++) {
        const struct kvtel_column *column = &set->columns[i];
        enum kvtel_field_kind kind = kvtel_column_kind(source->content, set, i);
        const char *name = typed ? set->name : source->table->fields[i].key;
        if (kind == KVTEL_FIELD_SAMPLES || kind == KVTEL_FIELD_TEXT || kvtel_column_total_count(column) == 0 ||
            (!typed && kvtel_summary_covers(source->table, name)))
            continue;
        summary->others[summary->other_count++] = (struct kvtel_other_value){
            .name = name,
            .labels = column->labels,
            .label_count = column->label_count,
            .unit = typed ? set->metric->unit : source->table->fields[i].unit,
            .value = kind == KVTEL_FIELD_LEVEL && column->count > 0 ? kvtel_column_number(column, column->count - 1)
                                                                    : column_sum(column),
        };
    }
}

static enum kvtel_status summarise_others(const struct source *source, struct kvtel_summary *summary)
{
    const struct kvtel_content *content = source->content;
    if (source->table->payload_kind != KVTEL_PAYLOAD_COLUMNS && source->table->payload_kind != KVTEL_PAYLOAD_TYPED)
        return KVTEL_OK;
    size_t capacity = 0;
    for (size_t i = 0; i < content->set_count; i++)
        capacity += content->sets[i].column_count;
    summary->others = calloc(capacity + 1, sizeof(*summary->others));
    if (!summary->others)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < content->set_count; i++)
        add_others(source, &content->sets[i], summary);
    return KVTEL_OK;
}

static enum kvtel_status summarise_children(const struct kvtel_content *content, struct kvtel_summary *summary)
{
    summary->children = calloc(content->child_count + 1, sizeof(*summary->children));
    if (!summary->children)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < content->child_count; i++) {
        struct kvtel_summary *child = &summary->children[i];
        enum kvtel_status status = kvtel_stats_summary_init(child, content->children[i].stats);
        if (status != KVTEL_OK)
            return status;
        child->class_name = content->children[i].class_name;
        summary->child_count++;
    }
    return KVTEL_OK;
}

enum kvtel_status kvtel_stats_summary_init(struct kvtel_summary *summary, const struct kvtel_stats *stats)
{
    const struct source source = { .content = &stats->content, .table = stats->content.table };
    struct kvtel_summary made = { .is_empty = kvtel_stats_is_empty(stats) };
    enum kvtel_status status;
    if (source.table->payload_kind == KVTEL_PAYLOAD_MULTI) {
        status = summarise_children(source.content, &made);
    } else {
        status = summarise_flows(&source, &made);
        if (status == KVTEL_OK)
            status = summarise_failures(&source, &made);
        if (status == KVTEL_OK)
            status = summarise_others(&source, &made);
    }
    if (status == KVTEL_OK)
        *summary = made;
    else
        kvtel_summary_close(&made);
    return status;
}
