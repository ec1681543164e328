/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the history: summaries that are told to it, and what it shows. */
#ifndef TESTS_SUPPORT_HISTORY_TOLD_H
#define TESTS_SUPPORT_HISTORY_TOLD_H

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "collect/series.h"
#include "history/history.h"
#include "history/layout.h"
#include "report/snapshot_summary.h"
#include "value/value.h"

enum { ENGINES = 256, TOLD = 600, BOUNDS = 48 };
static const double START = 1.8e9, STEP = 5, HOUR = 3600;

/* A summary of NIXL's connector in some engines, as an exporter makes it. */
struct told {
    struct kvtel_engine_summary entries[TOLD];
    struct kvtel_flow_summary flows[TOLD];
    struct kvtel_flow_bins flow_bins[TOLD];
    struct kvtel_failure_count failures[TOLD];
    char names[TOLD][24];
    uint64_t bins[TOLD][BOUNDS + 1];
    struct kvtel_snapshot_summary summary;
};
static double bounds[BOUNDS];
static struct kvtel_snapshot_family family = { .bound_count = BOUNDS };

static inline void tell(struct told *told, size_t engines)
{
    for (size_t i = 0; i < BOUNDS; i++)
        bounds[i] = 1e-4 * exp2((double)i / 8);
    family.bounds = bounds;
    *told = (struct told){ .summary = { .entries = told->entries, .count = engines, .all = engines } };
    for (size_t i = 0; i < engines; i++) {
        const struct kvtel_interval_bins bins = { .family = &family, .bins = told->bins[i], .bin_count = BOUNDS + 1 };
        (void)snprintf(told->names[i], sizeof told->names[i], "%zu", i);
        told->flows[i] = (struct kvtel_flow_summary){
            .name = "transfer", .has_transfers = true, .has_bytes = true, .has_seconds = true
        };
        told->flow_bins[i] = (struct kvtel_flow_bins){ .time = bins, .post = bins, .size = bins };
        told->failures[i] = (struct kvtel_failure_count){ .label = "transfer" };
        told->entries[i] = (struct kvtel_engine_summary){
            .connector = "NixlConnector",
            .model_name = "m",
            .engine = told->names[i],
            .bins = &told->flow_bins[i],
            .summary = { .flows = &told->flows[i], .flow_count = 1, .failures = { &told->failures[i], 1 } },
        };
    }
}

/* `count` more transfers in one bin. */
static inline void grow(struct told *told, size_t engine, uint32_t bin, uint64_t count)
{
    told->bins[engine][bin] += count;
    told->flow_bins[engine].time.count += count;
    told->flow_bins[engine].post.count += count;
    told->flow_bins[engine].size.count += count;
    told->flows[engine].transfers += count;
    told->flows[engine].bytes += (double)count * 1024;
}

static inline void fail_some(struct told *told, size_t engine, uint64_t count)
{
    told->failures[engine].count += count;
    told->entries[engine].summary.failed += count;
}

static inline void take(struct history *history, const struct told *told, double seconds)
{
    assert_int_equal(history_take(history, &told->summary, START + seconds, (uint64_t)(seconds * 1e9) + 1), KVTEL_OK);
}

/* The history as JSON. */
static struct kvtel_arena arena;
static struct kvtel_value shown;

static inline void show(struct history *history, double seconds)
{
    struct kvtel_buffer json = { 0 };
    struct kvtel_error error = { 0 };
    assert_int_equal(history_write_json(history, START + seconds, &json), KVTEL_OK);
    kvtel_arena_free(&arena);
    assert_int_equal(kvtel_value_decode(KVTEL_JSON, json.bytes, json.size, &arena, &shown, &error), KVTEL_OK);
    kvtel_buffer_free(&json);
}

static inline const struct kvtel_value *member(const struct kvtel_value *map, const char *key)
{
    const struct kvtel_value *found = kvtel_value_get(map, key);
    if (!found)
        fail_msg("there is no %s", key);
    return found;
}

static inline const struct kvtel_value *item(const struct kvtel_value *list, size_t at)
{
    assert_int_equal(list->kind, KVTEL_VALUE_ARRAY);
    assert_true(at < list->size);
    return &list->items[at];
}

static inline const struct kvtel_value *flow_of(size_t entry)
{
    return item(member(item(member(&shown, "connectors"), entry), "flows"), 0);
}

static inline double number(const struct kvtel_value *value)
{
    double found = 0;
    return kvtel_value_number(value, &found) ? found : (double)NAN;
}

static inline double sum(const struct kvtel_value *list)
{
    double all = 0;
    for (size_t i = 0; i < list->size; i++)
        all += isnan(number(item(list, i))) ? 0 : number(item(list, i));
    return all;
}

static inline void close_all(struct history *history)
{
    history_destroy(history);
    kvtel_arena_free(&arena);
}

#endif
