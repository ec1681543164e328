/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles of a snapshot's histograms. */
#include <kvtel/snapshot.h>

#include "collect/series.h"

#include <math.h>

#include "histogram/quantile.h"

double kvtel_snapshot_quantile(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series,
                               double q)
{
    if (series->count == 0 || !(q >= 0 && q <= 1))
        return NAN;
    double rank = fmax(ceil(q * (double)series->count) - 1, 0);
    size_t i = kvtel_bins_rank(series->bins, series->bin_count, rank < 0x1p64 ? (uint64_t)rank : UINT64_MAX);
    if (i > 0 && i == series->bin_count)
        i--;
    return kvtel_bins_value(family->bounds, family->bound_count, series->first_bin + i, family->unit);
}
