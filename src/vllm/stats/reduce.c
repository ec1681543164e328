/* SPDX-License-Identifier: Apache-2.0 */
/* vLLM's reduce(): reduces observations to a few representative values, by the table's list of lines. */
#include "vllm/stats/reduced.h"
#include "base/buffer.h"
#include "base/number.h"
#include "base/python.h"
#include "vllm/stats/arithmetic.h"
#include "vllm/stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The result, and the memory of keys that are not a table's own. */
struct owned_reduced {
    struct kvtel_reduced base;
    struct kvtel_arena keys;
};

struct reducer {
    const struct kvtel_content *content;
    struct owned_reduced *owned;
    size_t capacity;
    double *scratch; /* space for a column's doubles */
    size_t scratch_size;
};

/* Adds an entry. `key` must live as long as the result: it is from a table or from the arena. NULL: there was no
 * memory for it. */
static enum kvtel_status add_entry(struct reducer *reducer, const char *key, struct kvtel_reduced_entry entry)
{
    struct kvtel_reduced *reduced = &reducer->owned->base;
    if (!key)
        return KVTEL_E_NOMEM;
    if (reduced->count == reducer->capacity) {
        size_t capacity = reducer->capacity ? reducer->capacity * 2 : 16;
        struct kvtel_reduced_entry *entries = realloc(reduced->entries, capacity * sizeof *entries);
        if (!entries)
            return KVTEL_E_NOMEM;
        reduced->entries = entries;
        reducer->capacity = capacity;
    }
    entry.key = key;
    reduced->entries[reduced->count++] = entry;
    return KVTEL_OK;
}

/* Joins two texts. If `a` is empty the result is `b` itself, a table's literal. */
static const char *join(struct reducer *reducer, const char *a, const char *b)
{
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size == 0)
        return b;
    char *text = kvtel_arena_alloc(&reducer->owned->keys, a_size + b_size + 1);
    if (!text)
        return NULL;
    memcpy(text, a, a_size);
    memcpy(text + a_size, b, b_size + 1);
    return text;
}

static struct kvtel_reduced_entry integer_entry(int64_t integer)
{
    return (struct kvtel_reduced_entry){ .kind = KVTEL_REDUCED_INTEGER, .integer = integer };
}

static struct kvtel_reduced_entry double_entry(double number)
{
    return (struct kvtel_reduced_entry){ .kind = KVTEL_REDUCED_DOUBLE, .number = number };
}

/* All values of a column as doubles, in a scratch area that is valid until the next call; NULL: no memory. */
static double *doubles_of(struct reducer *reducer, const struct kvtel_column *column)
{
    if (column->count > reducer->scratch_size || !reducer->scratch) {
        free(reducer->scratch);
        reducer->scratch_size = column->count ? column->count : 1;
        reducer->scratch = malloc(reducer->scratch_size * sizeof *reducer->scratch);
        if (!reducer->scratch) {
            reducer->scratch_size = 0;
            return NULL;
        }
    }
    kvtel_column_copy_doubles(column, reducer->scratch);
    return reducer->scratch;
}

/* A running sum like Python's sum(): exact for integers; after the first double, a double. */
struct total {
    kvtel_int128 integer;
    double number;
    bool is_double;
};

static void add_double(struct total *total, double value)
{
    total->number = (total->is_double ? total->number : (double)total->integer) + value;
    total->is_double = true;
}

static void add_to_total(struct total *total, const struct kvtel_column *column)
{
    if (column->summary && column->summary->doubles > 0)
        add_double(total, kvtel_distribution_sum(column->summary));
    else if (column->summary)
        total->integer += column->summary->integers;
    for (size_t i = 0; i < column->count; i++) {
        if (kvtel_column_is_double(column, i) || total->is_double)
            add_double(total, kvtel_column_number(column, i));
        else
            total->integer += column->values[i].integer;
    }
}

static struct kvtel_reduced_entry total_entry(const struct total *total)
{
    if (total->is_double)
        return double_entry(total->number);
    return total->integer >= INT64_MIN && total->integer <= INT64_MAX ? integer_entry((int64_t)total->integer)
                                                                      : double_entry((double)total->integer);
}

static double scale_of(const struct kvtel_reduction *line)
{
    return line->scale != 0 ? line->scale : 1;
}

/* Sums a column. False: no memory. vLLM scales bytes to megabytes before it adds; scaling by a power of two
 * afterwards gives the same bits. */
static bool sum_of(struct reducer *reducer, const struct kvtel_column *column, double *sum)
{
    *sum = 0;
    if (!column || column->summary) {
        *sum = column ? kvtel_distribution_sum(column->summary) : 0;
        return true;
    }
    double *values = doubles_of(reducer, column);
    if (values)
        *sum = kvtel_sum_for(kvtel_table_log(reducer->content->table)->arithmetic, values, column->count);
    return values != NULL;
}

static enum kvtel_status reduce_mean(struct reducer *reducer, const struct kvtel_reduction *line,
                                     const struct kvtel_column *column, struct kvtel_reduced_entry *entry)
{
    double sum;
    size_t count = column ? kvtel_column_total_count(column) : 0;
    *entry = double_entry(0);
    if (count == 0)
        return KVTEL_OK;
    if (!sum_of(reducer, column, &sum))
        return KVTEL_E_NOMEM;
    entry->number = kvtel_number_round(sum / (double)count * scale_of(line), line->digits);
    return KVTEL_OK;
}

static enum kvtel_status reduce_p90(struct reducer *reducer, const struct kvtel_reduction *line,
                                    const struct kvtel_column *column, struct kvtel_reduced_entry *entry)
{
    *entry = double_entry(0);
    if (!column || kvtel_column_total_count(column) == 0)
        return KVTEL_OK;
    double value;
    if (column->summary) {
        value = kvtel_distribution_quantile(column->summary, 0.9);
    } else {
        double *values = doubles_of(reducer, column);
        if (!values)
            return KVTEL_E_NOMEM;
        value = kvtel_percentile_90(kvtel_table_log(reducer->content->table)->arithmetic, values, column->count);
    }
    entry->number = kvtel_number_round(value * scale_of(line), line->digits);
    return KVTEL_OK;
}

static enum kvtel_status reduce_rate(struct reducer *reducer, const struct kvtel_reduction *line,
                                     const struct kvtel_column *amount, const struct kvtel_column *time,
                                     struct kvtel_reduced_entry *entry)
{
    double above, below;
    if (!sum_of(reducer, amount, &above) || !sum_of(reducer, time, &below))
        return KVTEL_E_NOMEM;
    *entry =
        double_entry(below == 0 && line->finite ? 0 : kvtel_number_round(above * scale_of(line) / below, line->digits));
    return KVTEL_OK;
}

static uint64_t count_matches(const struct kvtel_content *content, const struct kvtel_column *column, const char *match)
{
    uint64_t count = 0;
    size_t id = 0;
    while (id < content->text_count && strcmp(content->texts[id], match) != 0)
        id++;
    if (!column || id == content->text_count)
        return 0;
    if (column->summary)
        return id < column->summary->bin_count ? column->summary->bins[id] : 0;
    for (size_t i = 0; i < column->count; i++)
        count += column->values[i].integer == (int64_t)id;
    return count;
}

/* Makes the entry of the last value. Python's round() returns an integer unchanged. */
static struct kvtel_reduced_entry last_entry(const struct kvtel_column *column, const struct kvtel_reduction *line)
{
    double value = kvtel_column_number(column, column->count - 1) * scale_of(line);
    bool integer = !kvtel_column_is_double(column, column->count - 1) && value == trunc(value) && fabs(value) < 0x1p63;
    return integer ? integer_entry((int64_t)value) : double_entry(kvtel_number_round(value, line->digits));
}

/* Reduces one line of the table for one column set. `skip`: the line is left out. */
static enum kvtel_status reduce_line(struct reducer *reducer, const struct kvtel_column_set *set,
                                     const struct kvtel_reduction *line, struct kvtel_reduced_entry *entry, bool *skip)
{
    const struct kvtel_column *column[KVTEL_METRIC_FIELDS] = { NULL };
    struct total total = { 0 };
    int64_t count = 0;
    for (size_t i = 0; i < KVTEL_METRIC_FIELDS && line->fields[i]; i++) {
        column[i] = kvtel_column_set_find(reducer->content, set, line->fields[i]);
        if (!column[i])
            continue;
        count += (int64_t)kvtel_column_total_count(column[i]);
        if (line->kind == KVTEL_REDUCE_TOTAL)
            add_to_total(&total, column[i]);
    }
    switch (line->kind) {
    case KVTEL_REDUCE_COUNT:
        *entry = integer_entry(count);
        return KVTEL_OK;
    case KVTEL_REDUCE_TOTAL:
        *entry = total_entry(&total);
        return KVTEL_OK;
    case KVTEL_REDUCE_MEAN:
        return reduce_mean(reducer, line, column[0], entry);
    case KVTEL_REDUCE_P90:
        return reduce_p90(reducer, line, column[0], entry);
    case KVTEL_REDUCE_RATE:
        return reduce_rate(reducer, line, column[0], column[1], entry);
    case KVTEL_REDUCE_LAST:
        *skip = !column[0] || column[0]->count == 0;
        if (!*skip)
            *entry = last_entry(column[0], line);
        return KVTEL_OK;
    case KVTEL_REDUCE_MATCHES:
        *entry = integer_entry((int64_t)count_matches(reducer->content, column[0], line->match));
        return KVTEL_OK;
    }
    return KVTEL_E_ARGUMENT;
}

static bool primary_is_empty(const struct kvtel_content *content, const struct kvtel_column_set *set)
{
    const char *primary = kvtel_table_log(content->table)->primary;
    if (!primary)
        return false;
    const struct kvtel_column *column = kvtel_column_set_find(content, set, primary);
    if (!column || kvtel_column_total_count(column) == 0)
        return true;
    int i = kvtel_table_field(content->table, primary);
    return content->table->fields[i].kind == KVTEL_FIELD_TOTAL && kvtel_column_number(column, 0) == 0;
}

static enum kvtel_status reduce_set(struct reducer *reducer, const struct kvtel_column_set *set)
{
    const struct kvtel_connector *table = reducer->content->table;
    bool empty = primary_is_empty(reducer->content, set);
    if (empty && kvtel_table_log(table)->silent_when_empty)
        return KVTEL_OK;
    for (const struct kvtel_reduction *line = kvtel_table_log(table)->reduce; line && line->key; line++) {
        struct kvtel_reduced_entry entry = integer_entry(0);
        bool skip = false;
        enum kvtel_status status = empty && !line->always ? KVTEL_OK : reduce_line(reducer, set, line, &entry, &skip);
        if (status == KVTEL_OK && !skip)
            status = add_entry(reducer, join(reducer, set->name, line->key), entry);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct kvtel_column_set *const *)a)->name,
                  (*(const struct kvtel_column_set *const *)b)->name);
}

static enum kvtel_status reduce_operations(struct reducer *reducer)
{
    const struct kvtel_content *content = reducer->content;
    const struct kvtel_column_set **order = malloc((content->set_count + 1) * sizeof *order);
    enum kvtel_status status = order ? KVTEL_OK : KVTEL_E_NOMEM;
    for (size_t g = 0; order && g < content->set_count; g++)
        order[g] = &content->sets[g];
    if (order && kvtel_table_log(content->table)->sorted)
        qsort(order, content->set_count, sizeof *order, by_name);
    for (size_t g = 0; g < content->set_count && status == KVTEL_OK; g++) {
        bool rows = content->table->payload_kind == KVTEL_PAYLOAD_ROWS;
        if (!rows || (order[g]->column_count > 0 && kvtel_column_total_count(&order[g]->columns[0]) > 0))
            status = reduce_set(reducer, order[g]);
    }
    free(order);
    return status;
}

/* Makes "name", or "name:('a', 'b')" as Python prints a tuple, followed by `behind`. NULL: no memory. */
static const char *typed_key(struct reducer *reducer, const struct kvtel_column_set *set,
                             const struct kvtel_column *column, const char *behind)
{
    struct kvtel_buffer tuple = { 0 };
    const char *label = column->labels, *key = NULL;
    enum kvtel_status status = kvtel_buffer_append_text(&tuple, column->label_count > 0 ? ":(" : "");
    for (uint32_t i = 0; i < column->label_count && status == KVTEL_OK; i++) {
        size_t size = strlen(label);
        status = kvtel_python_repr(&tuple, label, size);
        if (status == KVTEL_OK)
            status = kvtel_buffer_append_text(&tuple, i + 1 < column->label_count ? ", "
                                                      : column->label_count == 1  ? ",)"
                                                                                  : ")");
        label += size + 1;
    }
    if (status == KVTEL_OK)
        status = kvtel_buffer_append(&tuple, behind, strlen(behind) + 1);
    if (status == KVTEL_OK)
        key = join(reducer, set->name, tuple.bytes);
    kvtel_buffer_free(&tuple);
    return key;
}

static bool is_hidden(const struct kvtel_connector *table, const char *name)
{
    for (const char *const *hidden = kvtel_table_log(table)->hidden; hidden && *hidden; hidden++)
        if (strcmp(*hidden, name) == 0)
            return true;
    return false;
}

static enum kvtel_status reduce_label_set(struct reducer *reducer, const struct kvtel_column_set *set,
                                          const struct kvtel_column *column)
{
    struct total total = { 0 };
    if (set->metric->type != KVTEL_HISTOGRAM) {
        if (column->count == 0)
            return KVTEL_OK;
        return add_entry(reducer, typed_key(reducer, set, column, ""),
                         kvtel_column_is_double(column, 0) ? double_entry(column->values[0].number)
                                                           : integer_entry(column->values[0].integer));
    }
    add_to_total(&total, column);
    enum kvtel_status status = add_entry(reducer, typed_key(reducer, set, column, "_count"),
                                         integer_entry((int64_t)kvtel_column_total_count(column)));
    return status == KVTEL_OK ? add_entry(reducer, typed_key(reducer, set, column, "_sum"), total_entry(&total))
                              : status;
}

static enum kvtel_status reduce_typed(struct reducer *reducer)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t g = 0; g < reducer->content->set_count; g++) {
        const struct kvtel_column_set *set = &reducer->content->sets[g];
        for (size_t c = 0; c < set->column_count && status == KVTEL_OK; c++)
            if (!is_hidden(reducer->content->table, set->name))
                status = reduce_label_set(reducer, set, &set->columns[c]);
    }
    return status;
}

static enum kvtel_status reduce_children(struct reducer *reducer)
{
    for (size_t i = 0; i < reducer->content->child_count; i++) {
        const struct kvtel_child *child = &reducer->content->children[i];
        struct kvtel_reduced *inner;
        enum kvtel_status status = kvtel_stats_reduce(child->stats, &inner);
        if (status != KVTEL_OK)
            return status;
        status = add_entry(reducer, join(reducer, child->class_name, ""),
                           (struct kvtel_reduced_entry){ .kind = KVTEL_REDUCED_DICT, .dict = inner });
        if (status != KVTEL_OK) {
            kvtel_reduced_destroy(inner);
            return status;
        }
    }
    return KVTEL_OK;
}

enum kvtel_status kvtel_stats_reduce(const struct kvtel_stats *stats, struct kvtel_reduced **reduced)
{
    struct reducer reducer = { .content = &stats->content, .owned = calloc(1, sizeof *reducer.owned) };
    enum kvtel_status status = KVTEL_E_NOMEM;
    if (!reducer.owned)
        return status;
    switch (stats->content.table->payload_kind) {
    case KVTEL_PAYLOAD_COLUMNS:
        status = reduce_set(&reducer, &stats->content.sets[0]);
        break;
    case KVTEL_PAYLOAD_ROWS:
    case KVTEL_PAYLOAD_COUNTS:
        status = reduce_operations(&reducer);
        break;
    case KVTEL_PAYLOAD_TYPED:
        status = reduce_typed(&reducer);
        break;
    case KVTEL_PAYLOAD_MULTI:
        status = reduce_children(&reducer);
        break;
    case KVTEL_PAYLOAD_NONE:
        status = KVTEL_OK;
        break;
    }
    free(reducer.scratch);
    if (status != KVTEL_OK) {
        kvtel_reduced_destroy(&reducer.owned->base);
        return status;
    }
    *reduced = &reducer.owned->base;
    return KVTEL_OK;
}

void kvtel_reduced_destroy(struct kvtel_reduced *reduced)
{
    if (!reduced)
        return;
    struct owned_reduced *owned = (struct owned_reduced *)reduced;
    for (size_t i = 0; i < reduced->count; i++)
        kvtel_reduced_destroy((struct kvtel_reduced *)reduced->entries[i].dict);
    free(reduced->entries);
    kvtel_arena_free(&owned->keys);
    free(owned);
}

size_t kvtel_reduced_count(const struct kvtel_reduced *reduced)
{
    return reduced->count;
}

const struct kvtel_reduced_entry *kvtel_reduced_at(const struct kvtel_reduced *reduced, size_t i)
{
    return i < reduced->count ? &reduced->entries[i] : NULL;
}

const struct kvtel_reduced_entry *kvtel_reduced_find(const struct kvtel_reduced *reduced, const char *key)
{
    for (size_t i = 0; i < reduced->count; i++)
        if (strcmp(reduced->entries[i].key, key) == 0)
            return &reduced->entries[i];
    return NULL;
}
