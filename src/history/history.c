/* SPDX-License-Identifier: Apache-2.0 */
/* How points are made from summaries. */
#include "history/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collect/series.h"
#include "history/rest.h"
#include "report/snapshot_summary.h"

struct history *history_create(double seconds)
{
    struct history *history = calloc(1, sizeof *history);
    if (!history)
        return NULL;
    pthread_mutex_init(&history->lock, NULL);
    history->duration = seconds;
    history->step = fmax(seconds / HISTORY_STEPS, 1);
    return history;
}

void history_forget(struct history *history)
{
    for (size_t i = 0; i < history->count; i++)
        history_block_release(history->points[i].block);
    history->count = history->memory = 0;
    history->has_base = false;
    history_entries_free(&history->entries);
}

void history_destroy(struct history *history)
{
    if (!history)
        return;
    history_forget(history);
    totals_reserve_free(&history->reserve);
    kvtel_buffer_free(&history->scratch);
    pthread_mutex_destroy(&history->lock);
    free(history);
}

double history_step(const struct history *history)
{
    return history->step;
}

/* -- Points are made -- */

static uint64_t whole(double number)
{
    return number >= 0x1p63 ? (uint64_t)INT64_MAX : number > 0 ? (uint64_t)(number + 0.5) : 0;
}

/* Bins of the summary as bins of the history, in `all`, which has HISTORY_BINS + 1 of them, all 0. */
static struct history_counts convert_bins(const struct kvtel_interval_bins *bins, uint64_t *all)
{
    uint32_t first = HISTORY_BINS, last = 0;
    for (uint32_t i = 0; i < bins->bin_count; i++) {
        if (bins->bins[i] == 0)
            continue;
        const size_t at = (size_t)bins->first_bin + i;
        const uint32_t bin = at < bins->family->bound_count ? history_bin_of(bins->family->bounds[at]) : HISTORY_BINS;
        all[bin] += bins->bins[i];
        first = bin < first ? bin : first;
        last = bin > last ? bin : last;
    }
    return (struct history_counts){
        .first = first, .size = last ? last - first + 1 : 0, .counts = &all[first], .total = bins->count
    };
}

/* A point that is being made. */
struct making {
    struct history *history;
    enum kvtel_status status;
    bool all_seen; /* what is new was not there at the last point: it all grew since */
};

static void put(struct making *making, uint64_t number)
{
    history_put_number(&making->history->scratch, &making->status, number);
}

static void put_grown(struct making *making, const struct history_counts *before, const struct history_counts *now)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < now->size; i++) {
        const uint32_t bin = now->first + i;
        const uint64_t grown = now->counts[i] - history_counts_at(before, bin);
        if (grown == 0)
            continue;
        put(making, bin - last);
        put(making, grown);
        last = bin;
    }
    put(making, 0);
}

/* Whether a bin holds less than before. */
static bool has_fallen(const struct history_counts *before, const struct history_counts *now)
{
    for (uint32_t i = 0; i < before->size; i++)
        if (before->counts[i] > history_counts_at(now, before->first + i))
            return true;
    return false;
}

static unsigned measures_of(const struct kvtel_flow_summary *flow, const struct kvtel_flow_bins *bins)
{
    return (flow->has_transfers ? HISTORY_HAS_TRANSFERS : 0U) | (flow->has_bytes ? HISTORY_HAS_BYTES : 0U) |
           (flow->has_failed ? HISTORY_HAS_FAILED : 0U) | (bins->time.family ? HISTORY_HAS_TIME : 0U) |
           (bins->post.family ? HISTORY_HAS_POST : 0U) | (bins->size.family ? HISTORY_HAS_SIZE : 0U);
}

/* Keeps the counts of a flow's histograms, and clears the memory that they were in. */
static void keep_bins(struct making *making, struct history_flow *kept, struct history_counts *now)
{
    for (int i = 0; i < HISTORY_HISTOGRAMS; i++) {
        if (now[i].counts == kept->bins[i].counts)
            continue;
        if (making->status == KVTEL_OK)
            making->status = history_counts_set(&making->history->entries, &kept->bins[i], &now[i]);
        memset(now[i].counts, 0, now[i].size * sizeof *now[i].counts);
    }
}

/* Writes what grew of a flow, and keeps its counts. `step`: how much its number is above that of the flow before.
 * False: nothing was written. */
static bool put_flow(struct making *making, struct history_flow *kept, const struct kvtel_flow_summary *flow,
                     const struct kvtel_flow_bins *bins, uint32_t step)
{
    const struct kvtel_interval_bins *all[HISTORY_HISTOGRAMS] = { &bins->time, &bins->post, &bins->size };
    struct history_counts now[HISTORY_HISTOGRAMS];
    const uint64_t moved = whole(flow->bytes);
    bool grew =
        kept->is_known && flow->transfers >= kept->transfers && moved >= kept->bytes && flow->failed >= kept->failed;
    for (int i = 0; i < HISTORY_HISTOGRAMS; i++) {
        const bool is_same = kept->is_known && all[i]->count == kept->bins[i].total;
        now[i] = is_same ? kept->bins[i] : convert_bins(all[i], making->history->bins[i]);
        grew = grew && (is_same || !has_fallen(&kept->bins[i], &now[i]));
    }
    if (grew) {
        put(making, step);
        put(making, flow->transfers - kept->transfers);
        put(making, moved - kept->bytes);
        put(making, flow->failed - kept->failed);
        for (int i = 0; i < HISTORY_HISTOGRAMS; i++)
            put_grown(making, &kept->bins[i], kept->bins[i].is_left_out ? &kept->bins[i] : &now[i]);
    }
    keep_bins(making, kept, now);
    kept->transfers = flow->transfers;
    kept->bytes = moved;
    kept->failed = flow->failed;
    kept->measures = measures_of(flow, bins);
    kept->is_known = true;
    return grew;
}

static void put_flows(struct making *making, struct history_entry *entry, const struct kvtel_engine_summary *told,
                      bool is_new)
{
    size_t of_number[HISTORY_FLOWS] = { 0 };
    for (size_t i = 0; i < told->summary.flow_count && making->status == KVTEL_OK; i++) {
        uint32_t number;
        bool made;
        enum kvtel_status status =
            history_flow_find(&making->history->entries, entry, told->summary.flows[i].name, &number, &made);
        if (status == KVTEL_E_LIMIT)
            continue;
        making->status = status;
        if (status != KVTEL_OK)
            return;
        of_number[number] = i + 1;
        if (made) /* nothing was counted before; an entry that is new may have been in a rest */
            entry->flows[number].is_known = entry->is_known || (is_new && making->all_seen);
    }
    uint32_t last = 0;
    for (uint32_t number = 0; number < entry->flow_count && making->status == KVTEL_OK; number++) {
        struct history_flow *kept = &entry->flows[number];
        if (of_number[number] == 0)
            history_flow_forget(&making->history->entries, kept);
        else if (put_flow(making, kept, &told->summary.flows[of_number[number] - 1], &told->bins[of_number[number] - 1],
                          number + 1 - last))
            last = number + 1;
    }
    put(making, 0);
}

/* Failures without a class are of the class "other". */
static uint64_t unclassed(const struct kvtel_summary *summary)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < summary->failures.count; i++)
        sum += summary->failures.entries[i].count;
    return summary->failed > sum ? summary->failed - sum : 0;
}

static void put_failures(struct making *making, struct history_entry *entry, const struct kvtel_summary *summary,
                         bool is_new)
{
    uint64_t grown[HISTORY_CLASSES] = { 0 };
    const uint64_t rest = unclassed(summary);
    for (size_t i = 0; i < summary->failures.count + (rest > 0) && making->status == KVTEL_OK; i++) {
        const bool is_rest = i == summary->failures.count;
        const uint64_t count = is_rest ? rest : summary->failures.entries[i].count;
        uint32_t number;
        bool made;
        enum kvtel_status status = history_class_find(
            &making->history->entries, entry, is_rest ? "other" : summary->failures.entries[i].label, &number, &made);
        if (status == KVTEL_E_LIMIT)
            continue;
        making->status = status;
        if (status != KVTEL_OK)
            return;
        struct history_class *class = &entry->classes[number];
        const bool counts = entry->is_known || (made && is_new && making->all_seen);
        grown[number] += counts && count > class->count ? count - class->count : 0;
        class->count = count;
    }
    uint32_t last = 0;
    for (uint32_t number = 0; number < entry->class_count; number++) {
        if (grown[number] == 0)
            continue;
        put(making, number + 1 - last);
        put(making, grown[number]);
        last = number + 1;
    }
    put(making, 0);
}

/* Which entry of a summary, or which rest, has a number. */
struct numbering {
    const struct kvtel_engine_summary *told[HISTORY_ENTRIES];
    bool is_new[HISTORY_ENTRIES];
    struct history_rests rests;
    size_t left_out; /* entries that have no number */
    double oldest;   /* a number of which the entry was last seen before may be given to another */
};

static struct history_name name_of(const struct kvtel_engine_summary *told, bool is_rest)
{
    return (struct history_name){ told->connector, told->model_name, told->engine, is_rest };
}

static void give(struct history *history, struct numbering *numbering, uint32_t number,
                 const struct kvtel_engine_summary *told)
{
    numbering->told[number] = told;
    history->entries.all[number].last_seen = INFINITY;
}

/* Makes an entry for what has none. KVTEL_OK; KVTEL_E_LIMIT: there is no room; KVTEL_E_NOMEM. */
static enum kvtel_status make_number(struct history *history, struct numbering *numbering,
                                     const struct kvtel_engine_summary *told, bool is_rest)
{
    uint32_t number;
    const struct history_name name = name_of(told, is_rest);
    const enum kvtel_status status = history_entry_make(&history->entries, &name, numbering->oldest, &number);
    if (status != KVTEL_OK)
        return status;
    numbering->is_new[number] = true;
    give(history, numbering, number, told);
    return KVTEL_OK;
}

/* Gives numbers to the sums of entries that have none. */
static enum kvtel_status number_rests(struct history *history, struct numbering *numbering)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < numbering->rests.count && status == KVTEL_OK; i++) {
        const struct kvtel_engine_summary *rest = &numbering->rests.all[i];
        const struct history_name name = name_of(rest, true);
        const uint32_t number = history_entry_find(&history->entries, &name, 0);
        if (number != HISTORY_ENTRIES)
            give(history, numbering, number, rest);
        else
            status = make_number(history, numbering, rest, true);
        status = status == KVTEL_E_LIMIT ? KVTEL_OK : status;
    }
    return status;
}

/* Nothing is known any more of what entries from a number on counted at the last point. */
static void forget_counts(struct history_entries *entries, uint32_t from)
{
    for (uint32_t i = from; i < entries->used; i++) {
        entries->all[i].is_known = false;
        for (uint32_t k = 0; k < entries->all[i].flow_count; k++)
            entries->all[i].flows[k].is_known = false;
    }
}

/* Gives numbers to all entries of a summary: first to those that have one, so that it is not given to another. What has
 * none then is of the rest. */
static enum kvtel_status number_entries(struct history *history, const struct kvtel_snapshot_summary *summary,
                                        struct numbering *numbering)
{
    bool *has_number = calloc(summary->count + 1, sizeof *has_number);
    enum kvtel_status status = has_number ? KVTEL_OK : KVTEL_E_NOMEM;
    uint32_t hint = 0;
    for (size_t i = 0; i < summary->count && status == KVTEL_OK; i++) {
        const struct history_name name = name_of(&summary->entries[i], false);
        const uint32_t number = history_entry_find(&history->entries, &name, hint);
        has_number[i] = number != HISTORY_ENTRIES;
        if (has_number[i])
            give(history, numbering, number, &summary->entries[i]);
        hint = has_number[i] ? number + 1 : hint;
    }
    for (size_t i = 0; i < summary->count && status == KVTEL_OK; i++) {
        if (has_number[i])
            continue;
        status = make_number(history, numbering, &summary->entries[i], false);
        if (status == KVTEL_OK && history->left_out > 0) /* it may have been in a rest, which has less without it */
            forget_counts(&history->entries, HISTORY_OWN);
        if (status != KVTEL_E_LIMIT)
            continue;
        numbering->left_out++;
        status = history_rests_add(&numbering->rests, &summary->entries[i]);
    }
    free(has_number);
    return status == KVTEL_OK ? number_rests(history, numbering) : status;
}

/* Writes a point of the numbered entries. */
static void put_entries(struct making *making, const struct numbering *numbering, double time)
{
    struct history_entries *entries = &making->history->entries;
    uint32_t last = 0;
    for (uint32_t number = 0; number < entries->used; number++) {
        struct history_entry *entry = &entries->all[number];
        const struct kvtel_engine_summary *told = numbering->told[number];
        if (!told) {
            for (uint32_t i = 0; i < entry->flow_count; i++)
                history_flow_forget(entries, &entry->flows[i]);
            entry->is_known = false;
            continue;
        }
        entry->last_seen = time;
        if (making->status != KVTEL_OK)
            continue;
        put(making, number + 1 - last);
        put_flows(making, entry, told, numbering->is_new[number]);
        put_failures(making, entry, &told->summary, numbering->is_new[number]);
        entry->is_known = true;
        last = number + 1;
    }
    put(making, 0);
}

static enum kvtel_status make_point(struct history *history, const struct kvtel_snapshot_summary *summary, double time)
{
    struct numbering *numbering = calloc(1, sizeof *numbering);
    if (!numbering)
        return KVTEL_E_NOMEM;
    /* An entry that is new here may have been in a rest before. */
    struct making making = { .history = history, .all_seen = history->has_base && history->left_out == 0 };
    making.all_seen = making.all_seen && summary->count == summary->all;
    history->scratch.size = 0;
    numbering->oldest = history->count > 0 ? history->points[0].end - history->points[0].seconds : INFINITY;
    making.status = number_entries(history, summary, numbering);
    put_entries(&making, numbering, time);
    history->left_out = numbering->left_out + summary->all - summary->count;
    history_rests_free(&numbering->rests);
    free(numbering);
    return making.status;
}

/* Nothing is known any more of what was counted at the last point. */
static void forget_base(struct history *history)
{
    history->has_base = false;
    forget_counts(&history->entries, 0);
}

enum kvtel_status history_take(struct history *history, const struct kvtel_snapshot_summary *summary, double time,
                               uint64_t now_ns)
{
    pthread_mutex_lock(&history->lock);
    history_age(history, time);
    while (history->count > 0 && history->points[history->count - 1].end >= time)
        history_drop_point(history, history->count - 1); /* the clock was set back by less: ends ascend */
    const bool had_base = history->has_base;
    const double seconds = (double)(now_ns - history->base_ns) / 1e9;
    enum kvtel_status status = make_point(history, summary, time);
    if (status == KVTEL_OK && had_base)
        status = history_point_add(history, time, seconds, history->scratch.bytes, history->scratch.size);
    history->base_ns = now_ns;
    history->has_base = true;
    if (status != KVTEL_OK)
        forget_base(history);
    history_age(history, time);
    pthread_mutex_unlock(&history->lock);
    return status;
}

size_t history_memory(struct history *history)
{
    pthread_mutex_lock(&history->lock);
    const size_t memory = history_memory_of(history);
    pthread_mutex_unlock(&history->lock);
    return memory;
}

size_t history_point_count(struct history *history)
{
    pthread_mutex_lock(&history->lock);
    const size_t count = history->count;
    pthread_mutex_unlock(&history->lock);
    return count;
}
