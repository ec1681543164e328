/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of a histogram's parts between exponential bounds: sums of bins, for those who keep them. */
#ifndef KVTEL_HISTOGRAM_PARTS_H
#define KVTEL_HISTOGRAM_PARTS_H

#include "histogram/bins.h"

#include <stddef.h>

/* Counts of the parts first .. first + count - 1, as kvtel_bins_part() numbers them; all others are 0. */
struct kvtel_parts {
    uint32_t first, count, room;
    uint64_t counts[];
};

/* How many parts the bins first .. first + count - 1 touch; `count`: at least 1. */
uint32_t kvtel_parts_needed(const struct kvtel_bins *layout, uint32_t first, uint32_t count);
/* Size of memory with room for so many parts. */
size_t kvtel_parts_size(uint32_t room);
/* Sums these bins. `parts` has room for what they need. */
void kvtel_parts_sum(struct kvtel_parts *parts, const struct kvtel_bins *layout, const uint64_t *bins, uint32_t first,
                     uint32_t count);

#endif
