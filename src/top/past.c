/* SPDX-License-Identifier: Apache-2.0 */
/* A state of the past, made of the present one and of what grew since. */
#include "top/past.h"

#include "value/value.h"

#include <math.h>
#include <string.h>

static const double MINUTE = 60, HALF_POINT = 2.5;
enum { MOST_BINS = 768 }; /* of a histogram of the history */

struct past {
    struct top_state *before;
    const struct kvtel_value *root, *ends, *seconds;
    size_t first, count; /* points of the last minute: from `first` to `count` */
    size_t bands;        /* bands of the last minute */
    bool good;           /* false: no memory */
};

static void *copy(struct past *past, const void *bytes, size_t size)
{
    void *made = kvtel_arena_alloc(&past->before->arena, size > 0 ? size : 1);
    if (made && size > 0)
        memcpy(made, bytes, size);
    past->good = past->good && made;
    return made;
}

static const char *copy_text(struct past *past, const char *text)
{
    const char *made = copy(past, text, strlen(text) + 1);
    return made ? made : "";
}

static const struct kvtel_value *list_of(const struct kvtel_value *map, const char *key)
{
    const struct kvtel_value *list = map->kind == KVTEL_VALUE_MAP ? kvtel_value_get(map, key) : NULL;
    return list && list->kind == KVTEL_VALUE_ARRAY ? list : NULL;
}

/* The item of a list, or NaN. */
static double at(const struct kvtel_value *list, size_t i)
{
    double number;
    return list && i < list->size && kvtel_value_number(&list->items[i], &number) ? number : (double)NAN;
}

static double member(const struct kvtel_value *map, const char *key)
{
    double number;
    const struct kvtel_value *value = map && map->kind == KVTEL_VALUE_MAP ? kvtel_value_get(map, key) : NULL;
    return value && kvtel_value_number(value, &number) ? number : (double)NAN;
}

/* The sum of a column in the last minute. */
static double grown(const struct past *past, const struct kvtel_value *column)
{
    double sum = 0;
    for (size_t i = past->first; i < past->count; i++)
        sum += fmax(at(column, i), 0); /* 0 for NaN */
    return sum;
}

/* A count, less what grew. */
static uint64_t less(uint64_t count, double grew)
{
    return grew > 0 && grew < (double)count ? count - (uint64_t)grew : grew > 0 ? 0 : count;
}

/* The count at the last point (NaN: not known), less what grew: what came after that point did not grow in it. */
static uint64_t count_before(uint64_t count, double at_end, double grew)
{
    return less(at_end >= 0 && at_end < (double)count ? (uint64_t)at_end : count, grew);
}

static const struct kvtel_value *find(const struct kvtel_value *list, const char *const keys[],
                                      const char *const *texts, size_t count)
{
    for (size_t i = 0; list && i < list->size; i++) {
        size_t same = 0;
        for (size_t k = 0; list->items[i].kind == KVTEL_VALUE_MAP && k < count; k++) {
            const struct kvtel_value *text = kvtel_value_get(&list->items[i], keys[k]);
            same += text && kvtel_value_is_text(text, texts[k]);
        }
        if (same == count)
            return &list->items[i];
    }
    return NULL;
}

/* Takes a bin's growth from the finer bins in it, the upper ones first. The history's bins are 1/8 octave wide. */
static void take_bin(uint64_t *counts, const struct top_bins *bins, double bound, uint64_t grew)
{
    const double lower = isfinite(bound) ? bound * 0.917 : 0;
    for (size_t i = bins->size; i-- > 0 && grew > 0;) {
        if (isfinite(bound) && (bins->bounds[i] > bound * 1.0001 || bins->bounds[i] < lower))
            continue;
        const uint64_t taken = grew < counts[i] ? grew : counts[i];
        counts[i] -= taken;
        grew -= taken;
    }
}

static void take_bins(const struct past *past, const struct kvtel_value *flow, const char *key, struct top_bins *bins)
{
    const struct kvtel_value *bands = list_of(flow, "bands");
    uint64_t *counts = (uint64_t *)(uintptr_t)bins->counts; /* a copy: see copy_entry() */
    for (size_t b = 0; bands && b < past->bands && b < bands->size; b++) {
        const struct kvtel_value *histogram =
            bands->items[b].kind == KVTEL_VALUE_MAP ? kvtel_value_get(&bands->items[b], key) : NULL;
        const struct kvtel_value *list = histogram ? list_of(histogram, "bins") : NULL;
        for (size_t i = 0; list && i < list->size && i < MOST_BINS; i++) {
            const double bound = at(&list->items[i], 0), grew = at(&list->items[i], 1);
            if (list->items[i].kind == KVTEL_VALUE_ARRAY && grew > 0 && grew < 0x1p62)
                take_bin(counts, bins, isnan(bound) ? (double)INFINITY : bound, (uint64_t)grew);
        }
    }
}

/* Tells the flow's counts at the ends of the points. */
static void tell(const struct past *past, const struct top_entry *entry, const struct top_flow *flow,
                 const struct kvtel_value *map, top_past_fn each, void *context)
{
    struct top_past_flow told = { entry->connector, entry->model, entry->engine, flow->name, .bytes = (double)NAN };
    const struct kvtel_value *column = list_of(map, "transfers"), *end = kvtel_value_get(map, "at_end");
    double transfers = member(end, "transfers");
    if (isnan(transfers) || past->count - past->first >= TOP_PAST_POINTS)
        return;
    told.bytes = member(end, "bytes");
    told.count = past->count - past->first + 1;
    for (size_t i = told.count; i-- > 0;) { /* the first one is where the first point begins */
        const size_t point = past->first + i;
        told.at[i] = i > 0 ? at(past->ends, point - 1) : at(past->ends, point) - at(past->seconds, point);
        told.transfers[i] = transfers;
        transfers -= i > 0 ? fmax(at(column, point - 1), 0) : 0;
    }
    each(context, &told);
}

static void go_back_flow(const struct past *past, const struct top_entry *entry, const struct kvtel_value *map,
                         struct top_flow *flow, top_past_fn each, void *context)
{
    static const char *const keys[TOP_HISTOGRAMS] = { [TOP_TIME] = "time", [TOP_POST] = "post", [TOP_SIZE] = "size" };
    const struct kvtel_value *end = kvtel_value_get(map, "at_end");
    flow->transfers = count_before(flow->transfers, member(end, "transfers"), grown(past, list_of(map, "transfers")));
    flow->failed = count_before(flow->failed, member(end, "failed"), grown(past, list_of(map, "failed")));
    flow->bytes = fmax(fmin(flow->bytes, member(end, "bytes")) - grown(past, list_of(map, "bytes")), 0);
    for (int i = 0; i < TOP_HISTOGRAMS; i++)
        take_bins(past, map, keys[i], &flow->bins[i]);
    tell(past, entry, flow, map, each, context);
}

static void go_back_classes(const struct past *past, const struct kvtel_value *map, struct top_entry *entry)
{
    const struct kvtel_value *failures = kvtel_value_get(map, "failures"),
                             *end = kvtel_value_get(map, "failures_at_end");
    struct top_class *classes = (struct top_class *)(uintptr_t)entry->failures.all; /* a copy: see copy_entry() */
    double all = 0; /* how many came since, of classes that the summary does not have too */
    for (size_t i = 0; failures && failures->kind == KVTEL_VALUE_MAP && i < failures->size; i++) {
        const struct kvtel_value *name = &failures->items[2 * i], *column = &failures->items[2 * i + 1];
        const double grew = column->kind == KVTEL_VALUE_ARRAY ? grown(past, column) : 0;
        size_t k = 0;
        while (k < entry->failures.count && !kvtel_value_is_text(name, classes[k].name))
            k++;
        const uint64_t now = k < entry->failures.count ? classes[k].count : 0;
        if (k < entry->failures.count)
            classes[k].count = count_before(now, member(end, classes[k].name), grew);
        all += k < entry->failures.count ? (double)(now - classes[k].count) : grew;
    }
    entry->failed = less(entry->failed, all);
}

static void go_back_entry(const struct past *past, struct top_entry *entry, top_past_fn each, void *context)
{
    static const char *const entry_keys[] = { "connector", "model_name", "engine" }, *const flow_keys[] = { "name" };
    const char *const texts[] = { entry->connector, entry->model, entry->engine };
    const struct kvtel_value *map = find(list_of(past->root, "connectors"), entry_keys, texts, 3);
    for (size_t i = 0; map && i < entry->flow_count; i++) {
        struct top_flow *flow = (struct top_flow *)(uintptr_t)&entry->flows[i]; /* a copy: see copy_entry() */
        const struct kvtel_value *told = find(list_of(map, "flows"), flow_keys, &flow->name, 1);
        if (told)
            go_back_flow(past, entry, told, flow, each, context);
    }
    if (map)
        go_back_classes(past, map, entry);
}

static void copy_classes(struct past *past, struct top_classes *classes)
{
    struct top_class *all = copy(past, classes->all, classes->count * sizeof *all);
    for (size_t i = 0; all && i < classes->count; i++)
        all[i].name = copy_text(past, all[i].name);
    *classes = (struct top_classes){ .all = all, .count = all ? classes->count : 0 };
}

static void copy_bins(struct past *past, struct top_bins *bins)
{
    bins->bounds = copy(past, bins->bounds, bins->size * sizeof *bins->bounds);
    bins->counts = copy(past, bins->counts, bins->size * sizeof *bins->counts);
    bins->size = bins->bounds && bins->counts ? bins->size : 0;
}

/* Makes the entry, and all that it points to, the state's own. */
static void copy_entry(struct past *past, struct top_entry *entry)
{
    struct top_flow *flows = copy(past, entry->flows, entry->flow_count * sizeof *flows);
    for (size_t i = 0; flows && i < entry->flow_count; i++) {
        flows[i].name = copy_text(past, flows[i].name);
        flows[i].slowest_count = 0;
        copy_classes(past, &flows[i].failures);
        for (int k = 0; k < TOP_HISTOGRAMS; k++)
            copy_bins(past, &flows[i].bins[k]);
    }
    entry->flows = flows;
    entry->flow_count = flows ? entry->flow_count : 0;
    entry->connector = copy_text(past, entry->connector);
    entry->model = copy_text(past, entry->model);
    entry->engine = copy_text(past, entry->engine);
    copy_classes(past, &entry->failures);
}

/* Which points and bands are of the last minute. False: none. */
static bool choose_points(struct past *past)
{
    const struct kvtel_value *edges = list_of(past->root, "bands");
    const double time = member(past->root, "time");
    past->ends = list_of(past->root, "end");
    past->seconds = list_of(past->root, "seconds");
    while (edges && past->bands < edges->size && at(edges, past->bands) <= MINUTE)
        past->bands++;
    if (!past->ends || !past->seconds || past->bands == 0 || isnan(time))
        return false;
    past->count = past->first = past->ends->size;
    while (past->first > 0 && time - at(past->ends, past->first - 1) + at(past->seconds, past->first - 1) / 2 <=
                                  at(edges, past->bands - 1))
        past->first--;
    return past->first < past->count && time - at(past->ends, past->count - 1) < MINUTE + HALF_POINT;
}

enum kvtel_status top_past_read(const char *json, size_t size, const struct top_state *now, struct top_state *before,
                                top_past_fn each, void *context)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_value root;
    struct past past = { .before = before, .root = &root, .good = true };
    *before = (struct top_state){ 0 };
    enum kvtel_status status = kvtel_value_decode(KVTEL_JSON, json, size, &arena, &root, NULL);
    if (status == KVTEL_OK && (root.kind != KVTEL_VALUE_MAP || !(fabs(member(&root, "format") - 1) < 0.5)))
        status = KVTEL_E_TYPE;
    if (status == KVTEL_OK && choose_points(&past)) {
        struct top_entry *entries = copy(&past, now->entries, now->entry_count * sizeof *entries);
        for (size_t i = 0; entries && i < now->entry_count; i++) {
            copy_entry(&past, &entries[i]);
            go_back_entry(&past, &entries[i], each, context);
        }
        before->entries = entries;
        before->entry_count = entries ? now->entry_count : 0;
        before->entries_total = now->entries_total;
        before->has_moved = now->has_moved;
        before->time = at(past.ends, past.first) - at(past.seconds, past.first);
        before->uptime_seconds = fmax(now->uptime_seconds - (now->time - before->time), 0);
    }
    kvtel_arena_free(&arena);
    if (status == KVTEL_OK && past.good)
        return status;
    top_state_close(before);
    return status == KVTEL_OK ? KVTEL_E_NOMEM : status == KVTEL_E_NOMEM ? status : KVTEL_E_TYPE;
}
