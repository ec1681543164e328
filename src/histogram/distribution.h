/* SPDX-License-Identifier: Apache-2.0 */
/* The summary that replaces a list of samples when it gets too long. Count and sum are exact; quantiles have a
 * relative error below 1 %. */
#ifndef KVTEL_HISTOGRAM_DISTRIBUTION_H
#define KVTEL_HISTOGRAM_DISTRIBUTION_H

#include <kvtel/base.h>

__extension__ typedef __int128 kvtel_int128;

/* Bins are the cells of a store's histogram (histogram/bins.h), of any size: bins[i] counts the values of the cell with
 * key `first` + i. Start from {0}. Single owner. */
struct kvtel_distribution {
    uint64_t count;
    uint64_t zeros; /* values that are 0 */
    double smallest, largest;
    kvtel_int128 integers;    /* exact sum of the values that are integers */
    uint64_t doubles;         /* number of values that are doubles */
    double sum, compensation; /* sum of the doubles by Neumaier's method */
    int32_t first;            /* key of bins[0]; texts: 0 */
    size_t bin_count;
    uint64_t *bins;
};

/* Makes room for values from smallest to largest, both above 0, so that adding them cannot fail. A value of 0 needs
 * no room. KVTEL_OK; KVTEL_E_NOMEM: nothing is changed. */
enum kvtel_status kvtel_distribution_reserve(struct kvtel_distribution *distribution, double smallest, double largest);
/* Makes room for all values in `other`. */
enum kvtel_status kvtel_distribution_reserve_like(struct kvtel_distribution *distribution,
                                                  const struct kvtel_distribution *other);
/* Adds a value >= 0 for which room was made. */
void kvtel_distribution_add_integer(struct kvtel_distribution *distribution, int64_t value);
void kvtel_distribution_add_double(struct kvtel_distribution *distribution, double value);
/* Adds all values in `other`, for which room was made. */
void kvtel_distribution_merge(struct kvtel_distribution *distribution, const struct kvtel_distribution *other);
/* The same for texts with the ids 0 to ids - 1. bins[id] counts the text; there is neither a sum nor a quantile. */
enum kvtel_status kvtel_distribution_reserve_texts(struct kvtel_distribution *distribution, size_t ids);
void kvtel_distribution_add_text(struct kvtel_distribution *distribution, size_t id, uint64_t count);
double kvtel_distribution_sum(const struct kvtel_distribution *distribution);
/* The quantile q, 0 <= q <= 1. Returns 0 when the distribution is empty. */
double kvtel_distribution_quantile(const struct kvtel_distribution *distribution, double q);

#endif
