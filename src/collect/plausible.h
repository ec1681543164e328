/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of the numbers that a correct writer can produce. A reader rejects others. */
#ifndef KVTEL_COLLECT_PLAUSIBLE_H
#define KVTEL_COLLECT_PLAUSIBLE_H

#include "histogram/bins.h"
#include "format/layout.h"

/* The largest count of values in one lane of a histogram. The counts of all lanes together stay below 2^64. */
#define KVTEL_LANE_COUNT_MAX (UINT64_C(1) << 51)

/* Whether a correct writer can have produced this sum of amounts. */
static inline bool kvtel_is_total(double total)
{
    return total >= 0 && total <= KVTEL_TOTAL_MAX;
}

/* Whether `count` values between the bounds of the bins `first` to `end` - 1 can have this sum. Rounding errors of
 * the sum are allowed for. */
static inline bool kvtel_is_sum_of(double sum, uint64_t count, const struct kvtel_bins *layout, uint64_t first,
                                   uint64_t end)
{
    const double slack = 0x1p-10;
    if (count == 0 || first >= end)
        return sum == 0;
    double low = first > 0 ? layout->bounds[first - 1] : 0;
    return sum >= (double)count * low * (1 - slack) &&
           (end > layout->bound_count || sum <= (double)count * layout->bounds[end - 1] * (1 + slack));
}

#endif
