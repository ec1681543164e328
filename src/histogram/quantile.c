/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles of values that are counted in bins. */
#include "histogram/quantile.h"

size_t kvtel_bins_rank(const uint64_t *bins, size_t count, uint64_t rank)
{
    size_t i = 0;
    for (uint64_t below = 0; i < count && (below += bins[i]) <= rank;)
        i++;
    return i;
}

double kvtel_bins_value(const double *bounds, size_t bound_count, size_t bin, enum kvtel_unit unit)
{
    if (bin >= bound_count)
        return bound_count > 0 ? bounds[bound_count - 1] : __builtin_nan("");
    double high = bounds[bin], low = bin > 0 ? bounds[bin - 1] : 0;
    if ((unit == KVTEL_UNIT_COUNT || unit == KVTEL_UNIT_BYTES) && high < 0x1p53) {
        double whole = (double)(int64_t)high;
        if (whole > low && whole - 1 <= low)
            return whole;
    }
    return low > 0 ? 2 * low * high / (low + high) : high;
}
