/* SPDX-License-Identifier: Apache-2.0 */
/* Functions for all summaries, wherever their numbers come from. */
#include "connectors/table.h"
#include "report/summary.h"

#include <stdlib.h>

enum kvtel_status kvtel_summary_add_failures(struct kvtel_failure_counts *failures, const char *label, uint64_t count)
{
    if (count == 0)
        return KVTEL_OK;
    for (size_t i = 0; i < failures->count; i++) {
        if (strcmp(failures->entries[i].label, label) == 0) {
            failures->entries[i].count += count;
            return KVTEL_OK;
        }
    }
    struct kvtel_failure_count *entries = realloc(failures->entries, (failures->count + 1) * sizeof(*entries));
    if (!entries)
        return KVTEL_E_NOMEM;
    failures->entries = entries;
    entries[failures->count++] = (struct kvtel_failure_count){ label, count };
    return KVTEL_OK;
}

enum kvtel_status kvtel_summary_add_class(struct kvtel_summary *summary, const char *label, uint64_t count)
{
    summary->failed += count;
    return kvtel_summary_add_failures(&summary->failures, label, count);
}

/* Whether a field of the table is one of its classes of failures. */
static bool counts_class(const struct kvtel_connector *table, const char *field)
{
    for (const struct kvtel_failure_field *failure = table->failures; failure && failure->field; failure++) {
        if (strcmp(failure->field, field) == 0)
            return true;
    }
    return false;
}

enum kvtel_status kvtel_summary_add_flow_failures(struct kvtel_summary *summary, const struct kvtel_connector *table)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < summary->flow_count && status == KVTEL_OK; i++) {
        const struct kvtel_flow_summary *flow = &summary->flows[i];
        const struct kvtel_flow *described = &table->flows[strcmp(table->flows[0].name, "*") == 0 ? 0 : i];
        if (described->failed && counts_class(table, described->failed))
            continue;
        summary->failed += flow->failed;
        for (size_t k = 0; k < flow->failures.count && status == KVTEL_OK; k++)
            status = kvtel_summary_add_failures(&summary->failures, flow->failures.entries[k].label,
                                                flow->failures.entries[k].count);
    }
    return status;
}

static bool is_key(const char *key, const char *wanted)
{
    return key && strcmp(key, wanted) == 0;
}

bool kvtel_summary_covers(const struct kvtel_connector *table, const char *key)
{
    for (const struct kvtel_flow *flow = table->flows; flow && flow->name; flow++) {
        if (is_key(flow->time, key) || is_key(flow->post, key) || is_key(flow->bytes, key) ||
            is_key(flow->sizes, key) || is_key(flow->descriptors, key) || is_key(flow->count, key) ||
            is_key(flow->started, key) || is_key(flow->failed, key))
            return true;
    }
    for (const char *const *hidden = kvtel_table_log(table)->hidden; hidden && *hidden; hidden++) {
        if (strcmp(*hidden, key) == 0)
            return true;
    }
    return counts_class(table, key);
}

void kvtel_summary_close(struct kvtel_summary *summary)
{
    for (size_t i = 0; i < summary->flow_count; i++)
        free(summary->flows[i].failures.entries);
    for (size_t i = 0; i < summary->child_count; i++)
        kvtel_summary_close(&summary->children[i]);
    free(summary->failures.entries);
    free(summary->flows);
    free(summary->others);
    free(summary->children);
    memset(summary, 0, sizeof(*summary));
}
