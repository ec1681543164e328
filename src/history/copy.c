/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer is written from. */
#include "history/state.h"

#include <string.h>

struct copying {
    struct kvtel_arena *arena;
    bool good; /* false: no memory */
};

static void *copy_bytes(struct copying *copying, const void *bytes, size_t size)
{
    void *made = kvtel_arena_alloc(copying->arena, size > 0 ? size : 1);
    if (made && size > 0)
        memcpy(made, bytes, size);
    copying->good = copying->good && made;
    return made;
}

static char *copy_text(struct copying *copying, const char *text)
{
    return text ? copy_bytes(copying, text, strlen(text) + 1) : NULL;
}

/* Makes an entry, which is a copy of one, and all that it points to the copy's own. */
static void copy_entry(struct copying *copying, struct history_entry *entry)
{
    entry->connector = copy_text(copying, entry->connector);
    entry->model = copy_text(copying, entry->model);
    entry->engine = copy_text(copying, entry->engine);
    entry->flows = copy_bytes(copying, entry->flows, entry->flow_count * sizeof *entry->flows);
    entry->classes = copy_bytes(copying, entry->classes, entry->class_count * sizeof *entry->classes);
    for (uint32_t i = 0; entry->flows && i < entry->flow_count; i++) {
        entry->flows[i].name = copy_text(copying, entry->flows[i].name);
        memset(entry->flows[i].bins, 0, sizeof entry->flows[i].bins);
    }
    for (uint32_t i = 0; entry->classes && i < entry->class_count; i++)
        entry->classes[i].name = copy_text(copying, entry->classes[i].name);
}

enum kvtel_status history_copy_take(struct history *history, struct history_copy *copy)
{
    *copy = (struct history_copy){ .duration = history->duration };
    struct copying copying = { .arena = &copy->arena, .good = true };
    pthread_mutex_lock(&history->lock);
    const struct history_entries *entries = &history->entries;
    copy->left_out = history->left_out;
    copy->entries = copy_bytes(&copying, entries->all, entries->used * sizeof *copy->entries);
    copy->used = copy->entries ? entries->used : 0;
    for (uint32_t i = 0; i < copy->used && copying.good; i++)
        copy_entry(&copying, &copy->entries[i]);
    for (; copying.good && copy->count < history->count; copy->count++) {
        copy->points[copy->count] = history->points[copy->count];
        copy->points[copy->count].block->users++;
    }
    pthread_mutex_unlock(&history->lock);
    return copying.good ? KVTEL_OK : KVTEL_E_NOMEM;
}

void history_copy_release(struct history *history, struct history_copy *copy)
{
    pthread_mutex_lock(&history->lock);
    for (size_t i = 0; i < copy->count; i++)
        history_block_release(copy->points[i].block);
    pthread_mutex_unlock(&history->lock);
    kvtel_arena_free(&copy->arena);
}
