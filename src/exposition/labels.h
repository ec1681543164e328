/* SPDX-License-Identifier: Apache-2.0 */
/* What the encoders share: the order of labels, a family's unit, and counts of explicit buckets. */
#ifndef KVTEL_EXPOSITION_LABELS_H
#define KVTEL_EXPOSITION_LABELS_H

#include "histogram/cell_sums.h"
#include "collect/series.h"

/* Fills `order` with the numbers of the family's labels, sorted by name. */
void kvtel_label_order(const struct kvtel_snapshot_family *family, size_t *order);

/* The family's unit by name, where the family's name ends in it: another one is an error in OpenMetrics and in
 * Prometheus. "": none. */
const char *kvtel_family_unit(const struct kvtel_snapshot_family *family);

/* Number of values in the i-th explicit bucket: above the bound before it. */
static inline uint64_t kvtel_explicit_count(const struct kvtel_snapshot_family *family,
                                            const struct kvtel_snapshot_series *series, size_t i)
{
    if (series->buckets)
        return series->buckets[i];
    const uint32_t first = i > 0 ? family->explicit_bins[i - 1] + 1 : 0, end = family->explicit_bins[i] + 1;
    const uint32_t from = first > series->first_bin ? first - series->first_bin : 0;
    uint32_t to = end > series->first_bin ? end - series->first_bin : 0;
    uint64_t bits;
    if (to > series->bin_count)
        to = series->bin_count;
    return from < to ? kvtel_cells_sum(series->bins + from, to - from, &bits) : 0;
}

#endif
