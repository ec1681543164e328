/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A snapshot: the metrics of one or many stores at a moment, equal label sets merged. Every exposition is written
 * from a snapshot.
 *
 * libkvtel_record does not have its functions.
 */
#ifndef KVTEL_SNAPSHOT_H
#define KVTEL_SNAPSHOT_H

#include <kvtel/store.h>

KVTEL_BEGIN_DECLS

/** One family of a snapshot with its series. Opaque: the functions below read it. Borrowed from its snapshot until the
 * next reset, add or destroy. */
struct kvtel_snapshot_family;
/** One series (label set) of a family. Opaque and borrowed likewise. */
struct kvtel_snapshot_series;

/** The numbers of one series. The library fills all of it; the reserved words are 0 and may get a meaning later. */
struct kvtel_reading {
    double value;      /**< counter: the sum of all amounts; gauge: the newest reading; histogram: 0 */
    double sum;        /**< histogram: the sum of all values */
    uint64_t count;    /**< histogram: how many values */
    uint64_t stamp_ns; /**< gauge: when it was set, CLOCK_MONOTONIC; 0: never */
    /** Counter, histogram: the first moment from which the numbers are complete, CLOCK_REALTIME; 0: not known. It is
     * the time at which the oldest of the series that were added up was made. */
    uint64_t started_ns;
    uint64_t reserved[3]; /**< 0 */
};

/** Opaque; immutable between two collect calls. Single owner while collecting, then any thread may read. */
struct kvtel_snapshot;

/** @return owned, or NULL without memory */
KVTEL_API struct kvtel_snapshot *kvtel_snapshot_create(void);
/** NULL is fine. */
KVTEL_API void kvtel_snapshot_destroy(struct kvtel_snapshot *snapshot);
/** Empties it; memory is kept for the next round, so that a warm snapshot allocates nothing. Pointers got from it are
 * invalid. What was read of a store that is added in each round is kept, too: from the third round on only what the
 * store's writers changed since the last round is read. A snapshot that is used for each scrape so costs a fraction of
 * a new one, and takes more memory: about as much as all histograms once more. Stores that were not added in the last
 * round are forgotten. */
KVTEL_API void kvtel_snapshot_reset(struct kvtel_snapshot *snapshot);
/** Adds a store of this process, live or not. Counters and histograms of equal label sets add up, gauges take the
 * newest. Never blocks a writer. Unchanged on failure. In label values U+FFFD takes the place of bytes that are not
 * UTF-8; label sets that are equal then are one. @return KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT (amounts
 * whose sum is out of range), KVTEL_E_MISMATCH (a family of this name with another definition, or one with a sample of
 * its name: that family is left out, the rest is added) */
KVTEL_API enum kvtel_status kvtel_snapshot_add(struct kvtel_snapshot *snapshot, const struct kvtel_store *store);

/** Reads one series of a store of this process without a snapshot: the sum of what all threads recorded so far. The
 * call reads the whole store and allocates memory for all of it, so take a snapshot to read many series. Never blocks a
 * writer.
 * @param name   of the family; a counter's without _total
 * @param values label values in the order of the family's labels, @param count how many
 * @param reading out; unchanged on failure
 * @return KVTEL_OK, KVTEL_E_UNKNOWN (no such family or series), KVTEL_E_LIMIT, KVTEL_E_MISMATCH (as for
 * kvtel_snapshot_add()), KVTEL_E_NOMEM. Any thread. */
KVTEL_API enum kvtel_status kvtel_store_read(const struct kvtel_store *store, const char *name,
                                             const char *const *values, size_t count, struct kvtel_reading *reading);

/** Families in the order in which they were made. Borrowed until the next reset, add or destroy. */
KVTEL_API size_t kvtel_snapshot_family_count(const struct kvtel_snapshot *snapshot);
/** The i-th family, or NULL past the end. Borrowed likewise. */
KVTEL_API const struct kvtel_snapshot_family *kvtel_snapshot_family(const struct kvtel_snapshot *snapshot, size_t i);
/** The family of a name (a counter's without _total), or NULL. */
KVTEL_API const struct kvtel_snapshot_family *kvtel_snapshot_find(const struct kvtel_snapshot *snapshot,
                                                                  const char *name);

/** A family's name; a counter's without _total. UTF-8, as every text here. */
KVTEL_API const char *kvtel_snapshot_name(const struct kvtel_snapshot_family *family);
/** A family's type. */
KVTEL_API enum kvtel_metric_type kvtel_snapshot_type(const struct kvtel_snapshot_family *family);
/** The text of a family's `# HELP`. */
KVTEL_API const char *kvtel_snapshot_help(const struct kvtel_snapshot_family *family);
/** The unit of a family's values. */
KVTEL_API enum kvtel_unit kvtel_snapshot_unit(const struct kvtel_snapshot_family *family);
/** How many labels each series of a family has. */
KVTEL_API size_t kvtel_snapshot_label_count(const struct kvtel_snapshot_family *family);
/** The name of a family's i-th label, or NULL past the end. */
KVTEL_API const char *kvtel_snapshot_label_name(const struct kvtel_snapshot_family *family, size_t i);
/** How many explicit buckets a histogram has, +Inf not counted; 0 for another type. */
KVTEL_API size_t kvtel_snapshot_bound_count(const struct kvtel_snapshot_family *family);
/** Upper bound of a histogram's i-th explicit bucket, ascending; +Inf past the end. */
KVTEL_API double kvtel_snapshot_bound(const struct kvtel_snapshot_family *family, size_t i);

/** How many series a family has. */
KVTEL_API size_t kvtel_snapshot_series_count(const struct kvtel_snapshot_family *family);
/** A family's i-th series, in the order in which they were made, or NULL past the end. */
KVTEL_API const struct kvtel_snapshot_series *kvtel_snapshot_series(const struct kvtel_snapshot_family *family,
                                                                    size_t i);
/** The value of a series' i-th label, where i is below kvtel_snapshot_label_count() of its family. */
KVTEL_API const char *kvtel_snapshot_label(const struct kvtel_snapshot_series *series, size_t i);
/** All numbers of a series. */
KVTEL_API void kvtel_snapshot_read(const struct kvtel_snapshot_series *series, struct kvtel_reading *reading);
/** The exemplar of an explicit bucket of a histogram's series: the newest that writers left there, a transfer with its
 * labels. Opaque and borrowed likewise. */
struct kvtel_snapshot_exemplar;
/** The exemplar of the i-th explicit bucket, the one past the last bound (up to +Inf) included. NULL: it has none, no
 * value is in the bucket, or there is no such bucket. */
KVTEL_API const struct kvtel_snapshot_exemplar *kvtel_snapshot_exemplar(const struct kvtel_snapshot_family *family,
                                                                        const struct kvtel_snapshot_series *series,
                                                                        size_t i);
/** The value of an exemplar, in the unit of the family. */
KVTEL_API double kvtel_snapshot_exemplar_value(const struct kvtel_snapshot_exemplar *exemplar);
/** When it happened, CLOCK_REALTIME. */
KVTEL_API uint64_t kvtel_snapshot_exemplar_time_ns(const struct kvtel_snapshot_exemplar *exemplar);
/** How many labels an exemplar has. */
KVTEL_API size_t kvtel_snapshot_exemplar_label_count(const struct kvtel_snapshot_exemplar *exemplar);
/** The name of an exemplar's i-th label, or NULL past the end. */
KVTEL_API const char *kvtel_snapshot_exemplar_label_name(const struct kvtel_snapshot_exemplar *exemplar, size_t i);
/** The value of an exemplar's i-th label, or NULL past the end. */
KVTEL_API const char *kvtel_snapshot_exemplar_label(const struct kvtel_snapshot_exemplar *exemplar, size_t i);
/** How many values of a histogram's series are at most `bound`. The count is exact for the bounds of the family's
 * explicit buckets (kvtel_snapshot_bound()) and for the powers of 2 in the exponential range of its unit. For any other
 * bound it is the count up to the nearest lower bound that the store counts by, which is at most 1.1 % lower in that
 * range; so it is never too high.
 * @param bound   in the unit of the family; +Inf: all values
 * @param counted out, may be NULL: the bound up to which values were counted; NaN when the store counts by no bound
 * that is at most `bound`, and the count is then 0 */
KVTEL_API uint64_t kvtel_snapshot_count_up_to(const struct kvtel_snapshot_family *family,
                                              const struct kvtel_snapshot_series *series, double bound,
                                              double *counted);
/** Quantile of a histogram's series, relative error at most 1 % inside the exponential range of its unit.
 * @param q 0 .. 1. @return in the unit of the family; NaN when the series has no values */
KVTEL_API double kvtel_snapshot_quantile(const struct kvtel_snapshot_family *family,
                                         const struct kvtel_snapshot_series *series, double q);

KVTEL_END_DECLS
#endif
