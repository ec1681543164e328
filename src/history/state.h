/* SPDX-License-Identifier: Apache-2.0 */
/* The history's data. Its lock is held where a function here says nothing else. */
#ifndef KVTEL_HISTORY_STATE_H
#define KVTEL_HISTORY_STATE_H

#include <pthread.h>

#include "base/arena.h"
#include "history/entries.h"
#include "history/history.h"
#include "history/point.h"
#include "totals/file.h"

/* The bytes of a point. They do not change, so an answer that is being written uses them without the lock. */
struct history_block {
    uint32_t users; /* the lock guards it */
    uint8_t bytes[];
};

struct history_point {
    double end, seconds; /* seconds since 1970; how many it covers */
    struct history_block *block;
    size_t size;
};

struct history {
    pthread_mutex_t lock; /* guards all below */
    double duration, step;
    struct history_entries entries;
    struct history_point points[HISTORY_POINTS]; /* the oldest first */
    size_t count, memory;                        /* bytes of the points */
    bool has_base;                               /* counts of the last call are known */
    size_t left_out;                             /* entries that were in the last point as a part of a rest alone */
    uint64_t base_ns;                            /* its time */
    struct kvtel_buffer scratch;
    uint64_t bins[HISTORY_HISTOGRAMS][HISTORY_BINS + 1]; /* of the flow that is looked at; zeros between two uses */
    struct totals_reserve reserve; /* of the file; for history_save() alone, which one thread calls */
};

/* Appends a point with a copy of the bytes. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status history_point_add(struct history *history, double end, double seconds, const void *bytes,
                                    size_t size);
/* Gives up the use of a point's bytes; without a user they are freed. */
void history_block_release(struct history_block *block);
struct history_bytes history_point_bytes(const struct history_point *point);
void history_drop_point(struct history *history, size_t at);
size_t history_memory_of(const struct history *history);
/* Drops points that are too old, or in the future, or too many, and merges old ones. */
void history_age(struct history *history, double time);
/* Drops all points and names. */
void history_forget(struct history *history);

/* All that an answer shows, as it was at one moment. */
struct history_copy {
    double duration;
    struct history_point points[HISTORY_POINTS]; /* a user of their bytes */
    size_t count;
    size_t left_out;
    struct history_entry *entries; /* without the counts of histograms */
    uint32_t used;
    struct kvtel_arena arena; /* of the entries */
};
/* Copies, so that the lock is held for the time that copying names takes, however long an answer is. Points do not age
 * here: a reader that was held up would take new points for points of the future. Takes the lock itself. KVTEL_OK,
 * KVTEL_E_NOMEM; release() is called in any case. */
enum kvtel_status history_copy_take(struct history *history, struct history_copy *copy);
void history_copy_release(struct history *history, struct history_copy *copy);

#endif
