/* SPDX-License-Identifier: Apache-2.0 */
/* Differences of two snapshots, by a connector's table. */
#include "collect/series.h"
#include "report/interval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/index.h"
#include "connectors/table.h"
#include "histogram/quantile.h"

static int label_at(const struct kvtel_snapshot_family *family, const char *name)
{
    for (size_t i = 0; i < family->label_count; i++) {
        if (strcmp(family->labelnames[i], name) == 0)
            return (int)i;
    }
    return -1;
}

static const char *label_of(const struct kvtel_snapshot_series *series, int label)
{
    return label < 0 ? "" : series->values[label];
}

static bool is_text_field(const struct kvtel_connector *table, const char *key)
{
    for (const struct kvtel_field *field = table->fields; field && field->key; field++) {
        if (strcmp(field->key, key) == 0)
            return field->kind == KVTEL_FIELD_TEXT;
    }
    return false;
}

static bool by_operations(const struct kvtel_connector *table)
{
    return table->payload_kind == KVTEL_PAYLOAD_ROWS || table->payload_kind == KVTEL_PAYLOAD_COUNTS;
}

static bool is_engine(const struct kvtel_interval_engine *engine, const char *model_name, const char *name)
{
    return strcmp(engine->engine, name) == 0 && strcmp(engine->model_name, model_name) == 0;
}

static uint32_t values_hash(const char *const *values, size_t count)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < count; i++)
        hash = kvtel_hash(hash, values[i], strlen(values[i]) + 1);
    return kvtel_index_hash(hash);
}

/* Finds or adds an engine. The series of all families are in about the same order, so `near` is the place to try
 * first. */
static bool find_engine(struct kvtel_interval *interval, struct kvtel_index *index, const char *model_name,
                        const char *engine, size_t near, uint32_t *found)
{
    if (near < interval->engine_count && is_engine(&interval->engines[near], model_name, engine)) {
        *found = (uint32_t)near;
        return true;
    }
    uint32_t hash = values_hash((const char *const[]){ model_name, engine }, 2);
    for (size_t probe = 0; (*found = kvtel_index_next(index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        if (is_engine(&interval->engines[*found], model_name, engine))
            return true;
    }
    if (interval->engine_count == interval->engine_capacity) {
        size_t capacity = interval->engine_capacity > 0 ? interval->engine_capacity * 2 : 16;
        struct kvtel_interval_engine *engines = kvtel_arena_alloc(interval->arena, capacity * sizeof(*engines));
        if (!engines)
            return false;
        if (interval->engine_count > 0)
            memcpy(engines, interval->engines, interval->engine_count * sizeof(*engines));
        interval->engines = engines;
        interval->engine_capacity = capacity;
    }
    if (!kvtel_index_reserve(index))
        return false;
    kvtel_index_put(index, hash, (uint32_t)interval->engine_count);
    interval->engines[interval->engine_count] = (struct kvtel_interval_engine){ model_name, engine };
    *found = (uint32_t)interval->engine_count++;
    return true;
}

static bool same_values(const struct kvtel_snapshot_series *a, const struct kvtel_snapshot_series *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(a->values[i], b->values[i]) != 0)
            return false;
    }
    return true;
}

/* Indexes the earlier family's series by their label values. Made only when a series is not found at the expected
 * place. */
static bool index_earlier(struct kvtel_index *index, const struct kvtel_snapshot_family *earlier)
{
    for (size_t i = index->count; i < earlier->series_count; i++) {
        if (!kvtel_index_reserve(index))
            return false;
        kvtel_index_put(index, values_hash(earlier->series[i].values, earlier->label_count), (uint32_t)i);
    }
    return true;
}

/* Finds the same series in the earlier family, probably at `near`; NULL: none. False: no memory. */
static bool find_before(struct kvtel_index *index, const struct kvtel_snapshot_family *earlier,
                        const struct kvtel_snapshot_series *series, size_t near,
                        const struct kvtel_snapshot_series **before)
{
    *before = NULL;
    if (!earlier)
        return true;
    if (near < earlier->series_count && same_values(&earlier->series[near], series, earlier->label_count)) {
        *before = &earlier->series[near];
        return true;
    }
    if (!index_earlier(index, earlier))
        return false;
    uint32_t hash = values_hash(series->values, earlier->label_count), found;
    for (size_t probe = 0; !*before && (found = kvtel_index_next(index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        if (same_values(&earlier->series[found], series, earlier->label_count))
            *before = &earlier->series[found];
    }
    return true;
}

static bool same_definition(const struct kvtel_snapshot_family *a, const struct kvtel_snapshot_family *b)
{
    return a->type == b->type && a->label_count == b->label_count && a->bound_count == b->bound_count &&
           (a->bound_count == 0 || memcmp(a->bounds, b->bounds, a->bound_count * sizeof(*a->bounds)) == 0);
}

/* Determines for each series its engine and its place in the earlier snapshot. */
static enum kvtel_status map_series(struct kvtel_interval *interval, const struct kvtel_snapshot_family *earlier,
                                    struct kvtel_interval_family *family, struct kvtel_index *engines,
                                    struct kvtel_index *before)
{
    const struct kvtel_snapshot_family *later = family->later;
    int model_name = label_at(later, "model_name"), engine = label_at(later, "engine");
    size_t near = 0, near_engine = 0;
    for (size_t i = 0; i < later->series_count; i++) {
        const struct kvtel_snapshot_series *series = &later->series[i];
        if (!find_before(before, earlier, series, near, &family->before[i]) ||
            !find_engine(interval, engines, label_of(series, model_name), label_of(series, engine), near_engine,
                         &family->engines[i]))
            return KVTEL_E_NOMEM;
        if (family->before[i])
            near = (size_t)(family->before[i] - earlier->series) + 1;
        near_engine = family->engines[i] + 1;
    }
    return KVTEL_OK;
}

static enum kvtel_status init_family(struct kvtel_interval *interval, const struct kvtel_snapshot_family *earlier,
                                     struct kvtel_interval_family *family, struct kvtel_index *engines)
{
    const struct kvtel_snapshot_family *later = family->later;
    struct kvtel_index before = { 0 };
    family->operation = family->status = -1;
    family->label_count = kvtel_metric_label_count(family->metric);
    for (size_t i = 0; i < family->label_count; i++) {
        family->labels[i] = label_at(later, family->metric->labels[i]);
        if (by_operations(interval->table) && is_text_field(interval->table, family->metric->labels[i]))
            family->status = family->labels[i];
        else if (by_operations(interval->table))
            family->operation = family->labels[i];
    }
    family->before = kvtel_arena_alloc(interval->arena, (later->series_count + 1) * sizeof(*family->before));
    family->engines = kvtel_arena_alloc(interval->arena, (later->series_count + 1) * sizeof(*family->engines));
    if (!family->before || !family->engines)
        return KVTEL_E_NOMEM;
    if (earlier && !same_definition(earlier, later))
        earlier = NULL;
    enum kvtel_status status = map_series(interval, earlier, family, engines, &before);
    free(before.entries);
    return status;
}

/* Groups a family's series by engine; all engines are known now. */
static enum kvtel_status group_by_engine(const struct kvtel_interval *interval, struct kvtel_interval_family *family)
{
    size_t count = family->later->series_count;
    family->members = kvtel_arena_alloc(interval->arena, (count + 1) * sizeof(*family->members));
    family->starts = kvtel_arena_alloc(interval->arena, (interval->engine_count + 2) * sizeof(*family->starts));
    if (!family->members || !family->starts)
        return KVTEL_E_NOMEM;
    memset(family->starts, 0, (interval->engine_count + 2) * sizeof(*family->starts));
    for (size_t i = 0; i < count; i++)
        family->starts[family->engines[i] + 2]++;
    for (size_t i = 2; i < interval->engine_count + 2; i++)
        family->starts[i] += family->starts[i - 1];
    for (size_t i = 0; i < count;
         /* During the loop starts[e + 1] is the place of the next series of engine e; after the loop it is where
          * engine e + 1 begins. */
         i++)
        family->members[family->starts[family->engines[i] + 1]++] = (uint32_t)i;
    return KVTEL_OK;
}

const uint32_t *kvtel_interval_series(const struct kvtel_interval *interval, const struct kvtel_interval_family *family,
                                      uint32_t engine, size_t *count)
{
    bool all = engine == KVTEL_ALL_ENGINES;
    *count = all ? family->later->series_count : family->starts[engine + 1] - family->starts[engine];
    return family->members + (all || interval->engine_count == 0 ? 0 : family->starts[engine]);
}

enum kvtel_status kvtel_interval_init(struct kvtel_interval *interval, const struct kvtel_connector *table,
                                      const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                                      struct kvtel_arena *arena)
{
    size_t metrics = 0;
    while (table->metrics && table->metrics[metrics].name)
        metrics++;
    *interval = (struct kvtel_interval){ .table = table, .arena = arena };
    interval->families = kvtel_arena_alloc(arena, (metrics + 1) * sizeof(*interval->families));
    if (!interval->families)
        return KVTEL_E_NOMEM;
    struct kvtel_index engines = { 0 };
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < metrics && status == KVTEL_OK; i++) {
        char name[256];
        const char *family_name = kvtel_metric_family_name(&table->metrics[i], name, sizeof(name));
        const struct kvtel_snapshot_family *family = kvtel_snapshot_find(later, family_name);
        if (!family || family->type != table->metrics[i].type)
            continue;
        interval->families[interval->family_count] =
            (struct kvtel_interval_family){ .metric = &table->metrics[i], .later = family };
        status = init_family(interval, earlier ? kvtel_snapshot_find(earlier, family_name) : NULL,
                             &interval->families[interval->family_count], &engines);
        interval->family_count++;
    }
    free(engines.entries);
    for (size_t i = 0; i < interval->family_count && status == KVTEL_OK; i++)
        status = group_by_engine(interval, &interval->families[i]);
    return status;
}

/* Whether a series of the right engine is selected by its other labels. */
static bool is_selected(const struct kvtel_interval_family *family, size_t i, const struct kvtel_selection *selection)
{
    const struct kvtel_snapshot_series *series = &family->later->series[i];
    if (selection->operation && strcmp(label_of(series, family->operation), selection->operation) != 0)
        return false;
    if (selection->status && family->status >= 0 && strcmp(label_of(series, family->status), selection->status) != 0)
        return false;
    if (selection->value && strcmp(label_of(series, family->labels[0]), selection->value) != 0)
        return false;
    for (size_t k = 0; selection->like && k < family->label_count; k++) {
        if (strcmp(label_of(series, family->labels[k]), label_of(selection->like, family->labels[k])) != 0)
            return false;
    }
    return true;
}

static uint64_t count_in(const struct kvtel_snapshot_series *series, uint32_t bin)
{
    return series && bin >= series->first_bin && bin - series->first_bin < series->bin_count
               ? series->bins[bin - series->first_bin]
               : 0;
}

static uint64_t grown(uint64_t later, uint64_t earlier)
{
    return later > earlier ? later - earlier : 0;
}

/* Adds the growth of one histogram. The bins are wide enough for all series of the selection. */
static void add_bins(uint64_t *bins, uint32_t first_bin, const struct kvtel_snapshot_series *series,
                     const struct kvtel_snapshot_series *before)
{
    for (uint32_t i = 0; i < series->bin_count; i++)
        bins[series->first_bin + i - first_bin] += grown(series->bins[i], count_in(before, series->first_bin + i));
}

/* Takes the exemplars of a series that are among the largest. */
static void take_largest(struct kvtel_interval_bins *into, const struct kvtel_snapshot_family *family,
                         const struct kvtel_snapshot_series *series)
{
    for (size_t i = 0; i < series->exemplar_count; i++) {
        const struct kvtel_snapshot_exemplar *exemplar = kvtel_snapshot_exemplar(family, series, i);
        size_t place = exemplar ? into->largest_count : KVTEL_LARGEST;
        while (exemplar && place > 0 && into->largest[place - 1]->value < exemplar->value)
            place--;
        if (place == KVTEL_LARGEST)
            continue;
        into->largest_count += into->largest_count < KVTEL_LARGEST;
        for (size_t k = into->largest_count - 1; k > place; k--)
            into->largest[k] = into->largest[k - 1];
        into->largest[place] = exemplar;
    }
}

static enum kvtel_status measure_bins(const struct kvtel_interval *interval, const struct kvtel_interval_family *family,
                                      const struct kvtel_selection *selection, struct kvtel_interval_bins *into)
{
    size_t count;
    const uint32_t *members = kvtel_interval_series(interval, family, selection->engine, &count);
    uint32_t first = UINT32_MAX, end = 0;
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_snapshot_series *series = &family->later->series[members[i]];
        if (series->bin_count == 0 || !is_selected(family, members[i], selection))
            continue;
        first = series->first_bin < first ? series->first_bin : first;
        end = series->first_bin + series->bin_count > end ? series->first_bin + series->bin_count : end;
    }
    into->family = family->later;
    if (end == 0)
        return KVTEL_OK;
    uint64_t *bins = kvtel_arena_alloc(interval->arena, (end - first) * sizeof(*bins));
    if (!bins)
        return KVTEL_E_NOMEM;
    memset(bins, 0, (end - first) * sizeof(*bins));
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_snapshot_series *series = &family->later->series[members[i]],
                                           *before = family->before[members[i]];
        if (!is_selected(family, members[i], selection))
            continue;
        add_bins(bins, first, series, before);
        take_largest(into, family->later, series);
        into->count += grown(series->count, before ? before->count : 0);
        double sum = series->sum - (before ? before->sum : 0);
        into->sum += sum > 0 ? sum : 0;
    }
    into->bins = bins;
    into->first_bin = first;
    into->bin_count = end - first;
    return KVTEL_OK;
}

enum kvtel_status kvtel_interval_measure_family(const struct kvtel_interval *interval,
                                                const struct kvtel_interval_family *family,
                                                const struct kvtel_selection *selection, struct kvtel_measure *measure)
{
    *measure = (struct kvtel_measure){ .is_known = true, .is_gauge = family->later->type == KVTEL_GAUGE };
    if (family->later->type == KVTEL_HISTOGRAM) {
        enum kvtel_status status = measure_bins(interval, family, selection, &measure->bins);
        measure->sum = measure->bins.sum;
        return status;
    }
    size_t count;
    const uint32_t *members = kvtel_interval_series(interval, family, selection->engine, &count);
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_snapshot_series *series = &family->later->series[members[i]],
                                           *before = family->before[members[i]];
        if (!is_selected(family, members[i], selection))
            continue;
        if (measure->is_gauge) {
            if (series->stamp > measure->stamp) {
                measure->sum = series->value;
                measure->stamp = series->stamp;
            }
            continue;
        }
        double sum = series->value - (before ? before->value : 0);
        measure->sum += sum > 0 ? sum : 0;
    }
    return KVTEL_OK;
}

/* Whether a metric's values come from `key` only. `value`: the label value whose series have them; NULL: all series. */
static bool holds_alone(const struct kvtel_connector *table, const struct kvtel_metric *metric, const char *key,
                        const char **value)
{
    *value = NULL;
    if (metric->input != KVTEL_INPUT_VALUES)
        return false;
    if (!metric->fields[0])
        return table->payload_kind == KVTEL_PAYLOAD_TYPED && strcmp(metric->name, key) == 0;
    if (!metric->values[0])
        return strcmp(metric->fields[0], key) == 0 && !metric->fields[1];
    for (size_t i = 0; i < KVTEL_METRIC_FIELDS && metric->fields[i]; i++) {
        *value = metric->values[i];
        if (strcmp(metric->fields[i], key) == 0)
            return true;
    }
    return false;
}

enum kvtel_status kvtel_interval_measure(const struct kvtel_interval *interval, const char *key,
                                         const struct kvtel_selection *selection, struct kvtel_measure *measure)
{
    *measure = (struct kvtel_measure){ 0 };
    for (size_t i = 0; key && i < interval->family_count; i++) {
        struct kvtel_selection narrowed = *selection;
        if (holds_alone(interval->table, interval->families[i].metric, key, &narrowed.value))
            return kvtel_interval_measure_family(interval, &interval->families[i], &narrowed, measure);
    }
    return KVTEL_OK;
}

const struct kvtel_interval_family *kvtel_interval_family_of(const struct kvtel_interval *interval,
                                                             const char *const *keys, size_t count)
{
    for (size_t i = 0; i < interval->family_count; i++) {
        const struct kvtel_metric *metric = interval->families[i].metric;
        size_t fields = 0, same = 0;
        for (; fields < KVTEL_METRIC_FIELDS && metric->fields[fields]; fields++) {
            for (size_t k = 0; k < count; k++)
                same += strcmp(metric->fields[fields], keys[k]) == 0;
        }
        if (!metric->values[0] && metric->input == KVTEL_INPUT_VALUES && fields == count && same == count)
            return &interval->families[i];
    }
    return NULL;
}

/* Limit of operations or statuses of an engine in a report. Nobody reads more, and the metrics contain all. */
enum { TEXTS_SHOWN = 500 };

static enum kvtel_status list_texts(const struct kvtel_interval *interval, const struct kvtel_interval_family *family,
                                    int label, const struct kvtel_selection *selection,
                                    struct kvtel_interval_texts *list)
{
    size_t count;
    const uint32_t *members = kvtel_interval_series(interval, family, selection->engine, &count);
    list->count = 0;
    list->texts = kvtel_arena_alloc(interval->arena, (count + 1) * sizeof(*list->texts));
    if (!list->texts)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!is_selected(family, members[i], selection))
            continue;
        const char *text = label_of(&family->later->series[members[i]], label);
        size_t k = 0;
        while (k < list->count && strcmp(list->texts[k], text) != 0)
            k++;
        if (k == TEXTS_SHOWN)
            continue;
        list->texts[k] = text;
        list->count += k == list->count;
    }
    return KVTEL_OK;
}

enum kvtel_status kvtel_interval_operations(const struct kvtel_interval *interval, uint32_t engine,
                                            struct kvtel_interval_texts *operations)
{
    *operations = (struct kvtel_interval_texts){ 0 };
    for (size_t i = 0; i < interval->family_count; i++) {
        const struct kvtel_interval_family *family = &interval->families[i];
        if (family->operation >= 0)
            return list_texts(interval, family, family->operation, &(struct kvtel_selection){ .engine = engine },
                              operations);
    }
    return KVTEL_OK;
}

enum kvtel_status kvtel_interval_statuses(const struct kvtel_interval *interval, const char *key, uint32_t engine,
                                          const char *operation, struct kvtel_interval_texts *statuses)
{
    *statuses = (struct kvtel_interval_texts){ 0 };
    for (size_t i = 0; key && i < interval->family_count; i++) {
        const struct kvtel_interval_family *family = &interval->families[i];
        const char *value;
        if (family->status >= 0 && holds_alone(interval->table, family->metric, key, &value))
            return list_texts(interval, family, family->status,
                              &(struct kvtel_selection){ .engine = engine, .operation = operation }, statuses);
    }
    return KVTEL_OK;
}

/* The middle of the bin with the value of this rank; ranks start at 0. */
static double value_at(const struct kvtel_interval_bins *bins, uint64_t rank)
{
    size_t i = kvtel_bins_rank(bins->bins, bins->bin_count, rank);
    if (i == bins->bin_count)
        i--;
    return kvtel_bins_value(bins->family->bounds, bins->family->bound_count, bins->first_bin + i, bins->family->unit);
}

double kvtel_interval_quantile(const struct kvtel_interval_bins *bins, double q, enum kvtel_arithmetic arithmetic)
{
    if (bins->count == 0 || bins->bin_count == 0)
        return 0;
    double position = q * (double)(bins->count - 1);
    if (arithmetic == KVTEL_EXACT)
        position = fmax(ceil(q * (double)bins->count) - 1, 0);
    uint64_t rank = (uint64_t)position;
    double low = value_at(bins, rank), part = position - (double)rank;
    return part > 0 ? low + part * (value_at(bins, rank + 1) - low) : low;
}
