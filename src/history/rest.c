/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of entries. */
#include "history/rest.h"

#include <string.h>

#include "collect/series.h"

static void *make(struct history_rests *rests, size_t size)
{
    void *made = kvtel_arena_alloc(&rests->arena, size);
    if (made)
        memset(made, 0, size);
    return made;
}

/* The sum for a connector. NULL: there is no memory, or no room (*is_full). */
static struct kvtel_engine_summary *rest_of(struct history_rests *rests, const char *connector, bool *is_full)
{
    for (size_t i = 0; i < rests->count; i++)
        if (strcmp(rests->all[i].connector, connector) == 0)
            return &rests->all[i];
    *is_full = rests->count == HISTORY_RESTS;
    if (*is_full)
        return NULL;
    struct kvtel_engine_summary made = { .connector = connector, .model_name = "", .engine = "" };
    made.summary.flows = make(rests, HISTORY_FLOWS * sizeof *made.summary.flows);
    made.summary.failures.entries = make(rests, HISTORY_CLASSES * sizeof *made.summary.failures.entries);
    made.bins = make(rests, HISTORY_FLOWS * sizeof *made.bins);
    if (!made.summary.flows || !made.summary.failures.entries || !made.bins)
        return NULL;
    rests->all[rests->count] = made;
    return &rests->all[rests->count++];
}

static enum kvtel_status add_bins(struct history_rests *rests, struct kvtel_interval_bins *sum,
                                  const struct kvtel_interval_bins *more)
{
    if (!more->family || (sum->family && sum->family != more->family))
        return KVTEL_OK; /* all engines' series of a flow are in one family */
    const size_t size = more->family->bound_count + 1;
    if (!sum->family) {
        uint64_t *all = make(rests, size * sizeof *all);
        if (!all)
            return KVTEL_E_NOMEM;
        *sum = (struct kvtel_interval_bins){ .family = more->family, .bins = all, .bin_count = (uint32_t)size };
    }
    uint64_t *all = (uint64_t *)(uintptr_t)sum->bins; /* made above */
    for (uint32_t i = 0; i < more->bin_count && more->first_bin + i < size; i++)
        all[more->first_bin + i] += more->bins[i];
    sum->count += more->count;
    sum->sum += more->sum;
    return KVTEL_OK;
}

static enum kvtel_status add_flow(struct history_rests *rests, struct kvtel_engine_summary *rest,
                                  const struct kvtel_flow_summary *flow, const struct kvtel_flow_bins *bins)
{
    size_t at = 0;
    while (at < rest->summary.flow_count && strcmp(rest->summary.flows[at].name, flow->name) != 0)
        at++;
    if (at == HISTORY_FLOWS)
        return KVTEL_OK;
    struct kvtel_flow_summary *sum = &rest->summary.flows[at];
    rest->summary.flow_count += at == rest->summary.flow_count;
    sum->name = flow->name;
    sum->has_transfers = sum->has_transfers || flow->has_transfers;
    sum->has_bytes = sum->has_bytes || flow->has_bytes;
    sum->has_failed = sum->has_failed || flow->has_failed;
    sum->transfers += flow->transfers;
    sum->failed += flow->failed;
    sum->bytes += flow->bytes;
    enum kvtel_status status = add_bins(rests, &rest->bins[at].time, &bins->time);
    if (status == KVTEL_OK)
        status = add_bins(rests, &rest->bins[at].post, &bins->post);
    return status == KVTEL_OK ? add_bins(rests, &rest->bins[at].size, &bins->size) : status;
}

static void add_failures(struct kvtel_summary *sum, const struct kvtel_summary *more)
{
    sum->failed += more->failed;
    for (size_t i = 0; i < more->failures.count; i++) {
        const struct kvtel_failure_count *class = &more->failures.entries[i];
        size_t at = 0;
        while (at < sum->failures.count && strcmp(sum->failures.entries[at].label, class->label) != 0)
            at++;
        if (at == HISTORY_CLASSES)
            continue; /* it counts as a failure without a class */
        sum->failures.count += at == sum->failures.count;
        sum->failures.entries[at].label = class->label;
        sum->failures.entries[at].count += class->count;
    }
}

enum kvtel_status history_rests_add(struct history_rests *rests, const struct kvtel_engine_summary *entry)
{
    bool is_full = false;
    struct kvtel_engine_summary *rest = rest_of(rests, entry->connector, &is_full);
    enum kvtel_status status = rest || is_full ? KVTEL_OK : KVTEL_E_NOMEM;
    for (size_t i = 0; rest && i < entry->summary.flow_count && status == KVTEL_OK; i++)
        status = add_flow(rests, rest, &entry->summary.flows[i], &entry->bins[i]);
    if (rest && status == KVTEL_OK)
        add_failures(&rest->summary, &entry->summary);
    return status;
}

void history_rests_free(struct history_rests *rests)
{
    kvtel_arena_free(&rests->arena);
    *rests = (struct history_rests){ 0 };
}
