/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a series' bins and buckets. */
#include "collect/source_series.h"
#include "histogram/cell_sums.h"

#include <stdlib.h>
#include <string.h>

enum { SPARE = 4 }; /* spare bins on both sides */

void kvtel_source_series_free(struct kvtel_source_series *series)
{
    free(series->memory);
    free(series->buckets);
    free(series->parts);
    free(series->value.exemplars);
    *series = (struct kvtel_source_series){ 0 };
}

void kvtel_buckets_add(const struct kvtel_bins *layout, const uint64_t *bins, uint32_t first, uint32_t count,
                       uint64_t *buckets)
{
    uint64_t bits;
    uint32_t done = 0;
    for (uint32_t i = 0; i <= layout->explicit_count; i++) {
        const uint32_t end = i < layout->explicit_count ? layout->explicit_bins[i] + 1 : first + count;
        const uint32_t to = end <= first ? 0 : end - first < count ? end - first : count;
        buckets[i] += to > done ? kvtel_cells_sum(bins + done, to - done, &bits) : 0;
        done = to > done ? to : done;
    }
}

/* There is room for them. */
static void fill_buckets(struct kvtel_source_series *series, const struct kvtel_bins *layout)
{
    memset(series->buckets, 0, (layout->explicit_count + (size_t)1) * sizeof(*series->buckets));
    kvtel_buckets_add(layout, series->value.bins, series->value.first, series->value.bin_count, series->buckets);
}

bool kvtel_source_series_reserve_buckets(struct kvtel_source_series *series, const struct kvtel_bins *layout)
{
    const uint32_t count = layout ? layout->explicit_count + 1 : 0;
    if (count <= series->bucket_room)
        return true;
    uint64_t *buckets = realloc(series->buckets, count * sizeof(*buckets));
    if (!buckets)
        return false;
    if (series->value.buckets)
        series->value.buckets = buckets;
    series->buckets = buckets;
    series->bucket_room = count;
    return true;
}

/* Moves the bins into memory with room for `count`, of which they are to begin at `at`. */
static bool move(struct kvtel_source_series *series, uint32_t count, uint32_t at)
{
    const uint32_t room = count + 2 * SPARE;
    uint64_t *memory = malloc(room * sizeof(*memory));
    if (!memory)
        return false;
    uint64_t *bins = memory + SPARE + at;
    if (series->value.bin_count > 0)
        memcpy(bins, series->value.bins, series->value.bin_count * sizeof(*bins));
    free(series->memory);
    series->value.bins = bins;
    series->memory = memory;
    series->room = room;
    return true;
}

/* Makes room for exemplars, where there are any. */
static bool reserve_exemplars(struct kvtel_collected *value, const struct kvtel_collected *more)
{
    if (!more->exemplars || value->exemplars)
        return true;
    value->exemplars = calloc(more->exemplar_count, sizeof(*value->exemplars));
    value->exemplar_count = value->exemplars ? more->exemplar_count : 0;
    return value->exemplars != NULL;
}

bool kvtel_source_series_reserve(struct kvtel_source_series *series, const struct kvtel_collected *from)
{
    const uint32_t old = series->value.bin_count, count = from->bin_count > old ? from->bin_count : old;
    return (from->bin_count <= series->room || move(series, count, 0)) && reserve_exemplars(&series->value, from);
}

void kvtel_source_series_set(struct kvtel_source_series *series, const struct kvtel_collected *from)
{
    const uint32_t spare = (series->room - from->bin_count) / 2;
    struct kvtel_snapshot_exemplar *exemplars = series->value.exemplars;
    const uint32_t exemplar_count = series->value.exemplar_count;
    series->value = *from;
    series->value.exemplars = exemplars;
    series->value.exemplar_count = exemplar_count;
    series->value.layout = NULL;
    series->value.bins = series->memory ? series->memory + spare : NULL;
    series->value.buckets = NULL;
    series->value.parts = NULL;
    if (from->bin_count > 0)
        memcpy(series->value.bins, from->bins, from->bin_count * sizeof(*from->bins));
    if (!from->layout)
        return;
    fill_buckets(series, from->layout);
    series->value.buckets = series->buckets;
}

void kvtel_source_series_drop_parts(struct kvtel_source_series *series)
{
    free(series->parts);
    series->parts = NULL;
    series->value.parts = NULL;
}

void kvtel_source_series_sum_parts(struct kvtel_source_series *series, const struct kvtel_bins *layout)
{
    struct kvtel_collected *value = &series->value;
    if (value->parts || value->bin_count == 0)
        return;
    const uint32_t needed = kvtel_parts_needed(layout, value->first, value->bin_count);
    if (!series->parts || series->parts->room < needed) {
        kvtel_source_series_drop_parts(series);
        series->parts = malloc(kvtel_parts_size(needed));
        if (!series->parts)
            return;
        series->parts->room = needed;
    }
    kvtel_parts_sum(series->parts, layout, value->bins, value->first, value->bin_count);
    value->parts = series->parts;
}

bool kvtel_source_series_widen(struct kvtel_source_series *series, const struct kvtel_bins *layout, uint32_t first,
                               uint32_t end)
{
    struct kvtel_collected *value = &series->value;
    if (!value->buckets) {
        if (!kvtel_source_series_reserve_buckets(series, layout))
            return false;
        fill_buckets(series, layout);
        value->buckets = series->buckets;
    }
    const uint32_t old_end = value->first + value->bin_count;
    if (value->bin_count > 0 && first >= value->first && end <= old_end)
        return true;
    if (value->bin_count > 0) {
        first = first < value->first ? first : value->first;
        end = end > old_end ? end : old_end;
    }
    const uint32_t count = end - first, below = value->bin_count > 0 ? value->first - first : 0;
    const uint32_t before = value->bins ? (uint32_t)(value->bins - series->memory) : 0;
    if ((below > before || before - below + count > series->room) && !move(series, count, below))
        return false;
    uint64_t *kept = value->bins;
    value->parts = NULL;
    value->bins = kept - below;
    memset(value->bins, 0, below * sizeof(*kept));
    memset(kept + value->bin_count, 0, (count - below - value->bin_count) * sizeof(*kept));
    value->first = first;
    value->bin_count = count;
    return true;
}
