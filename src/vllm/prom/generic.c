/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics of one connector's table: vLLM's KVConnectorPromMetrics for every connector that does not need its own
 * code. */
#include "base/diagnostics.h"
#include "vllm/prom/generic.h"

#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCALAR_SIZE = 32 };

/* The same for a child that was made up front. The child may be missing, if its family was full. */
static void feed_up_front(struct generic_metrics *self, const struct metric *metric, size_t engine, size_t value,
                          const struct kvtel_column *column)
{
    void *child = metric->children[engine * metric->up_front + value];
    if (child)
        kvtel_prom_feed(self, metric, child, column);
    else if (column)
        kvtel_prom_refuse_child(self, metric->table, KVTEL_E_LIMIT, column->count);
}

static void observe_columns(struct generic_metrics *self, const struct metric *metric,
                            const struct kvtel_content *content, size_t engine)
{
    const struct kvtel_column *columns = content->sets[0].columns;
    for (size_t f = 0; f < metric->field_count; f++)
        if (metric->columns[f] >= 0 && columns[metric->columns[f]].count > 0)
            feed_up_front(self, metric, engine, metric->up_front > 1 ? f : 0, &columns[metric->columns[f]]);
}

/* Index of the text field with a label's values; -1: the label's value is the operation's name. */
static int label_field(const struct kvtel_connector *table, const char *label)
{
    int field = kvtel_table_field(table, label);
    return field >= 0 && table->fields[field].kind == KVTEL_FIELD_TEXT ? field : -1;
}

/* Feeds rows of one operation into the child for the operation's name and, if the metric has such a label, the text. */
static void feed_operation(struct generic_metrics *self, const struct metric *metric,
                           const struct kvtel_content *content, const struct kvtel_column_set *set, size_t engine,
                           size_t text_id, const struct kvtel_column *rows)
{
    const char *own[KVTEL_METRIC_LABELS];
    for (size_t v = 0; v < metric->up_front; v++) {
        if (strcmp(metric->values[v], set->name) == 0) {
            feed_up_front(self, metric, engine, v, rows);
            return;
        }
    }
    for (size_t i = 0; i < metric->own_labels; i++)
        own[i] = label_field(content->table, metric->table->labels[i]) >= 0 ? content->texts[text_id] : set->name;
    void *child = kvtel_prom_labelled_child(self, metric, engine, own, rows->count);
    if (child)
        kvtel_prom_feed(self, metric, child, rows);
}

/* Feeds rows by their text, in the order in which the texts first occur. `ranks`: one 0 for each text of the
 * content; all are 0 again afterwards. False: no memory. */
static bool feed_by_text(struct generic_metrics *self, const struct metric *metric, const struct kvtel_content *content,
                         const struct kvtel_column_set *set, size_t engine, int text, size_t *ranks)
{
    const struct kvtel_column *source = kvtel_column_set_find(content, set, metric->table->fields[0]);
    const struct kvtel_column *texts = &set->columns[text];
    size_t rows = texts->count, runs = 0;
    struct run {
        size_t text_id, begin, end;
    } *run = malloc((rows + 1) * sizeof *run);
    union kvtel_number *values = malloc((rows + 1) * sizeof *values);
    for (size_t i = 0; run && values && i < rows; i++) {
        size_t id = (size_t)texts->values[i].integer;
        if (ranks[id] == 0) {
            run[runs] = (struct run){ .text_id = id };
            ranks[id] = ++runs;
        }
        run[ranks[id] - 1].end++; /* the number of rows; becomes the end of a range below */
    }
    for (size_t r = 0, at = 0; r < runs; r++) {
        run[r].begin = at;
        at += run[r].end;
        run[r].end = run[r].begin;
    }
    for (size_t i = 0; run && values && i < rows; i++)
        values[run[ranks[texts->values[i].integer] - 1].end++].number = kvtel_column_number(source, i);
    for (size_t r = 0; r < runs; r++) {
        const struct kvtel_column picked = { .type = KVTEL_COLUMN_DOUBLES,
                                             .count = run[r].end - run[r].begin,
                                             .values = values + run[r].begin };
        feed_operation(self, metric, content, set, engine, run[r].text_id, &picked);
        ranks[run[r].text_id] = 0;
    }
    bool done = run && values;
    free(run);
    free(values);
    return done;
}

static void observe_operations(struct generic_metrics *self, const struct metric *metric,
                               const struct kvtel_content *content, size_t engine)
{
    int text = -1;
    for (size_t i = 0; i < metric->own_labels && text < 0; i++)
        text = label_field(content->table, metric->table->labels[i]);
    size_t *ranks = text >= 0 ? calloc(content->text_count + 1, sizeof *ranks) : NULL;
    for (size_t g = 0; g < content->set_count; g++) {
        const struct kvtel_column_set *set = &content->sets[g];
        const struct kvtel_column *source = kvtel_column_set_find(content, set, metric->table->fields[0]);
        if (!source)
            continue;
        /* A count that an operation lacks is 0, and its series exists. */
        if (text < 0 && (source->count > 0 || content->table->payload_kind == KVTEL_PAYLOAD_COUNTS))
            feed_operation(self, metric, content, set, engine, 0, source);
        else if (text >= 0 && !(ranks && feed_by_text(self, metric, content, set, engine, text, ranks)))
            kvtel_prom_refuse_child(self, metric->table, KVTEL_E_NOMEM, source->count);
    }
    free(ranks);
}

/* Feeds a family that is derived from other families: fields[i], without labels, goes to the series of values[i]. */
static void observe_derived(struct generic_metrics *self, const struct metric *metric,
                            const struct kvtel_content *content, size_t engine)
{
    for (size_t f = 0; f < KVTEL_METRIC_FIELDS && metric->table->fields[f]; f++) {
        const struct kvtel_column_set *set =
            kvtel_content_find_set(content, metric->table->fields[f], strlen(metric->table->fields[f]));
        for (size_t c = 0; set && c < set->column_count; c++)
            if (set->columns[c].label_count == 0)
                feed_up_front(self, metric, engine, f, &set->columns[c]);
    }
}

/* Formats a scalar like Python's str(). */
static const char *scalar_text(const struct kvtel_value *value, char out[SCALAR_SIZE])
{
    switch (value->kind) {
    case KVTEL_VALUE_STRING:
        return value->text;
    case KVTEL_VALUE_INTEGER:
        snprintf(out, SCALAR_SIZE, "%" PRId64, value->integer);
        return out;
    case KVTEL_VALUE_DOUBLE:
        kvtel_number_repr(value->number, out);
        return out;
    case KVTEL_VALUE_BOOL:
        return value->integer ? "True" : "False";
    default:
        return "None";
    }
}

/* Makes a series for each map of "info". A label without a value is empty; a value without a label is dropped. */
static void observe_info(struct generic_metrics *self, const struct metric *metric, const struct kvtel_value *info,
                         size_t engine)
{
    for (uint32_t i = 0; info->kind == KVTEL_VALUE_ARRAY && i < info->size; i++) {
        char texts[KVTEL_METRIC_LABELS][SCALAR_SIZE];
        const char *own[KVTEL_METRIC_LABELS];
        for (size_t k = 0; k < metric->own_labels; k++) {
            const struct kvtel_value *value = kvtel_value_get(&info->items[i], metric->table->labels[k]);
            own[k] = value ? scalar_text(value, texts[k]) : "";
        }
        void *child = kvtel_prom_labelled_child(self, metric, engine, own, 1);
        if (child)
            self->types.set(self->types.context, child, 1);
    }
}

static struct metric *find_metric(struct generic_metrics *self, const char *name)
{
    for (size_t i = 0; i < self->metric_count; i++)
        if (self->metrics[i].table->name == name || strcmp(self->metrics[i].table->name, name) == 0)
            return &self->metrics[i];
    return NULL;
}

static void observe_typed(struct generic_metrics *self, const struct kvtel_content *content, size_t engine)
{
    for (size_t g = 0; g < content->set_count; g++) {
        const struct kvtel_column_set *set = &content->sets[g];
        const struct metric *metric = find_metric(self, set->name);
        if (metric)
            kvtel_prom_feed_typed(self, metric, set, engine);
        else
            kvtel_diagnostics_refuse(self->diagnostics, KVTEL_REFUSED_UNKNOWN_METRIC, 1, set->name,
                                     "%s: \"%.64s\" is not a metric of the connector as it is configured",
                                     self->base.connector->names[0].name, set->name);
    }
    for (size_t i = 0; i < self->metric_count; i++) {
        if (self->metrics[i].table->input == KVTEL_INPUT_INFO)
            observe_info(self, &self->metrics[i], &content->info, engine);
        else if (self->metrics[i].table->fields[0])
            observe_derived(self, &self->metrics[i], content, engine);
    }
}

/* Observes payloads of the kinds COLUMNS, ROWS and COUNTS. */
static void observe_fields(struct generic_metrics *self, const struct metric *metric,
                           const struct kvtel_content *content, size_t engine)
{
    if (content->table->payload_kind == KVTEL_PAYLOAD_COLUMNS)
        observe_columns(self, metric, content, engine);
    else
        observe_operations(self, metric, content, engine);
}

/* Observes an older payload. It has a table of its own, whose fields feed the families of the same names. */
static void observe_older(struct generic_metrics *self, const struct kvtel_content *content, size_t engine)
{
    for (const struct kvtel_metric *table = content->table->metrics; table && table->name; table++) {
        const struct metric *metric = find_metric(self, table->name);
        if (!metric)
            continue;
        struct metric fed = *metric;
        fed.table = table;
        kvtel_prom_find_columns(&fed, content->table);
        observe_fields(self, &fed, content, engine);
    }
}

/* Takes the table of the stats, if it is the open one that these metrics wait for. */
static void take_awaited(struct generic_metrics *self, const struct kvtel_connector *table)
{
    if (!self->awaited || !kvtel_learned_of(table) || kvtel_learned_of(table)->base ||
        strcmp(table->names[0].name, self->awaited) != 0)
        return;
    self->base.connector = table;
    free(self->awaited);
    self->awaited = NULL;
}

static enum kvtel_status generic_observe(struct kvtel_prom_metrics *metrics, const struct kvtel_stats *stats,
                                         uint32_t engine)
{
    struct generic_metrics *self = (struct generic_metrics *)metrics;
    size_t row = kvtel_engine_table_find(&self->engines, engine);
    take_awaited(self, stats->connector);
    if (stats->connector != self->base.connector)
        return KVTEL_E_MISMATCH;
    if (row == SIZE_MAX)
        return KVTEL_E_ENGINE;
    if (stats->content.summarised)
        return KVTEL_E_SUMMARISED;
    if (kvtel_learned_of(self->base.connector)) {
        kvtel_prom_observe_described(self, &stats->content, row);
        return KVTEL_OK;
    }
    if (kvtel_learned_beside(self->base.connector))
        for (size_t i = 0; i < stats->content.child_count; i++)
            kvtel_prom_observe_described(self, &stats->content.children[i].stats->content, row);
    if (stats->content.table != self->base.connector)
        observe_older(self, &stats->content, row);
    else if (stats->content.table->payload_kind == KVTEL_PAYLOAD_TYPED)
        observe_typed(self, &stats->content, row);
    else
        for (size_t i = 0; i < self->metric_count; i++)
            observe_fields(self, &self->metrics[i], &stats->content, row);
    return KVTEL_OK;
}

static void generic_destroy(struct kvtel_prom_metrics *metrics)
{
    struct generic_metrics *self = (struct generic_metrics *)metrics;
    for (size_t i = 0; i < self->metric_count; i++)
        free(self->metrics[i].children);
    free(self->metrics);
    free(self->awaited);
    kvtel_prom_described_free(self);
    kvtel_engine_table_free(&self->engines);
    free(self);
}

const struct kvtel_prom_metrics_vtable kvtel_prom_generic = { .observe = generic_observe, .destroy = generic_destroy };

enum kvtel_status kvtel_create_metric_per_engine(const struct kvtel_metric_types *types, void *family,
                                                 const struct kvtel_engine_labels *engines, size_t engine_count,
                                                 size_t label_count, void **children)
{
    if (!types || !types->child || (!engines && engine_count > 0))
        return KVTEL_E_ARGUMENT;
    void **made = malloc((engine_count + 1) * sizeof *made);
    enum kvtel_status status = made ? KVTEL_OK : KVTEL_E_NOMEM;
    for (size_t e = 0; e < engine_count && status == KVTEL_OK; e++)
        status = types->child(types->context, family, engines[e].values, label_count, &made[e]);
    if (status == KVTEL_OK && engine_count > 0)
        memcpy(children, made, engine_count * sizeof *made);
    free(made);
    return status;
}
