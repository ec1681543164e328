/* SPDX-License-Identifier: Apache-2.0 */
/* Adding and widening the collected value of a series. */
#include "collect/collect.h"

#include <string.h>

enum { ROUND = 16 }; /* spare bins on either side */

bool kvtel_collected_widen(struct kvtel_collected *series, struct kvtel_arena *arena, uint32_t from, uint32_t end)
{
    uint32_t old_end = series->first + series->bin_count;
    if (from >= end || (series->bin_count > 0 && from >= series->first && end <= old_end))
        return true;
    uint32_t total = series->layout->bound_count + 1;
    uint32_t round =
        /* Grow by a quarter, so that a range that grows slowly is not copied each time. */
        series->bin_count / 4 > ROUND ? series->bin_count / 4 : ROUND;
    from = from > round ? from - round : 0;
    end = total - end > round ? end + round : total;
    if (series->bin_count > 0) {
        from = from < series->first ? from : series->first;
        end = end > old_end ? end : old_end;
    }
    uint64_t *bins = kvtel_arena_alloc(arena, (end - from) * sizeof(*bins));
    if (!bins)
        return false;
    memset(bins, 0, (end - from) * sizeof(*bins));
    if (series->bin_count > 0)
        memcpy(bins + (series->first - from), series->bins, series->bin_count * sizeof(*bins));
    series->bins = bins;
    series->first = from;
    series->bin_count = end - from;
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
    for (uint32_t i = 0; i < more->bin_count; i++)
        series->bins[more->first - series->first + i] += more->bins[i];
    return true;
}
