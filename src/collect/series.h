/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot's family and series hold: the public functions of kvtel/snapshot.h read them one by one. */
#ifndef KVTEL_COLLECT_SERIES_H
#define KVTEL_COLLECT_SERIES_H

#include <kvtel/snapshot.h>

#include "collect/exemplars.h"
#include "histogram/parts.h"

/* One label set of a family. */
struct kvtel_snapshot_series {
    const char *const *values; /* label values, in the order of the family's labelnames; UTF-8 */
    double value;              /* counter, gauge */
    uint64_t stamp;            /* gauge: when it was set, CLOCK_MONOTONIC ns; 0: never */
    uint64_t count;            /* histogram: number of values */
    double sum;                /* histogram */
    /* Histogram: the family's bins, one counter each: bin i holds values in (bounds[i-1], bounds[i]], the last all
     * above. Not cumulative. Only bins first_bin .. first_bin + bin_count - 1 are given, all others are 0. */
    const uint64_t *bins;
    uint32_t first_bin;                        /* see `bins` */
    uint32_t bin_count;                        /* see `bins` */
    struct kvtel_snapshot_exemplar *exemplars; /* of each explicit bucket, the last one up to +Inf; NULL: none */
    uint32_t exemplar_count;
    bool borrowed; /* `bins`, `buckets` and `parts` are a source's: copied before anything is added to them */
    /* Histogram: the counts of the explicit buckets, explicit_count + 1 of them, not cumulative. NULL: they are to be
     * summed up from the bins. */
    const uint64_t *buckets;
    const struct kvtel_parts *parts; /* the counts of the parts between exponential bounds; NULL: as above */
    uint64_t started; /* first moment from which the counts are complete, CLOCK_REALTIME ns; 0: not known */
    uint64_t changed; /* the snapshot's state when the numbers last changed, if it follows its sources */
};

/* One family with its series. */
struct kvtel_snapshot_family {
    const char *name;              /* a counter's without _total */
    enum kvtel_metric_type type;   /* which members of a series are filled */
    const char *help;              /* text of `# HELP` */
    const char *const *labelnames; /* names of the labels */
    size_t label_count;            /* how many labels */
    enum kvtel_unit unit;          /* unit of the values */
    /* Histogram: upper bounds of all bins, ascending: explicit and exponential ones together. */
    const double *bounds;
    size_t bound_count; /* how many bounds */
    /* Histogram: explicit_bins[i] is the bin whose upper bound is the i-th explicit one, so that the cumulative count
     * of an explicit bucket is the sum of bins 0 .. explicit_bins[i]. Likewise the exponential ones:
     * exponential_bins[i] is the bin whose upper bound is 2^((exponential_first + i) / 2^schema). */
    const uint32_t *explicit_bins;
    size_t explicit_count;                      /* how many explicit bounds */
    const uint32_t *exponential_bins;           /* see explicit_bins */
    size_t exponential_count;                   /* how many exponential bounds */
    int32_t exponential_first;                  /* index of the first exponential bound */
    int schema;                                 /* bounds of a power of two: 2^schema */
    const struct kvtel_snapshot_series *series; /* in the order in which they were made */
    size_t series_count;                        /* how many series */
};

#endif
