/* SPDX-License-Identifier: Apache-2.0 */
/* What grew between two snapshots, in the terms of a connector's table: its fields, or its typed metrics, found again
 * in the families that they feed. */
#ifndef KVTEL_REPORT_INTERVAL_H
#define KVTEL_REPORT_INTERVAL_H

#include "base/arena.h"
#include <kvtel/connector.h>
#include <kvtel/snapshot.h>

/* Values of an interval, in the bins of their family: see struct kvtel_snapshot_series. Not cumulative. */
struct kvtel_interval_bins {
    const struct kvtel_snapshot_family *family; /* NULL: no histogram has these values */
    uint64_t count;
    double sum;
    const uint64_t *bins;
    uint32_t first_bin, bin_count;
};

/* What a key grew by. */
struct kvtel_measure {
    bool is_known; /* a family of the later snapshot has it */
    bool is_gauge;
    double sum;     /* of the values, what a counter grew by, or what a gauge stands at */
    uint64_t stamp; /* gauge: when it was set */
    struct kvtel_interval_bins bins;
};

/* A family of the table. */
struct kvtel_interval_family {
    const struct kvtel_metric *metric;
    const struct kvtel_snapshot_family *later;
    const struct kvtel_snapshot_series *
        *before;                     /* of each series of `later`: the same one in the earlier snapshot, or NULL */
    uint32_t *engines;               /* of each series of `later`: whose it is */
    uint32_t *members;               /* its series by engine: those of engine i from members[starts[i]] on */
    uint32_t *starts;                /* engine_count + 1 */
    int operation, status;           /* which label says it; -1: none does */
    int labels[KVTEL_METRIC_LABELS]; /* where the metric's own labels stand; -1: nowhere */
    size_t label_count;
};

struct kvtel_interval_engine {
    const char *model_name, *engine; /* "": there is no such label */
};

/* Borrows from both snapshots and the table. All memory is the arena's. */
struct kvtel_interval {
    const struct kvtel_connector *table;
    struct kvtel_arena *arena;
    struct kvtel_interval_family *families;
    size_t family_count;
    struct kvtel_interval_engine *engines;
    size_t engine_count, engine_capacity;
};

/* @param earlier NULL: since the start. @return KVTEL_OK, KVTEL_E_NOMEM */
enum kvtel_status kvtel_interval_init(struct kvtel_interval *interval, const struct kvtel_connector *table,
                                      const struct kvtel_snapshot *earlier, const struct kvtel_snapshot *later,
                                      struct kvtel_arena *arena);

enum { KVTEL_ALL_ENGINES = UINT32_MAX };

/* The indices of an engine's series in a family. */
const uint32_t *kvtel_interval_series(const struct kvtel_interval *interval, const struct kvtel_interval_family *family,
                                      uint32_t engine, size_t *count);

/* Which series are added up. */
struct kvtel_selection {
    uint32_t engine;                          /* index, or KVTEL_ALL_ENGINES */
    const char *operation;                    /* NULL: any */
    const char *status;                       /* NULL: any */
    const char *value;                        /* of the first own label; NULL: any */
    const struct kvtel_snapshot_series *like; /* all own labels as this series has them; NULL: any */
};

/* The series of one family. */
enum kvtel_status kvtel_interval_measure_family(const struct kvtel_interval *interval,
                                                const struct kvtel_interval_family *family,
                                                const struct kvtel_selection *selection, struct kvtel_measure *measure);
/* A key of the table: a field, or a typed metric. NULL, or a key that no family holds by itself: not known. */
enum kvtel_status kvtel_interval_measure(const struct kvtel_interval *interval, const char *key,
                                         const struct kvtel_selection *selection, struct kvtel_measure *measure);
/* The family that the `count` keys feed together, and no other; NULL when there is none. */
const struct kvtel_interval_family *kvtel_interval_family_of(const struct kvtel_interval *interval,
                                                             const char *const *keys, size_t count);
/* Different texts of a label. */
struct kvtel_interval_texts {
    const char **texts;
    size_t count;
};
/* The operations that a table by operations has. */
enum kvtel_status kvtel_interval_operations(const struct kvtel_interval *interval, uint32_t engine,
                                            struct kvtel_interval_texts *operations);
/* The statuses that an operation's `key` has. */
enum kvtel_status kvtel_interval_statuses(const struct kvtel_interval *interval, const char *key, uint32_t engine,
                                          const char *operation, struct kvtel_interval_texts *statuses);
/* Of the values as they were, within 1 % inside the exponential range of their unit: linear between neighbours, or, as
 * KVTEL_EXACT has it, the nearest rank. `q` is 0 .. 1. 0 when there is none. */
double kvtel_interval_quantile(const struct kvtel_interval_bins *bins, double q, enum kvtel_arithmetic arithmetic);

#endif
