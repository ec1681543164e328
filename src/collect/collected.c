/* SPDX-License-Identifier: Apache-2.0 */
/* Adding and widening the collected value of a series. */
#include "histogram/cell_sums.h"
#include "collect/collect.h"

#include <string.h>

enum { ROUND = 16 }; /* spare bins on either side */

/* Gives memory to from..end - 1, spare bins on either side, and the bins so far. Their values are not set. */
bool kvtel_collected_begin(struct kvtel_collected *series, struct kvtel_arena *arena, uint32_t from, uint32_t end)
{
    const uint32_t total = series->layout->bound_count + 1, old_end = series->first + series->bin_count;
    /* Grow by a quarter, so that a range that grows slowly is not copied each time. */
    const uint32_t round = series->bin_count / 4 > ROUND ? series->bin_count / 4 : ROUND;
    from = from > round ? from - round : 0;
    end = total - end > round ? end + round : total;
    if (series->bin_count > 0) {
        from = from < series->first ? from : series->first;
        end = end > old_end ? end : old_end;
    }
    uint64_t *bins = kvtel_arena_alloc(arena, (end - from) * sizeof(*bins));
    if (!bins)
        return false;
    series->bins = bins;
    series->first = from;
    series->bin_count = end - from;
    series->borrowed = false;
    return true;
}

bool kvtel_collected_widen(struct kvtel_collected *series, struct kvtel_arena *arena, uint32_t from, uint32_t end)
{
    const struct kvtel_collected old = *series;
    const uint32_t old_end = old.first + old.bin_count;
    if (from >= end || (old.bin_count > 0 && !old.borrowed && from >= old.first && end <= old_end))
        return true;
    if (!kvtel_collected_begin(series, arena, from, end))
        return false;
    if (old.bin_count == 0) {
        memset(series->bins, 0, series->bin_count * sizeof(*series->bins));
        return true;
    }
    uint64_t *kept = series->bins + (old.first - series->first), *after = kept + old.bin_count;
    memset(series->bins, 0, (old.first - series->first) * sizeof(*kept));
    memcpy(kept, old.bins, old.bin_count * sizeof(*kept));
    memset(after, 0, (series->first + series->bin_count - old_end) * sizeof(*kept));
    return true;
}

bool kvtel_collected_add(struct kvtel_collected *series, struct kvtel_arena *arena, const struct kvtel_collected *more,
                         enum kvtel_metric_type type)
{
    if (more->bin_count > 0 && !kvtel_collected_widen(series, arena, more->first, more->first + more->bin_count))
        return false;
    if (type == KVTEL_COUNTER) {
        series->value += more->value;
    } else if (type == KVTEL_GAUGE && more->stamp > series->stamp) {
        series->value = more->value;
        series->stamp = more->stamp;
    }
    series->count += more->count;
    series->sum += more->sum;
    if (more->bin_count == 0)
        return true;
    kvtel_cells_add(series->bins + (more->first - series->first), more->bins, more->bin_count);
    series->buckets = NULL;
    series->parts = NULL;
    return true;
}
