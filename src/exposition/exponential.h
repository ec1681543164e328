/* SPDX-License-Identifier: Apache-2.0 */
/* The exponential buckets of a series, from the counts of its parts where these are known. */
#ifndef KVTEL_EXPOSITION_EXPONENTIAL_H
#define KVTEL_EXPOSITION_EXPONENTIAL_H

#include "collect/series.h"
#include "histogram/exponential.h"

/* See kvtel_exponential_fill(). `into->below` is filled from bins alone: where it is not NULL, all is. */
static inline void kvtel_series_exponential(const struct kvtel_exponential_plan *plan,
                                            const struct kvtel_snapshot_series *series, size_t most,
                                            struct kvtel_exponential *into)
{
    const bool zeros = plan->zero && series->bin_count > 0 && series->first_bin == 0;
    if (series->parts && !into->below)
        kvtel_exponential_fill_parts(plan, series->parts, zeros ? series->bins[0] : 0, most, into);
    else
        kvtel_exponential_fill(plan, series->bins, series->first_bin, series->bin_count, most, into);
}

#endif
