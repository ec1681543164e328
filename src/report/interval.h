/* SPDX-License-Identifier: Apache-2.0 */
/* Maps exported families back to the connector's fields or typed metrics that feed them, and computes their growth
 * between two snapshots. One thread at a time. */
#ifndef KVTEL_REPORT_INTERVAL_H
#define KVTEL_REPORT_INTERVAL_H

#include "base/arena.h"
#include <kvtel/connector.h>
#include <kvtel/snapshot.h>

enum { KVTEL_LARGEST = 5 };

/* The values of an interval in the bins of their family, not cumulative; see struct kvtel_snapshot_series. */
struct kvtel_interval_bins {
    const struct kvtel_snapshot_family *family; /* NULL: the values are not in a histogram */
    uint64_t count;
    double sum;
    const uint64_t *bins;
    uint32_t first_bin, bin_count;
    /* The exemplars with the largest values, from the largest on; they may be older than the interval. */
    const struct kvtel_snapshot_exemplar *largest[KVTEL_LARGEST];
    size_t largest_count;
};

/* The growth of a key. */
struct kvtel_measure {
    bool is_known; /* the later snapshot contains a family with it */
    bool is_gauge;
    double sum;     /* sum of the values, growth of a counter, or value of a gauge */
    uint64_t stamp; /* gauge: CLOCK_MONOTONIC ns when it was set */
    struct kvtel_interval_bins bins;
};

/* A family of the table, in both snapshots. */
struct kvtel_interval_family {
    const struct kvtel_metric *metric;
    const struct kvtel_snapshot_family *later;
    const struct kvtel_snapshot_series *
        *before;       /* for each series of `later`: the same series in the earlier snapshot, or NULL */
    uint32_t *engines; /* for each series of `later`: index of its engine */
    /* indexes of the series by engine: those of engine i begin at members[starts[i]] */
    uint32_t *members;
    uint32_t *starts;                /* engine_count + 1 */
    int operation, status;           /* index of the label with it; -1: none */
    int labels[KVTEL_METRIC_LABELS]; /* places of the metric's own labels; -1: missing */
    size_t label_count;
};

struct kvtel_interval_engine {
    const char *model_name, *engine; /* "": the label is missing */
};

/* The differences. Borrows from both snapshots and the table; all memory is from the arena. */
struct kvtel_interval {
    const struct kvtel_connector *table;
    struct kvtel_arena *arena;
    struct kvtel_interval_family *families;
    size_t family_count;
    struct kvtel_interval_engine *engines;
    size_t engine_count, engine_capacity;
};

/* Prepares the differences. @param earlier NULL: since the start @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_interval_init(struct kvtel_interval *interval, const struct kvtel_connector *table,
                                      const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                                      struct kvtel_arena *arena);

enum { KVTEL_ALL_ENGINES = UINT32_MAX };

/* The indices of an engine's series in a family. */
const uint32_t *kvtel_interval_series(const struct kvtel_interval *interval, const struct kvtel_interval_family *family,
                                      uint32_t engine, size_t *count);

/* Selects the series to add up. */
struct kvtel_selection {
    uint32_t engine;                          /* index, or KVTEL_ALL_ENGINES */
    const char *operation;                    /* NULL: any */
    const char *status;                       /* NULL: any */
    const char *value;                        /* value of the first own label; NULL: any */
    const struct kvtel_snapshot_series *like; /* the same own labels as this series; NULL: any */
};

/* Measures the selected series of one family. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_interval_measure_family(const struct kvtel_interval *interval,
                                                const struct kvtel_interval_family *family,
                                                const struct kvtel_selection *selection, struct kvtel_measure *measure);
/* Measures a key of the table: a field, or a typed metric. NULL, or a key without a family of its own: `is_known` is
 * false. */
enum kvtel_status kvtel_interval_measure(const struct kvtel_interval *interval, const char *key,
                                         const struct kvtel_selection *selection, struct kvtel_measure *measure);
/* The family that exactly these `count` keys feed; NULL: none. */
const struct kvtel_interval_family *kvtel_interval_family_of(const struct kvtel_interval *interval,
                                                             const char *const *keys, size_t count);
/* The different texts of a label. */
struct kvtel_interval_texts {
    const char **texts;
    size_t count;
};
/* The operations of an engine, for a table by operations. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_interval_operations(const struct kvtel_interval *interval, uint32_t engine,
                                            struct kvtel_interval_texts *operations);
/* The statuses of an operation's `key`. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_interval_statuses(const struct kvtel_interval *interval, const char *key, uint32_t engine,
                                          const char *operation, struct kvtel_interval_texts *statuses);
/* The quantile `q` (0 to 1) of the values, within 1 % inside the exponential range of their unit; 0 without values.
 * Linear between neighbours; for KVTEL_EXACT the nearest rank. */
double kvtel_interval_quantile(const struct kvtel_interval_bins *bins, double q, enum kvtel_arithmetic arithmetic);

#endif
