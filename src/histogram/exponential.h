/* SPDX-License-Identifier: Apache-2.0 */
/* Base-2 exponential buckets, as native histograms and OTLP have them, from a histogram's bins. Bucket i of schema s
 * has the values in (2^((i-1) / 2^s), 2^(i / 2^s)]. */
#ifndef KVTEL_HISTOGRAM_EXPONENTIAL_H
#define KVTEL_HISTOGRAM_EXPONENTIAL_H

#include "histogram/parts.h"

#include <kvtel/base.h>

enum { KVTEL_SCHEMA_LEAST = -4, KVTEL_SCHEMA_DEFAULT = 3, KVTEL_EXPONENTIAL_BUCKETS = 160 };

/* What the bins of a family are, borrowed: bin bins[i] ends at exactly 2^((first + i) / 2^schema). */
struct kvtel_exponential_bins {
    int schema; /* the finest one */
    int32_t first;
    uint32_t count; /* at least 1 */
    const uint32_t *bins;
    bool zero; /* bin 0 has the value 0 alone */
};

/* Which bins make up each bucket of one schema. Immutable once made. */
struct kvtel_exponential_plan {
    int schema;
    int32_t first;     /* index of the first bucket */
    uint32_t count;    /* buckets; the last one has all values above the bins' range too */
    uint32_t room;     /* buckets of the bins' schema */
    uint32_t zero_end; /* the bins below this one are in the zero bucket */
    bool zero;         /* that is bin 0 alone */
    int32_t part;      /* index of the bound at which part 0 ends, of the bins' schema */
    int shift;         /* by which the schema is below that of the bins */
    double
        zero_threshold; /* not below the values in the zero bucket; more than 0, by which a native histogram is told */
    uint32_t *ends;     /* the bins from ends[i - 1], or zero_end, up to ends[i] - 1 are in bucket first + i */
    /* The bins at whose ends explicit buckets end, ascending. The caller's, who sets them after
     * kvtel_exponential_plan_init(); none: 0. */
    const uint32_t *marks;
    size_t mark_count;
};

/* `schema`: KVTEL_SCHEMA_LEAST or more; a finer one than the bins' is lowered to theirs. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_exponential_plan_init(struct kvtel_exponential_plan *plan,
                                              const struct kvtel_exponential_bins *bins, int schema);
void kvtel_exponential_plan_free(struct kvtel_exponential_plan *plan);

/* The buckets of one series, from the lowest to the highest that has values. */
struct kvtel_exponential {
    int schema;
    uint64_t zero_count;
    int32_t first;          /* index of the first bucket */
    size_t count;           /* 0: none has values */
    const uint64_t *counts; /* of each; the first and the last are not 0. In `memory`, or in the series' parts */
    uint64_t *memory;       /* the caller's, with room for plan->room */
    uint64_t *below; /* how many values are in the bins up to each mark; the caller's. NULL: it is not to be said */
};

/* One walk over the bins, for both kinds of buckets. Sums the bins first_bin .. first_bin + bin_count - 1 of a series,
 * of which `bins` has the counts; all others are 0. Above `most` buckets with values (at least 1) the schema is
 * lowered, step by step, which merges two neighbours into one. Below KVTEL_SCHEMA_LEAST it does not go, where all bins
 * make a handful.
 */
void kvtel_exponential_fill(const struct kvtel_exponential_plan *plan, const uint64_t *bins, uint32_t first_bin,
                            uint32_t bin_count, size_t most, struct kvtel_exponential *series);

/* The same from the counts of the parts, all of them. `zeros`: the count of bin 0, where that is the zero bucket
 * (plan->zero). `below` is not said. */
void kvtel_exponential_fill_parts(const struct kvtel_exponential_plan *plan, const struct kvtel_parts *parts,
                                  uint64_t zeros, size_t most, struct kvtel_exponential *series);

/* Lowers the schema by one: buckets 2k - 1 and 2k become k. */
void kvtel_exponential_halve(struct kvtel_exponential *series);

#endif
