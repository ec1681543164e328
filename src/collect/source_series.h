/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of one series of a source, which stay from one reading to the next. */
#ifndef KVTEL_COLLECT_SOURCE_SERIES_H
#define KVTEL_COLLECT_SOURCE_SERIES_H

#include "collect/collect.h"

struct kvtel_source_series {
    struct kvtel_collected value; /* without a layout; the series owns its bins, buckets and exemplars */
    uint64_t *memory;             /* of the bins, with spare ones on both sides */
    uint64_t *buckets;
    struct kvtel_parts *parts;  /* memory of value.parts; NULL: none */
    uint32_t room, bucket_room; /* words of both */
    uint64_t changed;           /* the source's state when the numbers last changed */
};

void kvtel_source_series_free(struct kvtel_source_series *series);

/* Makes room for the buckets. `layout`: NULL for what is no histogram. False as below. */
bool kvtel_source_series_reserve_buckets(struct kvtel_source_series *series, const struct kvtel_bins *layout);
/* Makes room for the bins and exemplars of `from`. False: no memory, and the numbers are as before. */
bool kvtel_source_series_reserve(struct kvtel_source_series *series, const struct kvtel_collected *from);
/* Replaces the numbers; exemplars stay, and there are no counts of parts. There must be room for the numbers. */
void kvtel_source_series_set(struct kvtel_source_series *series, const struct kvtel_collected *from);

/* Extends the bins to include first .. end - 1, and gives the series buckets, with the numbers as they are. Where bins
 * are new, the series has no counts of its parts. False: no memory, and the numbers are as before. */
bool kvtel_source_series_widen(struct kvtel_source_series *series, const struct kvtel_bins *layout, uint32_t first,
                               uint32_t end);

/* Sums the parts, where the series has bins and no counts of its parts. Without memory it has none. */
void kvtel_source_series_sum_parts(struct kvtel_source_series *series, const struct kvtel_bins *layout);
void kvtel_source_series_drop_parts(struct kvtel_source_series *series);

/* Adds the bins of each explicit bucket to it. `buckets`: explicit_count + 1. */
void kvtel_buckets_add(const struct kvtel_bins *layout, const uint64_t *bins, uint32_t first, uint32_t count,
                       uint64_t *buckets);

#endif
