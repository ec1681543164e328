/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A snapshot: the metrics of one or many stores at a moment, equal label sets merged. What every exposition is written
 * from.
 */
#ifndef KVTEL_SNAPSHOT_H
#define KVTEL_SNAPSHOT_H

#include <kvtel/store.h>

KVTEL_BEGIN_DECLS

/** One label set of a family. */
struct kvtel_snapshot_series {
    const char *const *values; /**< label values, in the order of the family's labelnames; UTF-8 */
    double value;              /**< counter, gauge */
    uint64_t stamp;            /**< gauge: when it was set, CLOCK_MONOTONIC ns; 0: never */
    uint64_t count;            /**< histogram: number of values */
    double sum;                /**< histogram */
    /** Histogram: the family's bins, one counter each: bin i holds values in (bounds[i-1], bounds[i]], the last all
     * above. Not cumulative. Only bins first_bin .. first_bin + bin_count - 1 are given, all others are 0. */
    const uint64_t *bins;
    uint32_t first_bin; /**< see `bins` */
    uint32_t bin_count; /**< see `bins` */
};

/** One family with its series. */
struct kvtel_snapshot_family {
    const char *name;              /**< a counter's without _total */
    enum kvtel_metric_type type;   /**< which members of a series are filled */
    const char *help;              /**< text of `# HELP` */
    const char *const *labelnames; /**< names of the labels */
    size_t label_count;            /**< how many labels */
    enum kvtel_unit unit;          /**< unit of the values */
    /** Histogram: upper bounds of all bins, ascending: explicit and exponential ones together. */
    const double *bounds;
    size_t bound_count; /**< how many bounds */
    /** Histogram: explicit_bins[i] is the bin whose upper bound is the i-th explicit one, so that the cumulative count
     * of an explicit bucket is the sum of bins 0 .. explicit_bins[i]. Likewise the exponential ones:
     * exponential_bins[i] is the bin whose upper bound is 2^((exponential_first + i) / 2^schema). */
    const uint32_t *explicit_bins;
    size_t explicit_count;                      /**< how many explicit bounds */
    const uint32_t *exponential_bins;           /**< see explicit_bins */
    size_t exponential_count;                   /**< how many exponential bounds */
    int32_t exponential_first;                  /**< index of the first exponential bound */
    int schema;                                 /**< bounds of a power of two: 2^schema */
    const struct kvtel_snapshot_series *series; /**< in the order in which they were made */
    size_t series_count;                        /**< how many series */
};

/** Opaque; immutable between two collect calls. Single owner while collecting, then any thread may read. */
struct kvtel_snapshot;

/** @return owned, or NULL without memory */
KVTEL_API struct kvtel_snapshot *kvtel_snapshot_create(void);
/** NULL is fine. */
KVTEL_API void kvtel_snapshot_destroy(struct kvtel_snapshot *snapshot);
/** Empties it; memory is kept for the next round, so that a warm snapshot allocates nothing. Pointers got from it are
 * invalid. */
KVTEL_API void kvtel_snapshot_reset(struct kvtel_snapshot *snapshot);
/** Adds a store of this process, live or not. Counters and histograms of equal label sets add up, gauges take the
 * newest. Never blocks a writer. Unchanged on failure. Label values that are no UTF-8 are made so, U+FFFD in place of
 * what is none; those that are equal then are one label set. @return KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT (amounts
 * that cannot be added up), KVTEL_E_MISMATCH (a family of this name with another definition, or one with a sample of
 * its name: that family is left out, the rest is added) */
KVTEL_API enum kvtel_status kvtel_snapshot_add(struct kvtel_snapshot *snapshot, const struct kvtel_store *store);

/** Families in the order in which they were made. Borrowed until the next reset, add or destroy. */
KVTEL_API size_t kvtel_snapshot_family_count(const struct kvtel_snapshot *snapshot);
/** The i-th family, or NULL past the end. Borrowed likewise. */
KVTEL_API const struct kvtel_snapshot_family *kvtel_snapshot_family(const struct kvtel_snapshot *snapshot, size_t i);
/** The family of a name (a counter's without _total), or NULL. */
KVTEL_API const struct kvtel_snapshot_family *kvtel_snapshot_find(const struct kvtel_snapshot *snapshot,
                                                                  const char *name);

/** Quantile of a histogram from its bins, relative error at most 1 % inside the exponential range of its unit.
 * @param q 0 .. 1. @return NaN when it is empty */
KVTEL_API double kvtel_snapshot_quantile(const struct kvtel_snapshot_family *family,
                                         const struct kvtel_snapshot_series *series, double q);

KVTEL_END_DECLS
#endif
