/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles of values that are counted in bins: the bin of a rank, and the value that stands for a bin. */
#ifndef KVTEL_HISTOGRAM_QUANTILE_H
#define KVTEL_HISTOGRAM_QUANTILE_H

#include <kvtel/metric.h>
#include <stddef.h>

/* The position in `bins` of the value with this rank; ranks start at 0. `count`: the bins contain fewer values. */
size_t kvtel_bins_rank(const uint64_t *bins, size_t count, uint64_t rank);
/* The value that stands for the values of a bin, which are above bounds[bin - 1] and at most bounds[bin]: the value
 * whose relative distance to both bounds is equal. In a unit of whole numbers it is the bin's only whole number, if
 * there is only one. Above the last bound it is that bound; NaN if there are no bounds. */
double kvtel_bins_value(const double *bounds, size_t bound_count, size_t bin, enum kvtel_unit unit);

#endif
