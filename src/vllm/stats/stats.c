/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, resetting and aggregating stats objects. */
#include "base/diagnostics.h"
#include "vllm/stats/stats.h"

#include <stdlib.h>
#include <string.h>

const struct kvtel_connector *kvtel_stats_connector(const struct kvtel_stats *stats)
{
    return stats->connector;
}

void kvtel_stats_set_sample_limit(struct kvtel_stats *stats, size_t limit)
{
    stats->sample_limit = limit;
    for (size_t i = 0; i < stats->content.child_count; i++)
        kvtel_stats_set_sample_limit(stats->content.children[i].stats, limit);
    kvtel_stats_enforce_limit(stats);
}

bool kvtel_stats_is_summarised(const struct kvtel_stats *stats)
{
    bool summarised = stats->content.summarised;
    for (size_t i = 0; i < stats->content.child_count && !summarised; i++)
        summarised = kvtel_stats_is_summarised(stats->content.children[i].stats);
    return summarised;
}

/* Shortens gauges' lists to the last reading, which is all that is needed. */
static void shorten_levels(struct kvtel_content *content)
{
    for (size_t g = 0; g < content->set_count; g++)
        for (size_t c = 0; c < content->sets[g].column_count; c++)
            if (kvtel_column_kind(content, &content->sets[g], c) == KVTEL_FIELD_LEVEL)
                content->samples -= kvtel_column_keep_last(&content->sets[g].columns[c]);
}

size_t kvtel_stats_sample_count(const struct kvtel_stats *stats)
{
    size_t count = stats->content.samples;
    for (size_t i = 0; i < stats->content.child_count; i++)
        count += kvtel_stats_sample_count(stats->content.children[i].stats);
    return count;
}

void kvtel_stats_enforce_limit(struct kvtel_stats *stats)
{
    struct kvtel_content *content = &stats->content;
    if (content->samples > stats->sample_limit)
        shorten_levels(content);
    if (content->samples <= stats->sample_limit)
        return;
    for (size_t g = 0; g < content->set_count; g++) {
        struct kvtel_column_set *set = &content->sets[g];
        for (size_t c = 0; c < set->column_count; c++) {
            enum kvtel_field_kind kind = kvtel_column_kind(content, set, c);
            size_t count = set->columns[c].count;
            if (kind == KVTEL_FIELD_LEVEL || !kvtel_kind_is_samples(kind) || count == 0 ||
                kvtel_column_prepare_summary(&set->columns[c], kind == KVTEL_FIELD_TEXT) != KVTEL_OK)
                continue;
            kvtel_column_adopt_summary(&set->columns[c]);
            content->samples -= count;
            content->summarised = true;
        }
    }
}

void kvtel_stats_reset(struct kvtel_stats *stats)
{
    struct kvtel_content *content = &stats->content;
    for (size_t i = 0; i < content->child_count; i++)
        kvtel_stats_reset(content->children[i].stats);
    if (content->child_count == 0 || content->table->payload_kind != KVTEL_PAYLOAD_MULTI)
        kvtel_stats_clear(stats);
}

void kvtel_stats_clear(struct kvtel_stats *stats)
{
    struct kvtel_content fresh;
    if (stats->content.table != stats->connector && kvtel_content_init(&fresh, stats->connector, true) == KVTEL_OK) {
        kvtel_content_free(&stats->content);
        stats->content = fresh;
    } else {
        kvtel_content_clear(&stats->content, true);
    }
}

enum kvtel_status kvtel_stats_clone_and_reset(struct kvtel_stats *stats, struct kvtel_stats **delta)
{
    struct kvtel_stats *clone = calloc(1, sizeof *clone);
    if (!clone)
        return KVTEL_E_NOMEM;
    clone->connector = stats->connector;
    clone->diagnostics = stats->diagnostics;
    clone->sample_limit = stats->sample_limit;
    struct kvtel_content fresh;
    enum kvtel_status status = kvtel_content_init(&fresh, stats->connector, true);
    if (status != KVTEL_OK) {
        free(clone);
        return status;
    }
    clone->content = stats->content;
    stats->content = fresh;
    *delta = clone;
    return KVTEL_OK;
}

static bool column_is_zero(const struct kvtel_column *column, enum kvtel_field_kind kind)
{
    size_t count = kvtel_column_total_count(column);
    return count == 0 || (kind == KVTEL_FIELD_TOTAL && kvtel_column_number(column, 0) == 0);
}

bool kvtel_stats_is_empty(const struct kvtel_stats *stats)
{
    const struct kvtel_content *content = &stats->content;
    if (content->table->payload_kind == KVTEL_PAYLOAD_MULTI) {
        for (size_t i = 0; i < content->child_count; i++)
            if (!kvtel_stats_is_empty(content->children[i].stats))
                return false;
        return true;
    }
    if (content->table->payload_kind != KVTEL_PAYLOAD_COLUMNS)
        return content->set_count == 0 && content->info.kind == KVTEL_VALUE_NIL;
    for (size_t i = 0; i < content->sets[0].column_count; i++) {
        const struct kvtel_field *field = &content->table->fields[i];
        bool counts = !content->table->content;
        for (const char *const *key = content->table->content; key && *key && !counts; key++)
            counts = strcmp(*key, field->key) == 0;
        if (counts && !column_is_zero(&content->sets[0].columns[i], field->kind))
            return false;
    }
    return true;
}

/* Aggregation is done as a whole or not at all, in two passes: the first makes missing columns and room for the
 * values, and may fail; the second moves the values, and cannot fail. */

static enum kvtel_status reserve_column(struct kvtel_column *column, const struct kvtel_column *other,
                                        enum kvtel_field_kind kind, size_t text_count)
{
    bool texts = kind == KVTEL_FIELD_TEXT;
    if (other->summary && !column->summary) {
        enum kvtel_status status = kvtel_column_prepare_summary(column, texts);
        if (status != KVTEL_OK)
            return status;
    }
    struct kvtel_distribution *summary = column->prepared ? column->prepared : column->summary;
    if (summary)
        return texts ? kvtel_distribution_reserve_texts(summary, text_count)
                     : kvtel_column_reserve_summary(column, other);
    if (!kvtel_kind_is_samples(kind))
        return kvtel_column_reserve(column, 1, false); /* the sum replaces the number, so the column is never mixed */
    return kvtel_column_reserve(column, other->count, kvtel_column_mixes(column, other));
}

/* Maps the other object's texts to ids of this content. Above the limit a new text becomes "other", and is counted. */
static enum kvtel_status map_texts(struct kvtel_stats *stats, const struct kvtel_content *other)
{
    struct kvtel_content *content = &stats->content;
    if (other->text_count == 0)
        return KVTEL_OK;
    size_t *ids = content->pending.text_ids = malloc(other->text_count * sizeof *ids);
    enum kvtel_status status = ids ? KVTEL_OK : KVTEL_E_NOMEM;
    uint64_t lost = 0;
    for (size_t i = 0; i < other->text_count && status == KVTEL_OK; i++) {
        status = kvtel_content_text(content, other->texts[i], strlen(other->texts[i]), &ids[i]);
        if (status != KVTEL_E_LIMIT)
            continue;
        status = kvtel_content_other_text(content, &ids[i]);
        lost++;
    }
    if (lost > 0 && status == KVTEL_OK)
        kvtel_diagnostics_refuse(stats->diagnostics, KVTEL_REFUSED_SERIES_LIMIT, lost, "texts",
                                 "%s: too many different texts in rows, further ones read \"other\"",
                                 stats->connector->names[0].name);
    return status;
}

static void merge_texts(struct kvtel_column *column, const struct kvtel_column *other, const size_t *ids)
{
    size_t from = column->count;
    for (size_t id = 0; other->summary && id < other->summary->bin_count; id++)
        if (other->summary->bins[id] > 0)
            kvtel_distribution_add_text(column->summary, ids[id], other->summary->bins[id]);
    for (size_t i = 0; column->summary && i < other->count; i++)
        kvtel_distribution_add_text(column->summary, ids[other->values[i].integer], 1);
    if (column->summary)
        return;
    kvtel_column_append_column(column, other, 0, other->count);
    for (size_t i = from; i < column->count; i++)
        column->values[i].integer = (int64_t)ids[column->values[i].integer];
}

static void merge_column(struct kvtel_column *column, const struct kvtel_column *other, enum kvtel_field_kind kind,
                         const size_t *ids, bool fresh)
{
    column->present |= other->present;
    kvtel_column_adopt_summary(column);
    if (kind == KVTEL_FIELD_TEXT) {
        merge_texts(column, other, ids);
    } else if (column->summary) {
        kvtel_column_add_to_summary(column, other);
    } else if (other->count == 0) {
        return;
    } else if (kind == KVTEL_FIELD_TOTAL) {
        kvtel_column_add(column, other);
    } else {
        /* vLLM appends only the last reading of the newer object's list, but copies a child that was missing as a
         * whole. */
        size_t from = kind == KVTEL_FIELD_LEVEL && !fresh ? other->count - 1 : 0;
        kvtel_column_append_column(column, other, from, other->count - from);
    }
}

/* Merges a typed gauge: the newer number replaces the older. */
static void merge_gauge(struct kvtel_column *column, const struct kvtel_column *other)
{
    column->present |= other->present;
    if (other->count == 0)
        return;
    column->count = 0;
    kvtel_column_append_column(column, other, other->count - 1, 1);
}

/* The column of `set` that corresponds to column `i` of `from`, a column set of the same name; NULL: it was refused. */
static struct kvtel_column *matching_column(const struct kvtel_content *content, const struct kvtel_column_set *set,
                                            const struct kvtel_column_set *from, size_t i)
{
    if (content->table->payload_kind != KVTEL_PAYLOAD_TYPED)
        return &set->columns[i];
    return kvtel_column_set_find_labels(set, from->columns[i].labels, kvtel_column_labels_size(&from->columns[i]),
                                        from->columns[i].label_count);
}

/* Whether the limit is reached. If so, a new name or label set is refused; known ones are still used. */
static bool past_limit(const struct kvtel_stats *stats, size_t count, uint64_t lost, const char *subject)
{
    if (count < KVTEL_STATS_NAME_LIMIT)
        return false;
    kvtel_diagnostics_refuse(stats->diagnostics, KVTEL_REFUSED_SERIES_LIMIT, lost, subject,
                             "%s: \"%.64s\" has too many different names", stats->connector->names[0].name, subject);
    return true;
}

static enum kvtel_status reserve_set(struct kvtel_stats *stats, const struct kvtel_column_set *from)
{
    struct kvtel_content *content = &stats->content;
    struct kvtel_column_set *set = kvtel_content_find_set(content, from->name, strlen(from->name));
    if (!set && past_limit(stats, content->set_count, 1, from->name))
        return KVTEL_OK;
    if (!set)
        set = kvtel_content_add_set(content, from->name, strlen(from->name));
    if (!set)
        return KVTEL_E_NOMEM;
    set->metric = from->metric;
    for (size_t c = 0; c < from->column_count; c++) {
        const struct kvtel_column *source = &from->columns[c];
        struct kvtel_column *column = matching_column(content, set, from, c);
        if (!column && past_limit(stats, set->column_count, kvtel_column_total_count(source), from->name))
            continue;
        if (!column)
            column =
                kvtel_column_set_add_labels(set, source->labels, kvtel_column_labels_size(source), source->label_count);
        if (!column)
            return KVTEL_E_NOMEM;
        enum kvtel_field_kind kind = kvtel_column_kind(content, set, c);
        enum kvtel_status status = reserve_column(column, source, kind, content->text_count);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

static void merge_set(struct kvtel_content *content, const struct kvtel_column_set *from, bool fresh)
{
    struct kvtel_column_set *set = kvtel_content_find_set(content, from->name, strlen(from->name));
    if (!set)
        return;
    for (size_t c = 0; c < from->column_count; c++) {
        struct kvtel_column *column = matching_column(content, set, from, c);
        if (!column)
            continue;
        enum kvtel_field_kind kind = kvtel_column_kind(content, set, (size_t)(column - set->columns));
        size_t before = column->count;
        if (kind == KVTEL_FIELD_READING ||
            (content->table->payload_kind == KVTEL_PAYLOAD_TYPED && kind == KVTEL_FIELD_LEVEL))
            merge_gauge(column, &from->columns[c]);
        else
            merge_column(column, &from->columns[c], kind, content->pending.text_ids, fresh);
        if (kvtel_kind_is_samples(kind))
            content->samples += column->count - before;
    }
}

/* The first pass, over one object and its children. */
static enum kvtel_status reserve(struct kvtel_stats *stats, const struct kvtel_stats *from)
{
    struct kvtel_content *content = &stats->content;
    const struct kvtel_content *other = &from->content;
    memset(&content->pending, 0, sizeof content->pending);
    content->pending.table = content->table;
    content->pending.set_count = content->set_count;
    content->pending.child_count = content->child_count;
    for (size_t g = 0; g < content->set_count; g++)
        content->sets[g].mark = content->sets[g].column_count;
    if (stats->connector != from->connector)
        return KVTEL_E_MISMATCH;
    if (content->table != other->table) {
        if (content->set_count > 0 || content->info.kind != KVTEL_VALUE_NIL)
            return other->set_count == 0 && other->info.kind == KVTEL_VALUE_NIL ? KVTEL_OK : KVTEL_E_MISMATCH;
        content->table = other->table;
    }
    enum kvtel_status status = map_texts(stats, other);
    for (size_t g = 0; g < other->set_count && status == KVTEL_OK; g++)
        status = reserve_set(stats, &other->sets[g]);
    if (status == KVTEL_OK && other->info.kind != KVTEL_VALUE_NIL)
        status = kvtel_value_copy(&content->pending.info_arena, &other->info, &content->pending.info);
    for (size_t i = 0; i < other->child_count && status == KVTEL_OK; i++) {
        const struct kvtel_child *source = &other->children[i];
        struct kvtel_child *child = kvtel_content_find_child(content, source->class_name);
        if (!child) {
            child = kvtel_content_add_child(content, source->class_name, source->stats->connector, stats->diagnostics);
            if (!child)
                return KVTEL_E_NOMEM;
            child->wrapped = source->wrapped;
            child->stats->sample_limit = stats->sample_limit;
        }
        status = reserve(child->stats, source->stats);
    }
    return status;
}

/* Ends an aggregation: frees the memory that only the aggregation needed. */
static void end_pending(struct kvtel_content *content)
{
    free(content->pending.text_ids);
    kvtel_arena_free(&content->pending.info_arena);
    memset(&content->pending, 0, sizeof content->pending);
}

/* Undoes the first pass, however far it came. */
static void roll_back(struct kvtel_content *content)
{
    if (!content->pending.table)
        return;
    for (size_t i = 0; i < content->child_count; i++)
        roll_back(&content->children[i].stats->content);
    kvtel_content_truncate(content, content->pending.set_count);
    kvtel_content_truncate_children(content, content->pending.child_count);
    for (size_t g = 0; g < content->set_count; g++) {
        kvtel_column_set_truncate(&content->sets[g], content->sets[g].mark);
        for (size_t c = 0; c < content->sets[g].column_count; c++)
            kvtel_column_drop_prepared(&content->sets[g].columns[c]);
    }
    content->table = content->pending.table;
    end_pending(content);
}

/* The second pass. `fresh`: the object was made by the first pass. */
static void merge(struct kvtel_stats *stats, const struct kvtel_stats *from, bool fresh)
{
    struct kvtel_content *content = &stats->content;
    const struct kvtel_content *other = &from->content;
    for (size_t g = 0; g < other->set_count && content->table == other->table; g++)
        merge_set(content, &other->sets[g], fresh);
    content->has_info |= other->has_info;
    content->summarised |= other->summarised;
    if (content->pending.info.kind != KVTEL_VALUE_NIL) {
        kvtel_arena_free(&content->info_arena);
        content->info_arena = content->pending.info_arena;
        content->info = content->pending.info;
        memset(&content->pending.info_arena, 0, sizeof content->pending.info_arena);
    }
    for (size_t i = 0; i < other->child_count; i++) {
        struct kvtel_child *child = kvtel_content_find_child(content, other->children[i].class_name);
        merge(child->stats, other->children[i].stats,
              (size_t)(child - content->children) >= content->pending.child_count);
    }
    end_pending(content);
    kvtel_stats_enforce_limit(stats);
}

enum kvtel_status kvtel_stats_aggregate(struct kvtel_stats *stats, const struct kvtel_stats *other)
{
    if (stats == other)
        return KVTEL_E_ARGUMENT;
    enum kvtel_status status = reserve(stats, other);
    if (status == KVTEL_OK)
        merge(stats, other, false);
    else
        roll_back(&stats->content);
    return status;
}
