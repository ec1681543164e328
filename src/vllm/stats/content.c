/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and making groups, columns and texts of a stats object. */
#include "vllm/stats/stats.h"

#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* Makes room for one more item, zeroed, at the end of an array. NULL: no memory. */
void *kvtel_content_grow(void *array, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return array;
    size_t more = *capacity ? *capacity * 2 : 4;
    char *items = realloc(array, more * item_size);
    if (!items)
        return NULL;
    memset(items + count * item_size, 0, (more - count) * item_size);
    *capacity = more;
    return items;
}

/* A few names are searched one by one, many through an index of their hashes. The index is made with room for all
 * names at once, so it is always complete. */
enum { FEW = 16 };
_Static_assert(KVTEL_INDEX_FIRST / 2 > FEW, "the first index holds the names that come with it");

/* Adds the name at position `at` to the index. `hash_at` returns the hashes of names. False: no memory. */
static bool index_name(struct kvtel_index *index, uint64_t (*hash_at)(const void *, size_t), const void *names,
                       size_t at)
{
    if (at < FEW)
        return true;
    for (size_t i = index->count; i <= at; i++) {
        if (!kvtel_index_reserve(index))
            return false;
        kvtel_index_put(index, kvtel_index_hash(hash_at(names, i)), (uint32_t)i);
    }
    return true;
}

/* Rebuilds the index of the first `count` names, after later ones were removed. */
static void index_first(struct kvtel_index *index, uint64_t (*hash_at)(const void *, size_t), const void *names,
                        size_t count)
{
    if (count >= index->count)
        return;
    kvtel_index_clear(index);
    for (size_t i = 0; count > FEW && i < count; i++)
        kvtel_index_put(index, kvtel_index_hash(hash_at(names, i)), (uint32_t)i);
}

/* Iterates over the positions that may have a name: start with *probe = 0; false at the end. */
static bool next_candidate(const struct kvtel_index *index, size_t count, uint64_t hash, size_t *probe, size_t *at)
{
    if (index->count == 0) {
        *at = (*probe)++;
        return *at < count;
    }
    uint32_t found = kvtel_index_next(index, kvtel_index_hash(hash), probe);
    *at = found;
    return found != KVTEL_INDEX_NONE;
}

static uint64_t group_hash(const void *content, size_t i)
{
    return ((const struct kvtel_content *)content)->groups[i].hash;
}

static uint64_t labels_hash(const void *group, size_t i)
{
    return ((const struct kvtel_group *)group)->columns[i].hash;
}

static uint64_t text_hash(const void *content, size_t i)
{
    const char *text = ((const struct kvtel_content *)content)->texts[i];
    return kvtel_hash(0, text, strlen(text));
}

bool kvtel_kind_is_samples(enum kvtel_field_kind kind)
{
    return kind != KVTEL_FIELD_TOTAL;
}

enum kvtel_field_kind kvtel_column_kind(const struct kvtel_content *content, const struct kvtel_group *group, size_t i)
{
    if (content->table->shape != KVTEL_SHAPE_TYPED)
        return content->table->fields[i].kind;
    return group->metric->type == KVTEL_HISTOGRAM ? KVTEL_FIELD_SAMPLES
           : group->metric->type == KVTEL_GAUGE   ? KVTEL_FIELD_LEVEL
                                                  : KVTEL_FIELD_TOTAL;
}

static void free_group(struct kvtel_group *group)
{
    for (size_t i = 0; i < group->column_count; i++)
        kvtel_column_free(&group->columns[i]);
    free(group->columns);
    free(group->name);
    free(group->index.entries);
    memset(group, 0, sizeof *group);
}

void kvtel_content_truncate(struct kvtel_content *content, size_t group_count)
{
    while (content->group_count > group_count)
        free_group(&content->groups[--content->group_count]);
    index_first(&content->group_index, group_hash, content, group_count);
}

void kvtel_group_truncate(struct kvtel_group *group, size_t column_count)
{
    while (group->column_count > column_count) {
        struct kvtel_column *column = &group->columns[--group->column_count];
        kvtel_column_free(column);
        memset(column, 0, sizeof *column);
    }
    index_first(&group->index, labels_hash, group, column_count);
}

struct kvtel_group *kvtel_content_find_group(const struct kvtel_content *content, const char *name, size_t size)
{
    uint64_t hash = kvtel_hash(0, name, size);
    for (size_t probe = 0, i; next_candidate(&content->group_index, content->group_count, hash, &probe, &i);) {
        struct kvtel_group *group = &content->groups[i];
        if (group->hash == hash && strlen(group->name) == size && memcmp(group->name, name, size) == 0)
            return group;
    }
    return NULL;
}

struct kvtel_group *kvtel_content_add_group(struct kvtel_content *content, const char *name, size_t size)
{
    struct kvtel_group *groups =
        kvtel_content_grow(content->groups, content->group_count, &content->group_capacity, sizeof *groups);
    if (!groups)
        return NULL;
    content->groups = groups;
    struct kvtel_group *group = &groups[content->group_count];
    size_t fields = content->table->shape == KVTEL_SHAPE_TYPED ? 0 : kvtel_table_field_count(content->table);
    group->name = copy_text(name, size);
    if (fields > 0)
        group->columns = calloc(fields, sizeof *group->columns);
    group->hash = kvtel_hash(0, name, size);
    if (!group->name || (fields > 0 && !group->columns) ||
        !index_name(&content->group_index, group_hash, content, content->group_count)) {
        free_group(group);
        return NULL;
    }
    group->column_count = group->column_capacity = fields;
    content->group_count++;
    return group;
}

size_t kvtel_column_labels_size(const struct kvtel_column *column)
{
    size_t size = 0;
    for (uint32_t i = 0; i < column->label_count; i++)
        size += strlen(column->labels + size) + 1;
    return size;
}

struct kvtel_column *kvtel_group_find_labels(const struct kvtel_group *group, const char *labels, size_t size,
                                             uint32_t count)
{
    uint64_t hash = kvtel_hash(0, labels, size);
    for (size_t probe = 0, i; next_candidate(&group->index, group->column_count, hash, &probe, &i);) {
        struct kvtel_column *column = &group->columns[i];
        if (column->hash == hash && column->label_count == count && kvtel_column_labels_size(column) == size &&
            memcmp(column->labels, labels, size) == 0)
            return column;
    }
    return NULL;
}

struct kvtel_column *kvtel_group_add_labels(struct kvtel_group *group, const char *labels, size_t size, uint32_t count)
{
    struct kvtel_column *columns =
        kvtel_content_grow(group->columns, group->column_count, &group->column_capacity, sizeof *columns);
    if (!columns)
        return NULL;
    group->columns = columns;
    struct kvtel_column *column = &columns[group->column_count];
    column->labels = copy_text(labels, size);
    column->hash = kvtel_hash(0, labels, size);
    if (!column->labels || !index_name(&group->index, labels_hash, group, group->column_count)) {
        free(column->labels);
        column->labels = NULL;
        return NULL;
    }
    column->label_count = count;
    column->present = true;
    group->column_count++;
    return column;
}

static bool find_text(const struct kvtel_content *content, const char *text, size_t size, size_t *id)
{
    uint64_t hash = kvtel_hash(0, text, size);
    for (size_t probe = 0, i; next_candidate(&content->text_index, content->text_count, hash, &probe, &i);)
        if (strlen(content->texts[i]) == size && memcmp(content->texts[i], text, size) == 0) {
            *id = i;
            return true;
        }
    return false;
}

static enum kvtel_status add_text(struct kvtel_content *content, const char *text, size_t size, size_t *id)
{
    char **texts = kvtel_content_grow(content->texts, content->text_count, &content->text_capacity, sizeof *texts);
    if (!texts)
        return KVTEL_E_NOMEM;
    content->texts = texts;
    char *copy = texts[content->text_count] = copy_text(text, size);
    if (!copy || !index_name(&content->text_index, text_hash, content, content->text_count)) {
        free(copy);
        return KVTEL_E_NOMEM;
    }
    *id = content->text_count++;
    return KVTEL_OK;
}

enum kvtel_status kvtel_content_text(struct kvtel_content *content, const char *text, size_t size, size_t *id)
{
    if (find_text(content, text, size, id))
        return KVTEL_OK;
    return content->text_count < KVTEL_STATS_NAME_LIMIT ? add_text(content, text, size, id) : KVTEL_E_LIMIT;
}

enum kvtel_status kvtel_content_other_text(struct kvtel_content *content, size_t *id)
{
    static const char other[] = "other";
    return find_text(content, other, sizeof other - 1, id) ? KVTEL_OK : add_text(content, other, sizeof other - 1, id);
}

const struct kvtel_column *kvtel_group_column(const struct kvtel_content *content, const struct kvtel_group *group,
                                              const char *key)
{
    int i = kvtel_table_field(content->table, key);
    return i < 0 ? NULL : &group->columns[i];
}
