/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that writers make. */
#ifndef KVTEL_RECORD_PLAUSIBLE_H
#define KVTEL_RECORD_PLAUSIBLE_H

#include "histogram/bins.h"
#include "format/layout.h"

/* Values that a lane of a histogram can have: those of all lanes add up to less than 2^64. */
#define KVTEL_LANE_COUNT_MAX (UINT64_C(1) << 51)

/* Whether a writer can have made this sum of amounts. */
static inline bool kvtel_is_total(double total)
{
    return total >= 0 && total <= KVTEL_TOTAL_MAX;
}

/* Whether values between these bins' bounds can have this sum, but for its rounding. */
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
