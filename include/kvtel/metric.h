/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * What a metric is: its type, its unit, its buckets, and how a family of it is declared.
 */
#ifndef KVTEL_METRIC_H
#define KVTEL_METRIC_H

#include <kvtel/base.h>

KVTEL_BEGIN_DECLS

enum kvtel_unit { KVTEL_UNIT_COUNT, KVTEL_UNIT_SECONDS, KVTEL_UNIT_BYTES, KVTEL_UNIT_RATIO };

enum kvtel_metric_type { KVTEL_COUNTER, KVTEL_GAUGE, KVTEL_HISTOGRAM };

/** Upper bounds of explicit buckets, ascending, without +Inf. */
struct kvtel_buckets {
    const double *bounds;
    size_t count;
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
    const char *name; /**< a counter's without _total */
    enum kvtel_metric_type type;
    const char *help;
    const char *const *labelnames; /**< model_name, engine, then the metric's own */
    size_t label_count;
    const struct kvtel_buckets *buckets; /**< histograms only */
    enum kvtel_unit unit;
};

KVTEL_END_DECLS
#endif
