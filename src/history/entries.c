/* SPDX-License-Identifier: Apache-2.0 */
/* Names and counts. */
#include "history/entries.h"

#include <stdlib.h>
#include <string.h>

static void free_counts(struct history_entries *entries, struct history_counts *kept)
{
    entries->counts_memory -= kept->size * sizeof *kept->counts;
    free(kept->counts);
    *kept = (struct history_counts){ 0 };
}

void history_flow_forget(struct history_entries *entries, struct history_flow *flow)
{
    flow->is_known = false;
    for (int i = 0; i < HISTORY_HISTOGRAMS; i++)
        free_counts(entries, &flow->bins[i]);
}

static bool has_room_for_names(const struct history_entries *entries, size_t more)
{
    return more <= HISTORY_NAMES_MEMORY - entries->names_memory;
}

static void free_entry(struct history_entries *entries, struct history_entry *entry)
{
    for (uint32_t i = 0; i < entry->flow_count; i++) {
        struct history_flow *flow = &entry->flows[i];
        history_flow_forget(entries, flow);
        entries->names_memory -= strlen(flow->name) + 1 + sizeof *flow;
        free(flow->name);
    }
    for (uint32_t i = 0; i < entry->class_count; i++) {
        entries->names_memory -= strlen(entry->classes[i].name) + 1 + sizeof *entry->classes;
        free(entry->classes[i].name);
    }
    if (entry->connector)
        entries->names_memory -= strlen(entry->connector) + strlen(entry->model) + strlen(entry->engine) + 3;
    free(entry->connector);
    free(entry->model);
    free(entry->engine);
    free(entry->flows);
    free(entry->classes);
    *entry = (struct history_entry){ 0 };
}

void history_entries_free(struct history_entries *entries)
{
    for (uint32_t i = 0; i < entries->used; i++)
        free_entry(entries, &entries->all[i]);
    free(entries->all);
    *entries = (struct history_entries){ 0 };
}

static bool is_entry(const struct history_entry *entry, const struct history_name *name)
{
    return entry->connector && strcmp(entry->engine, name->engine) == 0 &&
           strcmp(entry->connector, name->connector) == 0 && strcmp(entry->model, name->model) == 0;
}

static enum kvtel_status make_entry(struct history_entries *entries, struct history_entry *entry,
                                    const struct history_name *name)
{
    const size_t sizes[] = { strlen(name->connector), strlen(name->model), strlen(name->engine) },
                 size = sizes[0] + sizes[1] + sizes[2] + 3;
    if (sizes[0] > HISTORY_NAME || sizes[1] > HISTORY_NAME || sizes[2] > HISTORY_NAME ||
        !has_room_for_names(entries, size))
        return KVTEL_E_LIMIT;
    *entry = (struct history_entry){ .connector = strdup(name->connector),
                                     .model = strdup(name->model),
                                     .engine = strdup(name->engine) };
    if (!entry->connector || !entry->model || !entry->engine) {
        free(entry->connector);
        free(entry->model);
        free(entry->engine);
        *entry = (struct history_entry){ 0 };
        return KVTEL_E_NOMEM;
    }
    entries->names_memory += size;
    return KVTEL_OK;
}

uint32_t history_entry_find(const struct history_entries *entries, const struct history_name *name, uint32_t hint)
{
    const uint32_t first = name->is_rest ? HISTORY_OWN : 0, limit = name->is_rest ? HISTORY_ENTRIES : HISTORY_OWN;
    const uint32_t end = entries->used < limit ? entries->used : limit;
    if (hint >= first && hint < end && is_entry(&entries->all[hint], name))
        return hint;
    for (uint32_t i = first; i < end; i++)
        if (is_entry(&entries->all[i], name))
            return i;
    return HISTORY_ENTRIES;
}

enum kvtel_status history_entry_make(struct history_entries *entries, const struct history_name *name, double oldest,
                                     uint32_t *number)
{
    if (!entries->all && !(entries->all = calloc(HISTORY_ENTRIES, sizeof *entries->all)))
        return KVTEL_E_NOMEM;
    const uint32_t limit = name->is_rest ? HISTORY_ENTRIES : HISTORY_OWN;
    uint32_t vacant = name->is_rest ? HISTORY_OWN : 0;
    while (vacant < limit && entries->all[vacant].connector && !(entries->all[vacant].last_seen < oldest))
        vacant++;
    if (vacant == limit)
        return KVTEL_E_LIMIT;
    entries->used = vacant < entries->used ? entries->used : vacant + 1;
    free_entry(entries, &entries->all[vacant]);
    *number = vacant;
    return make_entry(entries, &entries->all[vacant], name);
}

/* Copies a name into a list that has room for one more. */
static char *copy_name(struct history_entries *entries, const char *name, size_t more)
{
    char *copy = strdup(name);
    entries->names_memory += copy ? strlen(name) + 1 + more : 0;
    return copy;
}

static bool can_keep(const struct history_entries *entries, const char *name, size_t more)
{
    const size_t size = strlen(name);
    return size <= HISTORY_NAME && has_room_for_names(entries, size + 1 + more);
}

enum kvtel_status history_flow_find(struct history_entries *entries, struct history_entry *entry, const char *name,
                                    uint32_t *number, bool *made)
{
    *made = false;
    for (*number = 0; *number < entry->flow_count; ++*number)
        if (strcmp(entry->flows[*number].name, name) == 0)
            return KVTEL_OK;
    if (entry->flow_count == HISTORY_FLOWS || !can_keep(entries, name, sizeof *entry->flows))
        return KVTEL_E_LIMIT;
    struct history_flow *longer = realloc(entry->flows, (entry->flow_count + 1) * sizeof *longer);
    entry->flows = longer ? longer : entry->flows;
    char *copy = longer ? copy_name(entries, name, sizeof *longer) : NULL;
    if (!copy)
        return KVTEL_E_NOMEM;
    entry->flows[entry->flow_count++] = (struct history_flow){ .name = copy };
    *made = true;
    return KVTEL_OK;
}

enum kvtel_status history_class_find(struct history_entries *entries, struct history_entry *entry, const char *name,
                                     uint32_t *number, bool *made)
{
    *made = false;
    for (*number = 0; *number < entry->class_count; ++*number)
        if (strcmp(entry->classes[*number].name, name) == 0)
            return KVTEL_OK;
    if (entry->class_count == HISTORY_CLASSES || !can_keep(entries, name, sizeof *entry->classes))
        return KVTEL_E_LIMIT;
    struct history_class *longer = realloc(entry->classes, (entry->class_count + 1) * sizeof *longer);
    entry->classes = longer ? longer : entry->classes;
    char *copy = longer ? copy_name(entries, name, sizeof *longer) : NULL;
    if (!copy)
        return KVTEL_E_NOMEM;
    entry->classes[entry->class_count++] = (struct history_class){ .name = copy };
    *made = true;
    return KVTEL_OK;
}

uint64_t history_counts_at(const struct history_counts *kept, uint32_t bin)
{
    return bin >= kept->first && bin - kept->first < kept->size ? kept->counts[bin - kept->first] : 0;
}

enum kvtel_status history_counts_set(struct history_entries *entries, struct history_counts *kept,
                                     const struct history_counts *counts)
{
    const size_t more = counts->size > kept->size ? (counts->size - kept->size) * sizeof *kept->counts : 0;
    if (more > HISTORY_COUNTS_MEMORY - entries->counts_memory) {
        free_counts(entries, kept);
        kept->total = counts->total;
        kept->is_left_out = true;
        return KVTEL_OK;
    }
    if (more > 0) {
        uint64_t *larger = realloc(kept->counts, counts->size * sizeof *larger);
        if (!larger)
            return KVTEL_E_NOMEM;
        entries->counts_memory += more;
        kept->counts = larger;
        kept->size = counts->size;
    }
    kept->is_left_out = false;
    kept->first = counts->first;
    kept->total = counts->total;
    for (uint32_t i = 0; i < kept->size; i++)
        kept->counts[i] = i < counts->size ? counts->counts[i] : 0;
    return KVTEL_OK;
}
