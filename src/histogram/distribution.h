/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of samples that were too many: exact count and sum, and a distribution with a relative error under 1 %.
 */
#ifndef KVTEL_HISTOGRAM_DISTRIBUTION_H
#define KVTEL_HISTOGRAM_DISTRIBUTION_H

#include <kvtel/base.h>

__extension__ typedef __int128 kvtel_int128;

/* Bins are base-2 exponential, 64 an octave: bin i holds (2^((i-1)/64), 2^(i/64)]. Start from {0}. */
struct kvtel_distribution {
    uint64_t count;
    uint64_t zeros; /* values that are 0 */
    double smallest, largest;
    kvtel_int128 integers;    /* exact sum of the values that are integers */
    uint64_t doubles;         /* how many are doubles */
    double sum, compensation; /* of the doubles, Neumaier's */
    int32_t first;            /* index of bins[0] */
    size_t bin_count;
    uint64_t *bins;
};

/* Makes room for values of smallest .. largest, both above 0, so that adding cannot fail. 0 needs no room. */
enum kvtel_status kvtel_distribution_reserve(struct kvtel_distribution *distribution, double smallest, double largest);
/* Makes room for all that `other` holds. */
enum kvtel_status kvtel_distribution_reserve_like(struct kvtel_distribution *distribution,
                                                  const struct kvtel_distribution *other);
/* Adds a value >= 0, reserved before. */
void kvtel_distribution_add_integer(struct kvtel_distribution *distribution, int64_t value);
void kvtel_distribution_add_double(struct kvtel_distribution *distribution, double value);
/* Adds all of `other`, reserved before. */
void kvtel_distribution_merge(struct kvtel_distribution *distribution, const struct kvtel_distribution *other);
/* The same for texts, which are ids 0 .. ids - 1: bins[id] counts one, and there is no sum or quantile. */
enum kvtel_status kvtel_distribution_reserve_texts(struct kvtel_distribution *distribution, size_t ids);
void kvtel_distribution_add_text(struct kvtel_distribution *distribution, size_t id, uint64_t count);
double kvtel_distribution_sum(const struct kvtel_distribution *distribution);
/* 0 <= q <= 1; 0 when empty. */
double kvtel_distribution_quantile(const struct kvtel_distribution *distribution, double q);

#endif
