/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a metric is: its type, its unit, its buckets, and how a family of it is declared.
 *
 * It has no functions.
 */
#ifndef KVTEL_METRIC_H
#define KVTEL_METRIC_H

#include <kvtel/base.h>

KVTEL_BEGIN_DECLS

/** What a number measures. The unit chooses the range of a histogram's exponential buckets. */
enum kvtel_unit {
    KVTEL_UNIT_COUNT,   /**< a number of things: blocks, keys, requests */
    KVTEL_UNIT_SECONDS, /**< a time in seconds */
    KVTEL_UNIT_BYTES,   /**< a size in bytes */
    KVTEL_UNIT_RATIO    /**< a part of a whole, 0 to 1 */
};

/** The types of Prometheus that kvtel exports. */
enum kvtel_metric_type {
    KVTEL_COUNTER,  /**< a sum that only grows */
    KVTEL_GAUGE,    /**< a reading; the newest one counts */
    KVTEL_HISTOGRAM /**< a distribution: count, sum and buckets */
};

/** Upper bounds of explicit buckets, ascending, without +Inf. */
struct kvtel_buckets {
    const double *bounds;    /**< in the unit of the metric; borrowed */
    size_t count;            /**< how many bounds */
    const void *reserved[2]; /**< must be NULL */
};

/* clang-format off */
/** Buckets in a table in C: KVTEL_BUCKETS(0.001, 0.01, 0.1). */
#define KVTEL_BUCKETS(...)                                                            \
    &(const struct kvtel_buckets)                                                     \
    {                                                                                 \
        .bounds = (const double[]){ __VA_ARGS__ },                                    \
        .count = sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double)             \
    }
/* clang-format on */

/** A family to be made: names are borrowed until the call returns. */
struct kvtel_family_spec {
    const char *name;                    /**< a counter's without _total */
    enum kvtel_metric_type type;         /**< a family of another type has to have another name */
    const char *help;                    /**< the text of `# HELP`, one sentence */
    const char *const *labelnames;       /**< model_name, engine, then the metric's own */
    size_t label_count;                  /**< how many label names */
    const struct kvtel_buckets *buckets; /**< histograms only */
    enum kvtel_unit unit;                /**< unit of the values */
    const void *reserved[2];             /**< must be NULL */
};

KVTEL_END_DECLS
#endif
