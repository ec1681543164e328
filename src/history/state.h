/* SPDX-License-Identifier: Apache-2.0 */
/* The history's data. Its lock is held where a function here says nothing else. */
#ifndef KVTEL_HISTORY_STATE_H
#define KVTEL_HISTORY_STATE_H

#include <pthread.h>

#include "history/entries.h"
#include "history/history.h"
#include "history/point.h"
#include "totals/file.h"

struct history_point {
    double end, seconds; /* seconds since 1970; how many it covers */
    uint8_t *bytes;
    size_t size;
};

struct history {
    pthread_mutex_t lock; /* guards all below */
    double duration, step;
    struct history_entries entries;
    struct history_point points[HISTORY_POINTS]; /* the oldest first */
    size_t count, memory;                        /* bytes of the points */
    bool has_base;                               /* counts of the last call are known */
    uint64_t base_ns;                            /* its time */
    struct kvtel_buffer scratch;
    uint64_t bins[HISTORY_HISTOGRAMS][HISTORY_BINS + 1]; /* of the flow that is looked at; zeros between two uses */
    struct totals_reserve reserve; /* of the file; for history_save() alone, which one thread calls */
};

/* Appends a point with a copy of the bytes. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status history_point_add(struct history *history, double end, double seconds, const void *bytes,
                                    size_t size);
/* Drops points that are too old, or in the future, or too many, and merges old ones. */
void history_age(struct history *history, double time);
/* Drops all points and names. */
void history_forget(struct history *history);

#endif
