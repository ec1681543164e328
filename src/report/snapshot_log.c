/* SPDX-License-Identifier: Apache-2.0 */
/* The log lines of an interval, from metrics. */
#include "collect/series.h"
#include "connectors/table.h"
#include "report/snapshot_summary.h"

#include <math.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/number.h"
#include "base/python.h"
#include "report/tables.h"

/* A line in vLLM's style. The first error is kept, and later calls do nothing. */
struct line {
    struct kvtel_buffer *buffer;
    enum kvtel_status status;
    bool has_words;
    const struct kvtel_interval *interval;
    const char *operation; /* NULL: the table is not by operations */
};

static void put_text(struct line *line, const char *text)
{
    if (line->status == KVTEL_OK)
        line->status = kvtel_python_line(line->buffer, text, strlen(text));
}

static void put_key(struct line *line, const char *before, const char *key)
{
    put_text(line, line->has_words ? ", " : "KV Transfer metrics: ");
    put_text(line, before);
    put_text(line, key);
    line->has_words = true;
}

static void put_number(struct line *line, double number, bool is_integer)
{
    char text[KVTEL_NUMBER_SIZE];
    put_text(line, "=");
    if (line->status != KVTEL_OK)
        return;
    if (is_integer && number == floor(number) && fabs(number) < 0x1p63)
        line->status = kvtel_buffer_printf(line->buffer, "%lld", (long long)number);
    else
        line->status = kvtel_buffer_append(line->buffer, text, kvtel_number_repr(number, text));
}

static bool is_whole(enum kvtel_unit unit)
{
    return unit == KVTEL_UNIT_COUNT || unit == KVTEL_UNIT_BYTES;
}

static struct kvtel_measure measure(struct line *line, const char *key, const char *status)
{
    const struct kvtel_selection selection = { .engine = KVTEL_ALL_ENGINES,
                                               .operation = line->operation,
                                               .status = status };
    struct kvtel_measure measured = { 0 };
    if (line->status == KVTEL_OK)
        line->status = kvtel_interval_measure(line->interval, key, &selection, &measured);
    return measured;
}

/* Number of events: the count of a histogram, or the value of a counter. */
static double amount_of(const struct kvtel_measure *measured)
{
    return measured->bins.family ? (double)measured->bins.count : measured->sum;
}

/* A total of started transfers that does not have a family of its own: the number of ended transfers in the flows
 * that count it, with failures. */
static double count_started(struct line *line, const char *key)
{
    double started = 0;
    for (const struct kvtel_flow *flow = line->interval->table->flows; flow && flow->name; flow++) {
        if (!flow->started || strcmp(flow->started, key) != 0)
            continue;
        struct kvtel_measure time = measure(line, flow->time, NULL), failed = measure(line, flow->failed, NULL);
        started += amount_of(&time) + amount_of(&failed);
    }
    return started;
}

/* Adds up the fields of a line: in one family if they share it, else each by itself. */
static double add_fields(struct line *line, const struct kvtel_reduction *reduction,
                         double (*of)(const struct kvtel_measure *))
{
    size_t count = 0;
    double sum = 0;
    while (count < KVTEL_METRIC_FIELDS && reduction->fields[count])
        count++;
    const struct kvtel_interval_family *family =
        count > 1 ? kvtel_interval_family_of(line->interval, reduction->fields, count) : NULL;
    if (family && line->status == KVTEL_OK) {
        const struct kvtel_selection selection = { .engine = KVTEL_ALL_ENGINES };
        struct kvtel_measure measured = { 0 };
        line->status = kvtel_interval_measure_family(line->interval, family, &selection, &measured);
        return of(&measured);
    }
    for (size_t i = 0; i < count; i++) {
        struct kvtel_measure measured = measure(line, reduction->fields[i], NULL);
        sum += measured.is_known ? of(&measured) : count_started(line, reduction->fields[i]);
    }
    return sum;
}

static double sum_of(const struct kvtel_measure *measured)
{
    return measured->sum;
}

static enum kvtel_unit unit_of(const struct kvtel_connector *table, const char *key)
{
    for (const struct kvtel_field *field = table->fields; field && field->key; field++) {
        if (strcmp(field->key, key) == 0)
            return field->unit;
    }
    return KVTEL_UNIT_COUNT;
}

/* Number of rows of an operation that end with a status. */
static double count_matches(struct line *line, const char *match)
{
    const struct kvtel_flow *flow = line->interval->table->flows;
    struct kvtel_measure measured = measure(line, flow ? flow->time : NULL, match);
    return amount_of(&measured);
}

static void put_reduction(struct line *line, const struct kvtel_reduction *reduction)
{
    double scale = reduction->scale != 0 ? reduction->scale : 1, number = 0;
    bool is_integer = false;
    struct kvtel_measure first = measure(line, reduction->fields[0], NULL), second;
    switch (reduction->kind) {
    case KVTEL_REDUCE_COUNT:
        number = add_fields(line, reduction, amount_of);
        is_integer = true;
        break;
    case KVTEL_REDUCE_TOTAL:
        number = add_fields(line, reduction, sum_of);
        is_integer = is_whole(unit_of(line->interval->table, reduction->fields[0]));
        break;
    case KVTEL_REDUCE_MEAN:
        number = first.bins.count > 0
                     ? kvtel_number_round(first.sum / (double)first.bins.count * scale, reduction->digits)
                     : 0;
        break;
    case KVTEL_REDUCE_P90:
        number = kvtel_interval_quantile(&first.bins, 0.9, kvtel_table_log(line->interval->table)->arithmetic);
        number = kvtel_number_round(number * scale, reduction->digits);
        break;
    case KVTEL_REDUCE_RATE:
        second = measure(line, reduction->fields[1], NULL);
        number = second.sum > 0 ? kvtel_number_round(first.sum * scale / second.sum, reduction->digits) : 0;
        break;
    case KVTEL_REDUCE_LAST:
        if (first.stamp == 0)
            return;
        number = kvtel_number_round(first.sum * scale, reduction->digits);
        break;
    case KVTEL_REDUCE_MATCHES:
        number = count_matches(line, reduction->match);
        is_integer = true;
        break;
    }
    put_key(line, line->operation ? line->operation : "", reduction->key);
    put_number(line, number, is_integer);
}

/* Whether the primary field is empty; without it most lines are 0. */
static bool primary_is_empty(struct line *line)
{
    const char *key = kvtel_table_log(line->interval->table)->primary;
    struct kvtel_measure measured = measure(line, key, NULL);
    return key && (measured.is_known ? amount_of(&measured) : count_started(line, key)) <= 0;
}

static void put_reductions(struct line *line)
{
    const struct kvtel_log_rules *rules = kvtel_table_log(line->interval->table);
    bool is_empty = primary_is_empty(line);
    if (is_empty && rules->silent_when_empty)
        return;
    for (const struct kvtel_reduction *reduction = rules->reduce; reduction && reduction->key; reduction++) {
        if (!is_empty || reduction->always) {
            put_reduction(line, reduction);
            continue;
        }
        put_key(line, line->operation ? line->operation : "", reduction->key);
        put_number(line, 0, true);
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_operations(struct line *line)
{
    struct kvtel_interval_texts operations = { 0 };
    if (line->status == KVTEL_OK)
        line->status = kvtel_interval_operations(line->interval, KVTEL_ALL_ENGINES, &operations);
    if (kvtel_table_log(line->interval->table)->sorted && operations.count > 0)
        qsort(operations.texts, operations.count, sizeof(*operations.texts), compare_texts);
    for (size_t i = 0; i < operations.count && line->status == KVTEL_OK; i++) {
        line->operation = operations.texts[i];
        struct kvtel_measure time = measure(line, line->interval->table->flows->time, NULL);
        if (line->interval->table->payload_kind == KVTEL_PAYLOAD_COUNTS || amount_of(&time) > 0)
            put_reductions(line);
    }
    line->operation = NULL;
}

static const char *label_value(const struct kvtel_interval_family *family, const struct kvtel_snapshot_series *series,
                               size_t i)
{
    return family->labels[i] < 0 ? "" : series->values[family->labels[i]];
}

/* How many labels a series has; 0 as well if all of them are empty, as those of an older vLLM's payload without labels.
 */
static size_t labels_of(const struct kvtel_interval_family *family, const struct kvtel_snapshot_series *series)
{
    for (size_t i = 0; i < family->label_count; i++)
        if (*label_value(family, series, i) != '\0')
            return family->label_count;
    return 0;
}

/* "name", or "name:('a', 'b')" as Python prints a tuple. */
static void put_typed_key(struct line *line, const struct kvtel_interval_family *family,
                          const struct kvtel_snapshot_series *series, const char *behind)
{
    const size_t count = labels_of(family, series);
    put_key(line, family->metric->name, count > 0 ? ":(" : "");
    for (size_t i = 0; i < count && line->status == KVTEL_OK; i++) {
        const char *value = label_value(family, series, i);
        line->status = kvtel_python_repr(line->buffer, value, strlen(value));
        put_text(line, i + 1 < count ? ", " : count == 1 ? ",)" : ")");
    }
    put_text(line, behind);
}

static void put_typed_series(struct line *line, const struct kvtel_interval_family *family,
                             const struct kvtel_snapshot_series *series)
{
    const struct kvtel_selection selection = { .engine = KVTEL_ALL_ENGINES, .like = series };
    struct kvtel_measure measured = { 0 };
    if (line->status == KVTEL_OK)
        line->status = kvtel_interval_measure_family(line->interval, family, &selection, &measured);
    if (measured.is_gauge ? measured.stamp == 0 : amount_of(&measured) <= 0)
        return;
    bool is_integer = is_whole(family->metric->unit);
    if (family->later->type == KVTEL_HISTOGRAM) {
        put_typed_key(line, family, series, "_count");
        put_number(line, (double)measured.bins.count, true);
    }
    put_typed_key(line, family, series, family->later->type == KVTEL_HISTOGRAM ? "_sum" : "");
    put_number(line, measured.sum, is_integer);
}

static bool has_like(const struct kvtel_interval_family *family, size_t end)
{
    for (size_t i = 0; i < end; i++) {
        size_t k = 0;
        while (k < family->label_count && strcmp(family->later->series[i].values[family->labels[k]],
                                                 family->later->series[end].values[family->labels[k]]) == 0)
            k++;
        if (k == family->label_count)
            return true;
    }
    return false;
}

static void put_typed(struct line *line)
{
    for (size_t i = 0; i < line->interval->family_count; i++) {
        const struct kvtel_interval_family *family = &line->interval->families[i];
        const char *const *hidden = kvtel_table_log(line->interval->table)->hidden;
        while (hidden && *hidden && strcmp(*hidden, family->metric->name) != 0)
            hidden++;
        bool has_labels = true;
        for (size_t k = 0; k < family->label_count; k++)
            has_labels = has_labels && family->labels[k] >= 0;
        if (family->metric->fields[0] || family->metric->input == KVTEL_INPUT_INFO || (hidden && *hidden) ||
            !has_labels)
            continue;
        for (size_t k = 0; k < family->later->series_count; k++) {
            if (!has_like(family, k))
                put_typed_series(line, family, &family->later->series[k]);
        }
    }
}

static bool is_active(struct line *line)
{
    const struct kvtel_selection all = { .engine = KVTEL_ALL_ENGINES };
    bool active = false;
    for (size_t i = 0; i < line->interval->family_count && line->status == KVTEL_OK && !active; i++) {
        struct kvtel_measure measured;
        line->status = kvtel_interval_measure_family(line->interval, &line->interval->families[i], &all, &measured);
        active = line->status == KVTEL_OK && !measured.is_gauge && amount_of(&measured) > 0;
    }
    return active;
}

/* Collects the lines, each followed by a NUL, so that either all of them reach the sink or none. */
static enum kvtel_status gather_vllm(const struct kvtel_connector *table, const struct kvtel_snapshot *earlier,
                                     const struct kvtel_snapshot *later, struct kvtel_buffer *lines)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_interval interval;
    struct line line = { .buffer = lines, .interval = &interval };
    line.status = kvtel_interval_init(&interval, table, earlier, later, &arena);
    if (line.status == KVTEL_OK && is_active(&line)) {
        switch (table->payload_kind) {
        case KVTEL_PAYLOAD_ROWS:
        case KVTEL_PAYLOAD_COUNTS:
            put_operations(&line);
            break;
        case KVTEL_PAYLOAD_TYPED:
            put_typed(&line);
            break;
        default:
            put_reductions(&line);
        }
        if (line.status == KVTEL_OK && line.has_words)
            line.status = kvtel_buffer_append_byte(lines, '\0');
    }
    kvtel_arena_free(&arena);
    return line.status;
}

static enum kvtel_status gather_default(const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                                        double interval, struct kvtel_buffer *lines)
{
    struct kvtel_snapshot_summary made;
    enum kvtel_status status = kvtel_snapshot_summary_init(&made, earlier, later, SIZE_MAX);
    if (status != KVTEL_OK)
        return status;
    bool many_models = false;
    for (size_t i = 0; i < made.count; i++)
        many_models = many_models || (*made.entries[i].model_name &&
                                      strcmp(made.entries[i].model_name, made.entries[0].model_name) != 0);
    for (size_t i = 0; i < made.count && status == KVTEL_OK; i++) {
        const struct kvtel_engine_summary *entry = &made.entries[i];
        const struct kvtel_summary_context context = {
            .connector = entry->connector,
            .interval = interval,
            .engine_name = entry->engine,
            .model_name = many_models && *entry->model_name ? entry->model_name : NULL,
        };
        if (entry->summary.is_empty)
            continue;
        status = kvtel_summary_line(&entry->summary, &context, lines);
        if (status == KVTEL_OK)
            status = kvtel_buffer_append_byte(lines, '\0');
    }
    kvtel_snapshot_summary_close(&made);
    return status;
}

enum kvtel_status kvtel_snapshot_log(const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                                     enum kvtel_log_style style, double interval_seconds, kvtel_log_fn sink,
                                     void *context)
{
    struct kvtel_buffer lines = { 0 };
    enum kvtel_status status = KVTEL_OK;
    const struct kvtel_connector *table;
    if (style == KVTEL_LOG_DEFAULT)
        status = gather_default(earlier, later, interval_seconds, &lines);
    for (size_t i = 0; style == KVTEL_LOG_VLLM && status == KVTEL_OK && (table = kvtel_snapshot_table(i)); i++)
        status = gather_vllm(table, earlier, later, &lines);
    for (size_t at = 0; status == KVTEL_OK && at < lines.size; at += strlen(lines.bytes + at) + 1)
        sink(context, lines.bytes + at);
    kvtel_buffer_free(&lines);
    return status;
}
