/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing stats and their content, which for a MultiConnector contains the stats of its children. */
#include "vllm/stats/stats.h"

#include <stdlib.h>
#include <string.h>

/* Resets a column to the state without observations: an empty list, or a single 0. */
static enum kvtel_status reset_column(struct kvtel_column *column, enum kvtel_field_kind kind, bool present)
{
    kvtel_column_clear(column);
    column->present = false;
    if (present && kind == KVTEL_FIELD_TOTAL) {
        if (kvtel_column_reserve(column, 1, false) != KVTEL_OK)
            return KVTEL_E_NOMEM;
        kvtel_column_append_integer(column, 0);
    }
    column->present = present && kind != KVTEL_FIELD_READING; /* there is none before the first */
    return KVTEL_OK;
}

enum kvtel_status kvtel_content_init(struct kvtel_content *content, const struct kvtel_connector *table,
                                     bool all_present)
{
    memset(content, 0, sizeof *content);
    content->table = table;
    content->has_info = table->has_info;
    if (table->payload_kind != KVTEL_PAYLOAD_COLUMNS)
        return KVTEL_OK;
    struct kvtel_column_set *set = kvtel_content_add_set(content, "", 0);
    enum kvtel_status status = set ? KVTEL_OK : KVTEL_E_NOMEM;
    for (size_t i = 0; set && i < set->column_count && status == KVTEL_OK; i++)
        status = reset_column(&set->columns[i], table->fields[i].kind, all_present);
    if (status != KVTEL_OK)
        kvtel_content_free(content);
    return status;
}

void kvtel_content_clear(struct kvtel_content *content, bool all_present)
{
    const struct kvtel_connector *table = content->table;
    if (table->payload_kind != KVTEL_PAYLOAD_COLUMNS) {
        kvtel_content_free(content);
        (void)kvtel_content_init(content, table, all_present); /* does not need memory without columns */
        return;
    }
    for (size_t i = 0; i < content->sets[0].column_count; i++)
        (void)reset_column(&content->sets[0].columns[i], table->fields[i].kind, all_present);
    kvtel_content_truncate_children(content, 0); /* of what a payload described beside the table */
    content->samples = 0;
    content->summarised = false;
}

void kvtel_content_free(struct kvtel_content *content)
{
    kvtel_content_truncate(content, 0);
    kvtel_content_truncate_children(content, 0);
    for (size_t i = 0; i < content->text_count; i++)
        free(content->texts[i]);
    free(content->sets);
    free(content->children);
    free(content->texts);
    free(content->set_index.entries);
    free(content->text_index.entries);
    kvtel_arena_free(&content->info_arena);
    memset(content, 0, sizeof *content);
}

struct kvtel_stats *kvtel_stats_create(const struct kvtel_connector *connector, struct kvtel_diagnostics *diagnostics)
{
    if (!connector || connector->payload_kind == KVTEL_PAYLOAD_NONE)
        return NULL;
    struct kvtel_stats *stats = calloc(1, sizeof *stats);
    if (!stats)
        return NULL;
    stats->connector = connector;
    stats->diagnostics = diagnostics;
    stats->sample_limit = KVTEL_SAMPLE_LIMIT;
    if (kvtel_content_init(&stats->content, connector, true) != KVTEL_OK) {
        free(stats);
        return NULL;
    }
    return stats;
}

void kvtel_stats_destroy(struct kvtel_stats *stats)
{
    if (!stats)
        return;
    kvtel_content_free(&stats->content);
    kvtel_content_free(&stats->spare);
    kvtel_arena_free(&stats->arena);
    free(stats);
}

struct kvtel_child *kvtel_content_find_child(const struct kvtel_content *content, const char *class_name)
{
    for (size_t i = 0; i < content->child_count; i++)
        if (strcmp(content->children[i].class_name, class_name) == 0)
            return &content->children[i];
    return NULL;
}

struct kvtel_child *kvtel_content_add_child(struct kvtel_content *content, const char *class_name,
                                            const struct kvtel_connector *connector,
                                            struct kvtel_diagnostics *diagnostics)
{
    struct kvtel_child *children =
        kvtel_content_grow(content->children, content->child_count, &content->child_capacity, sizeof *children);
    if (!children)
        return NULL;
    content->children = children;
    struct kvtel_child *child = &children[content->child_count];
    child->class_name = strdup(class_name);
    child->stats = kvtel_stats_create(connector, diagnostics);
    if (!child->class_name || !child->stats) {
        free(child->class_name);
        kvtel_stats_destroy(child->stats);
        memset(child, 0, sizeof *child);
        return NULL;
    }
    content->child_count++;
    return child;
}

void kvtel_content_truncate_children(struct kvtel_content *content, size_t child_count)
{
    while (content->child_count > child_count) {
        struct kvtel_child *child = &content->children[--content->child_count];
        free(child->class_name);
        kvtel_stats_destroy(child->stats);
        memset(child, 0, sizeof *child);
    }
}
