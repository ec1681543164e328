/* SPDX-License-Identifier: Apache-2.0 */
/* Recording by native callers: adds values to the columns that the connector's flows and failures name. */
#include "base/diagnostics.h"
#include "vllm/stats/stats.h"

#include <math.h>
#include <string.h>

/* The values that one call adds, all of them or none. */
struct addition {
    struct kvtel_column *column;
    bool is_double;
    int64_t integer;
    double number;
    enum kvtel_field_kind kind;
    bool replaces; /* a typed gauge: the value replaces the old one */
};

enum { ADDITIONS = 16 };

struct additions {
    struct kvtel_stats *stats;
    struct addition items[ADDITIONS];
    size_t count;
};

/* Makes room: for the only value of a number that is added to, for one more value of a list, or for the value in a
 * distribution. */
static enum kvtel_status reserve(const struct addition *item)
{
    struct kvtel_column *column = item->column;
    double value = item->is_double ? item->number : (double)item->integer;
    if (column->summary && item->kind == KVTEL_FIELD_TEXT)
        return kvtel_distribution_reserve_texts(column->summary, (size_t)item->integer + 1);
    if (column->summary)
        return value > 0 ? kvtel_distribution_reserve(column->summary, value, value) : KVTEL_OK;
    bool list = kvtel_kind_is_samples(item->kind);
    bool mixed =
        list && column->count > 0 && column->type != (item->is_double ? KVTEL_COLUMN_DOUBLES : KVTEL_COLUMN_INTEGERS);
    return kvtel_column_reserve(column, 1, mixed);
}

static void apply(struct kvtel_content *content, const struct addition *item)
{
    struct kvtel_column *column = item->column;
    column->present = true;
    if (column->summary) {
        if (item->kind == KVTEL_FIELD_TEXT)
            kvtel_distribution_add_text(column->summary, (size_t)item->integer, 1);
        else if (item->is_double)
            kvtel_distribution_add_double(column->summary, item->number);
        else
            kvtel_distribution_add_integer(column->summary, item->integer);
        return;
    }
    if (item->kind == KVTEL_FIELD_TOTAL) {
        union kvtel_number value = { .integer = item->integer };
        if (item->is_double)
            value.number = item->number;
        const struct kvtel_column one = { .type = item->is_double ? KVTEL_COLUMN_DOUBLES : KVTEL_COLUMN_INTEGERS,
                                          .count = 1,
                                          .values = &value };
        kvtel_column_add(column, &one);
        return;
    }
    bool list = kvtel_kind_is_samples(item->kind);
    if (item->replaces || !list) {
        content->samples -= list ? column->count : 0;
        column->count = 0;
    }
    content->samples += list;
    if (item->is_double)
        kvtel_column_append_double(column, item->number);
    else
        kvtel_column_append_integer(column, item->integer);
}

static enum kvtel_status apply_all(struct additions *additions)
{
    for (size_t i = 0; i < additions->count; i++) {
        enum kvtel_status status = reserve(&additions->items[i]);
        if (status != KVTEL_OK)
            return status;
    }
    for (size_t i = 0; i < additions->count; i++)
        apply(&additions->stats->content, &additions->items[i]);
    kvtel_stats_enforce_limit(additions->stats);
    return KVTEL_OK;
}

static struct addition *add(struct additions *additions, struct kvtel_column_set *set, const char *key)
{
    const struct kvtel_content *content = &additions->stats->content;
    int field = key ? kvtel_table_field(content->table, key) : -1;
    if (field < 0 || additions->count == ADDITIONS)
        return NULL;
    struct addition *item = &additions->items[additions->count++];
    *item = (struct addition){ .column = &set->columns[field], .kind = content->table->fields[field].kind };
    return item;
}

/* Handles a number that was not measured. If samples stand alone the sample is left out. In a row it becomes 0,
 * because a row has a value for each field. */
static bool is_left_out(const struct additions *additions, const char *key, uint64_t *value)
{
    const struct kvtel_connector *table = additions->stats->content.table;
    int field = key ? kvtel_table_field(table, key) : -1;
    bool is_alone = field >= 0 && table->fields[field].row == 0 && table->fields[field].kind == KVTEL_FIELD_SAMPLES;
    bool is_unmeasured = *value == KVTEL_UNMEASURED;
    if (is_unmeasured)
        *value = 0;
    return is_unmeasured && is_alone;
}

static void add_integer(struct additions *additions, struct kvtel_column_set *set, const char *key, uint64_t value)
{
    struct addition *item = is_left_out(additions, key, &value) ? NULL : add(additions, set, key);
    if (!item)
        return;
    item->is_double = value > INT64_MAX;
    item->integer = (int64_t)value;
    item->number = (double)value;
}

static void add_seconds(struct additions *additions, struct kvtel_column_set *set, const char *key, uint64_t value_ns)
{
    struct addition *item = is_left_out(additions, key, &value_ns) ? NULL : add(additions, set, key);
    if (!item)
        return;
    item->is_double = true;
    item->number = (double)value_ns / 1e9;
}

static void add_transfer(struct additions *additions, struct kvtel_column_set *set, const struct kvtel_flow *flow,
                         const struct kvtel_transfer *transfer)
{
    add_seconds(additions, set, flow->time, transfer->duration_ns);
    add_seconds(additions, set, flow->post, transfer->post_ns);
    add_integer(additions, set, flow->bytes, transfer->bytes);
    add_integer(additions, set, flow->sizes, transfer->bytes);
    add_integer(additions, set, flow->descriptors, transfer->descriptors);
    add_integer(additions, set, flow->count, 1);
    add_integer(additions, set, flow->started, 1);
}

static const struct kvtel_flow *find_flow(const struct kvtel_connector *table, const char *name)
{
    for (const struct kvtel_flow *flow = table->flows; flow && flow->name; flow++)
        if (!name || strcmp(flow->name, name) == 0 || strcmp(flow->name, "*") == 0)
            return flow;
    return NULL;
}

/* Finds or makes the column of a typed metric with these labels. */
static enum kvtel_status typed_column(struct kvtel_stats *stats, const struct kvtel_metric *metric,
                                      const char *const *labels, size_t label_count, struct kvtel_column **column)
{
    char packed[512];
    size_t size = 0;
    for (size_t i = 0; i < label_count; i++) {
        size_t length = strlen(labels[i]) + 1;
        if (length > sizeof packed - size)
            return KVTEL_E_ARGUMENT;
        memcpy(packed + size, labels[i], length);
        size += length;
    }
    struct kvtel_column_set *set = kvtel_content_find_set(&stats->content, metric->name, strlen(metric->name));
    if (!set)
        set = kvtel_content_add_set(&stats->content, metric->name, strlen(metric->name));
    if (!set)
        return KVTEL_E_NOMEM;
    set->metric = metric;
    *column = kvtel_column_set_find_labels(set, packed, size, (uint32_t)label_count);
    if (!*column && set->column_count >= KVTEL_STATS_NAME_LIMIT)
        return KVTEL_E_LIMIT;
    if (!*column)
        *column = kvtel_column_set_add_labels(set, packed, size, (uint32_t)label_count);
    return *column ? KVTEL_OK : KVTEL_E_NOMEM;
}

/* Whether a value is stored as an integer: whole numbers of counted things are, as in payloads. */
static bool is_integral(enum kvtel_unit unit, double value)
{
    return (unit == KVTEL_UNIT_COUNT || unit == KVTEL_UNIT_BYTES) && value == floor(value) && fabs(value) < 0x1p53;
}

/* Counts a number that is not a possible measurement. Returns whether it is one. */
static bool is_implausible(struct kvtel_stats *stats, enum kvtel_refusal fault, const char *key)
{
    if (fault == KVTEL_REFUSED_IMPLAUSIBLE)
        kvtel_diagnostics_refuse(stats->diagnostics, fault, 1, key, "%s: \"%.64s\" is past what can be measured (2^62)",
                                 stats->connector->names[0].name, key);
    return fault != KVTEL_REFUSAL_COUNT;
}

/* Whether all numbers of a transfer are possible; otherwise the transfer is counted as refused. */
static bool check_transfer(struct kvtel_stats *stats, const struct kvtel_transfer *transfer)
{
    const struct {
        const char *name;
        uint64_t number;
    } parts[] = { { "duration_ns", transfer->duration_ns },
                  { "post_ns", transfer->post_ns },
                  { "bytes", transfer->bytes },
                  { "descriptors", transfer->descriptors },
                  { "failed", transfer->failed } };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i].number >= KVTEL_TRANSFER_LIMIT && parts[i].number != KVTEL_UNMEASURED)
            return !is_implausible(stats, KVTEL_REFUSED_IMPLAUSIBLE, parts[i].name);
    return true;
}

struct typed_part {
    const char *key; /* NULL: not recorded */
    double value;
};

static enum kvtel_status add_typed(struct additions *additions, const struct typed_part *part,
                                   const char *const *labels, size_t label_count)
{
    const struct kvtel_metric *metric = kvtel_table_metric(additions->stats->content.table, part->key);
    if (!metric || metric->fields[0] || metric->input == KVTEL_INPUT_INFO)
        return KVTEL_E_UNKNOWN;
    double value = part->value;
    const struct kvtel_number_range range =
        kvtel_number_range(metric->type == KVTEL_GAUGE ? KVTEL_FIELD_LEVEL : KVTEL_FIELD_SAMPLES, metric->unit);
    if (label_count != kvtel_metric_label_count(metric) || (label_count > 0 && !labels) ||
        is_implausible(additions->stats, kvtel_number_fault(value, &range), part->key))
        return KVTEL_E_ARGUMENT;
    bool integral = is_integral(metric->unit, value);
    struct addition *item = &additions->items[additions->count];
    *item = (struct addition){ .is_double = !integral,
                               .integer = integral ? (int64_t)value : 0,
                               .number = value,
                               .kind = metric->type == KVTEL_COUNTER ? KVTEL_FIELD_TOTAL : KVTEL_FIELD_SAMPLES };
    enum kvtel_status status = typed_column(additions->stats, metric, labels, label_count, &item->column);
    item->replaces = metric->type == KVTEL_GAUGE;
    additions->count += status == KVTEL_OK;
    return status;
}

/* Records the parts of one observation, each in a metric of its own: all of them or none. */
static enum kvtel_status record_typed(struct kvtel_stats *stats, const struct typed_part *parts, size_t count,
                                      const char *const *labels, size_t label_count)
{
    struct kvtel_content *content = &stats->content;
    struct additions additions = { .stats = stats };
    size_t sets = content->set_count;
    for (size_t g = 0; g < sets; g++)
        content->sets[g].mark = content->sets[g].column_count;
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < count && status == KVTEL_OK; i++)
        if (parts[i].key)
            status = add_typed(&additions, &parts[i], labels, label_count);
    if (status == KVTEL_OK)
        status = apply_all(&additions);
    if (status == KVTEL_OK)
        return KVTEL_OK;
    kvtel_content_truncate(content, sets);
    for (size_t g = 0; g < sets; g++)
        kvtel_column_set_truncate(&content->sets[g], content->sets[g].mark);
    return status;
}

enum kvtel_status kvtel_stats_record_value(struct kvtel_stats *stats, const char *key, const char *const *labels,
                                           size_t label_count, double value)
{
    if (!key)
        return KVTEL_E_UNKNOWN;
    if (stats->content.table->payload_kind == KVTEL_PAYLOAD_TYPED)
        return record_typed(stats, &(struct typed_part){ key, value }, 1, labels, label_count);
    if (stats->content.table->payload_kind != KVTEL_PAYLOAD_COLUMNS)
        return KVTEL_E_UNKNOWN;
    struct additions additions = { .stats = stats };
    struct addition *item = add(&additions, &stats->content.sets[0], key);
    if (!item)
        return KVTEL_E_UNKNOWN;
    enum kvtel_unit unit = stats->content.table->fields[kvtel_table_field(stats->content.table, key)].unit;
    const struct kvtel_number_range range = kvtel_number_range(item->kind, unit);
    if (label_count > 0 || is_implausible(stats, kvtel_number_fault(value, &range), key))
        return KVTEL_E_ARGUMENT;
    bool integral = is_integral(unit, value);
    item->is_double = !integral;
    item->integer = integral ? (int64_t)value : 0;
    item->number = value;
    return apply_all(&additions);
}

static const char *measured(const char *key, uint64_t number)
{
    return number == KVTEL_UNMEASURED ? NULL : key;
}

static enum kvtel_status record_typed_transfer(struct kvtel_stats *stats, const struct kvtel_flow *flow,
                                               const struct kvtel_transfer *transfer)
{
    const struct typed_part parts[] = {
        { measured(flow->time, transfer->duration_ns), (double)transfer->duration_ns / 1e9 },
        { measured(flow->post, transfer->post_ns), (double)transfer->post_ns / 1e9 },
        { measured(flow->bytes, transfer->bytes), (double)transfer->bytes },
        { measured(flow->descriptors, transfer->descriptors), (double)transfer->descriptors },
        { flow->count, 1 },
        { flow->started, 1 },
        { measured(flow->sizes, transfer->bytes), (double)transfer->bytes },
    };
    return record_typed(stats, parts, sizeof parts / sizeof *parts, NULL, 0);
}

enum kvtel_status kvtel_stats_record_transfer(struct kvtel_stats *stats, const char *flow_name,
                                              const struct kvtel_transfer *transfer)
{
    const struct kvtel_content *content = &stats->content;
    const struct kvtel_flow *flow = find_flow(content->table, flow_name);
    if (!flow)
        return KVTEL_E_UNKNOWN;
    if (!check_transfer(stats, transfer))
        return KVTEL_E_ARGUMENT;
    if (content->table->payload_kind == KVTEL_PAYLOAD_TYPED)
        return record_typed_transfer(stats, flow, transfer);
    if (content->table->payload_kind != KVTEL_PAYLOAD_COLUMNS)
        return flow_name ? kvtel_stats_record_operation(stats, flow_name, "ok", transfer) : KVTEL_E_UNKNOWN;
    struct additions additions = { .stats = stats };
    add_transfer(&additions, &content->sets[0], flow, transfer);
    return apply_all(&additions);
}

enum kvtel_status kvtel_stats_record_failure(struct kvtel_stats *stats, enum kvtel_failure failure)
{
    const struct kvtel_connector *table = stats->content.table;
    for (const struct kvtel_failure_field *entry = table->failures; entry && entry->field; entry++) {
        if (entry->failure != failure)
            continue;
        if (table->payload_kind == KVTEL_PAYLOAD_TYPED)
            return record_typed(stats, &(struct typed_part){ entry->field, 1 }, 1, NULL, 0);
        if (table->payload_kind != KVTEL_PAYLOAD_COLUMNS)
            return KVTEL_E_UNKNOWN;
        struct additions additions = { .stats = stats };
        add_integer(&additions, &stats->content.sets[0], entry->field, 1);
        for (const struct kvtel_flow *flow = table->flows; flow && flow->name; flow++)
            if (flow->started && flow->failed && strcmp(flow->failed, entry->field) == 0)
                add_integer(&additions, &stats->content.sets[0], flow->started, 1);
        return apply_all(&additions);
    }
    return KVTEL_E_UNKNOWN;
}

enum kvtel_status kvtel_stats_record_operation(struct kvtel_stats *stats, const char *operation,
                                               const char *status_text, const struct kvtel_transfer *transfer)
{
    if (!operation || !status_text)
        return KVTEL_E_ARGUMENT;
    struct kvtel_content *content = &stats->content;
    bool rows = content->table->payload_kind == KVTEL_PAYLOAD_ROWS, ok = strcmp(status_text, "ok") == 0;
    const struct kvtel_flow *flow = find_flow(content->table, operation);
    if (!flow || (!rows && content->table->payload_kind != KVTEL_PAYLOAD_COUNTS))
        return KVTEL_E_UNKNOWN;
    if (!check_transfer(stats, transfer))
        return KVTEL_E_ARGUMENT;
    size_t sets = content->set_count, id = 0;
    enum kvtel_status status = KVTEL_OK;
    struct kvtel_column_set *set = kvtel_content_find_set(content, operation, strlen(operation));
    if (!set && sets >= KVTEL_STATS_NAME_LIMIT)
        return KVTEL_E_LIMIT;
    if (rows && flow->status)
        status = kvtel_content_text(content, status_text, strlen(status_text), &id);
    if (status == KVTEL_OK && !set)
        set = kvtel_content_add_set(content, operation, strlen(operation));
    if (status != KVTEL_OK || !set)
        return status != KVTEL_OK ? status : KVTEL_E_NOMEM;
    struct additions additions = { .stats = stats };
    if (rows) {
        add_transfer(&additions, set, flow, transfer);
        add_integer(&additions, set, flow->failed, transfer->failed);
        add_integer(&additions, set, flow->status, id);
        if (additions.count != set->column_count)
            status = KVTEL_E_UNKNOWN; /* a row needs a value for each field, and the flow does not name all of them */
    } else {
        add_integer(&additions, set, flow->started, 1);
        add_integer(&additions, set, flow->count, ok);
        add_integer(&additions, set, flow->failed, !ok);
        add_integer(&additions, set, flow->bytes, ok ? transfer->bytes : 0);
    }
    if (status == KVTEL_OK)
        status = apply_all(&additions);
    if (status != KVTEL_OK)
        kvtel_content_truncate(content, sets);
    return status;
}
