/* SPDX-License-Identifier: Apache-2.0 */
/* Bins into parts between exponential bounds. */
#include "histogram/parts.h"

#include "histogram/cell_sums.h"

uint32_t kvtel_parts_needed(const struct kvtel_bins *layout, uint32_t first, uint32_t count)
{
    return kvtel_bins_part_of(layout, first + count - 1) - kvtel_bins_part_of(layout, first) + 1;
}

size_t kvtel_parts_size(uint32_t room)
{
    return sizeof(struct kvtel_parts) + room * sizeof(uint64_t);
}

void kvtel_parts_sum(struct kvtel_parts *parts, const struct kvtel_bins *layout, const uint64_t *bins, uint32_t first,
                     uint32_t count)
{
    const uint32_t end = first + count;
    parts->first = kvtel_bins_part_of(layout, first);
    parts->count = kvtel_parts_needed(layout, first, count);
    for (uint32_t i = 0, bin = first; i < parts->count; i++) {
        const uint32_t part = parts->first + i;
        uint32_t to = part < layout->exponential_count ? layout->exponential_bins[part] + 1 : end;
        uint64_t bits;
        to = to < end ? to : end;
        parts->counts[i] = kvtel_cells_sum(bins + (bin - first), to - bin, &bits);
        bin = to;
    }
}
