/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and making column sets, columns and texts of a stats object. */
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

static uint64_t set_hash(const void *content, size_t i)
{
    return ((const struct kvtel_content *)content)->sets[i].hash;
}

static uint64_t labels_hash(const void *set, size_t i)
{
    return ((const struct kvtel_column_set *)set)->columns[i].hash;
}

static uint64_t text_hash(const void *content, size_t i)
{
    const char *text = ((const struct kvtel_content *)content)->texts[i];
    return kvtel_hash(0, text, strlen(text));
}

bool kvtel_kind_is_samples(enum kvtel_field_kind kind)
{
    return kind != KVTEL_FIELD_TOTAL && kind != KVTEL_FIELD_READING;
}

enum kvtel_field_kind kvtel_column_kind(const struct kvtel_content *content, const struct kvtel_column_set *set,
                                        size_t i)
{
    if (content->table->payload_kind != KVTEL_PAYLOAD_TYPED)
        return content->table->fields[i].kind;
    return set->metric->type == KVTEL_HISTOGRAM ? KVTEL_FIELD_SAMPLES
           : set->metric->type == KVTEL_GAUGE   ? KVTEL_FIELD_LEVEL
                                                : KVTEL_FIELD_TOTAL;
}

static void free_set(struct kvtel_column_set *set)
{
    for (size_t i = 0; i < set->column_count; i++)
        kvtel_column_free(&set->columns[i]);
    free(set->columns);
    free(set->name);
    free(set->index.entries);
    memset(set, 0, sizeof *set);
}

void kvtel_content_truncate(struct kvtel_content *content, size_t set_count)
{
    while (content->set_count > set_count)
        free_set(&content->sets[--content->set_count]);
    index_first(&content->set_index, set_hash, content, set_count);
}

void kvtel_column_set_truncate(struct kvtel_column_set *set, size_t column_count)
{
    while (set->column_count > column_count) {
        struct kvtel_column *column = &set->columns[--set->column_count];
        kvtel_column_free(column);
        memset(column, 0, sizeof *column);
    }
    index_first(&set->index, labels_hash, set, column_count);
}

struct kvtel_column_set *kvtel_content_find_set(const struct kvtel_content *content, const char *name, size_t size)
{
    uint64_t hash = kvtel_hash(0, name, size);
    for (size_t probe = 0, i; next_candidate(&content->set_index, content->set_count, hash, &probe, &i);) {
        struct kvtel_column_set *set = &content->sets[i];
        if (set->hash == hash && strlen(set->name) == size && memcmp(set->name, name, size) == 0)
            return set;
    }
    return NULL;
}

struct kvtel_column_set *kvtel_content_add_set(struct kvtel_content *content, const char *name, size_t size)
{
    struct kvtel_column_set *sets =
        kvtel_content_grow(content->sets, content->set_count, &content->set_capacity, sizeof *sets);
    if (!sets)
        return NULL;
    content->sets = sets;
    struct kvtel_column_set *set = &sets[content->set_count];
    size_t fields = content->table->payload_kind == KVTEL_PAYLOAD_TYPED ? 0 : kvtel_table_field_count(content->table);
    set->name = copy_text(name, size);
    if (fields > 0)
        set->columns = calloc(fields, sizeof *set->columns);
    set->hash = kvtel_hash(0, name, size);
    if (!set->name || (fields > 0 && !set->columns) ||
        !index_name(&content->set_index, set_hash, content, content->set_count)) {
        free_set(set);
        return NULL;
    }
    set->column_count = set->column_capacity = fields;
    content->set_count++;
    return set;
}

size_t kvtel_column_labels_size(const struct kvtel_column *column)
{
    size_t size = 0;
    for (uint32_t i = 0; i < column->label_count; i++)
        size += strlen(column->labels + size) + 1;
    return size;
}

struct kvtel_column *kvtel_column_set_find_labels(const struct kvtel_column_set *set, const char *labels, size_t size,
                                                  uint32_t count)
{
    uint64_t hash = kvtel_hash(0, labels, size);
    for (size_t probe = 0, i; next_candidate(&set->index, set->column_count, hash, &probe, &i);) {
        struct kvtel_column *column = &set->columns[i];
        if (column->hash == hash && column->label_count == count && kvtel_column_labels_size(column) == size &&
            memcmp(column->labels, labels, size) == 0)
            return column;
    }
    return NULL;
}

struct kvtel_column *kvtel_column_set_add_labels(struct kvtel_column_set *set, const char *labels, size_t size,
                                                 uint32_t count)
{
    struct kvtel_column *columns =
        kvtel_content_grow(set->columns, set->column_count, &set->column_capacity, sizeof *columns);
    if (!columns)
        return NULL;
    set->columns = columns;
    struct kvtel_column *column = &columns[set->column_count];
    column->labels = copy_text(labels, size);
    column->hash = kvtel_hash(0, labels, size);
    if (!column->labels || !index_name(&set->index, labels_hash, set, set->column_count)) {
        free(column->labels);
        column->labels = NULL;
        return NULL;
    }
    column->label_count = count;
    column->present = true;
    set->column_count++;
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

const struct kvtel_column *kvtel_column_set_find(const struct kvtel_content *content,
                                                 const struct kvtel_column_set *set, const char *key)
{
    int i = kvtel_table_field(content->table, key);
    return i < 0 ? NULL : &set->columns[i];
}
