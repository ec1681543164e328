/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles of a snapshot's histograms. */
#include <kvtel/snapshot.h>

#include <math.h>

double kvtel_snapshot_quantile(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series,
                               double q)
{
    if (series->count == 0 || !(q >= 0 && q <= 1))
        return NAN;
    double rank = q * (double)series->count;
    uint64_t below = 0;
    uint32_t i = 0;
    while (i + 1 < series->bin_count && ((double)(below + series->bins[i]) < rank || below + series->bins[i] == 0))
        below += series->bins[i++];
    uint32_t bin = series->first_bin + i;
    if (bin == family->bound_count)
        return bin > 0 ? family->bounds[bin - 1] : NAN;
    double high = family->bounds[bin], low = bin > 0 ? family->bounds[bin - 1] : 0;
    if ((family->unit == KVTEL_UNIT_COUNT || family->unit == KVTEL_UNIT_BYTES) && high < 0x1p53) {
        double whole = (double)(int64_t)high;
        if (whole > low && whole - 1 <= low)
            return whole; /* the bin contains only one whole number */
    }
    /* the value whose relative distance to both ends of the bin is equal */
    return low > 0 ? 2 * low * high / (low + high) : high;
}
