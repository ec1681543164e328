/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the lanes of a store while its writers go on. */
#ifndef KVTEL_COLLECT_COLLECT_H
#define KVTEL_COLLECT_COLLECT_H

#include "base/arena.h"
#include "collect/exemplars.h"
#include "histogram/parts.h"
#include "format/view.h"

/* The value of one series, added up over the lanes of a store. Start from {0} and set `layout`. Memory of `bins`
 * and `exemplars` belongs to an arena. */
struct kvtel_collected {
    const struct kvtel_bins *layout; /* of a histogram; NULL: the series is left out */
    double value;                    /* counter, gauge */
    uint64_t stamp;                  /* gauge: CLOCK_MONOTONIC ns when it was set; 0: never */
    uint64_t count;
    double sum;
    uint64_t *bins; /* bins first .. first + bin_count - 1 */
    uint32_t first, bin_count;
    struct kvtel_snapshot_exemplar *exemplars; /* of each explicit bucket, the last one up to +Inf; NULL: none */
    uint32_t exemplar_count;
    bool borrowed; /* `bins`, `buckets` and `parts` are a source's: copied before anything is added to them */
    /* Counts of the explicit buckets, explicit_count + 1 of them, not cumulative; NULL: only the bins have them. */
    const uint64_t *buckets;
    const struct kvtel_parts *parts; /* likewise the counts of the parts between exponential bounds */
};

/* What one lane added to a series, besides the counts. */
struct kvtel_lane_sum {
    double direct;     /* counter: what was added without a group */
    double doubles;    /* doubles of rows, in their order; of a counter of rows, the rows */
    uint64_t integers; /* integers of rows */
};

/* The sum of integers of a column in the unit in which it is shown. */
static inline double kvtel_collected_integers(uint64_t integers, bool ns)
{
    return ns ? (double)integers / 1e9 : (double)integers;
}

/* A total, and what a lane's rows added to it. */
static inline double kvtel_collected_sum(double total, const struct kvtel_lane_sum *sum, bool ns)
{
    return total + sum->doubles + kvtel_collected_integers(sum->integers, ns);
}

/* How far the rows of each lane are in the numbers of a store, so that a later reading can add the rows since. */
struct kvtel_seen_rows {
    uint64_t *heads;             /* [lane * group_count + group]: number of rows, or KVTEL_HEAD_UNKNOWN */
    struct kvtel_lane_sum *sums; /* [lane * series_count + series] */
    size_t head_room, sum_room;
};
#define KVTEL_HEAD_UNKNOWN UINT64_MAX

/* Room for copies of slots. Start from {0}. */
struct kvtel_slots {
    uint64_t *words;
    size_t room;
};
/* Makes room for so many words, which may move. False: no memory, and nothing is changed. */
bool kvtel_slots_reserve(struct kvtel_slots *slots, size_t words);

/* Memory that is kept from one use to the next. Start from {0}. One thread at a time. */
struct kvtel_scratch {
    uint64_t *words;
    size_t capacity;
    struct kvtel_slots slots;
    struct kvtel_slots lines;  /* of all lanes, as kvtel_collect_lines() read them */
    uint64_t read, read_again; /* words read so far of the store that is collected; words read again */
};

/* Gives memory to bins from..end - 1, to spare ones on either side, and to those so far. The caller sets them all: up
 * to then they have any value. False: no memory, and nothing is changed. */
bool kvtel_collected_begin(struct kvtel_collected *series, struct kvtel_arena *arena, uint32_t from, uint32_t end);
/* Extends the stored bins to include from..end - 1; new bins are 0. The memory comes from `arena`, also that of bins
 * that were borrowed. False: no memory, and nothing is changed. */
bool kvtel_collected_widen(struct kvtel_collected *series, struct kvtel_arena *arena, uint32_t from, uint32_t end);

/* Adds the value of the same series in another store. For gauges the newer value wins. False: no memory, and nothing
 * is added. */
bool kvtel_collected_add(struct kvtel_collected *series, struct kvtel_arena *arena, const struct kvtel_collected *more,
                         enum kvtel_metric_type type);

/* What of a store is read. */
struct kvtel_collect_part {
    const uint8_t *series;        /* of each series: 1 if it is wanted; all columns of a group alike. NULL: all are */
    const uint64_t *slots;        /* the slots of all lanes, where they were just read; NULL: they are read */
    struct kvtel_seen_rows *seen; /* out: how far the rows were read, of what is wanted; NULL: not asked for */
};

/* Begins the count of words that are read of a store, which view->most_words limits. */
void kvtel_collect_begin(struct kvtel_scratch *scratch);
void kvtel_scratch_free(struct kvtel_scratch *scratch);
/* Reads the lines of all lanes, before any of their slots. KVTEL_OK, KVTEL_E_NOMEM, any status of view->read_lines. */
enum kvtel_status kvtel_collect_lines(const struct kvtel_view *view, struct kvtel_scratch *scratch);
/* Copies the slots of a lane, with the heads that are in its line in the slots of their groups; or finds that it has no
 * memory, so that all its words are 0: then `slots` is as before and *empty is true. KVTEL_OK, KVTEL_E_LIMIT, any
 * status of view->read. */
enum kvtel_status kvtel_collect_slots(const struct kvtel_view *view, struct kvtel_scratch *scratch, uint32_t lane,
                                      uint64_t *slots, bool *empty);
/* Adds up all lanes of a store. `series` holds view->series_count entries; a histogram without a `layout` is left
 * out.
 * KVTEL_OK
 * KVTEL_E_MISMATCH: words of a group of a lane contradict each other. They are left out, the rest is there.
 * KVTEL_E_NOMEM
 * KVTEL_E_LIMIT: more words than view->most_words would have to be read since kvtel_collect_begin().
 * Any status that view->read returns. */
enum kvtel_status kvtel_collect(const struct kvtel_view *view, struct kvtel_arena *arena, struct kvtel_scratch *scratch,
                                const struct kvtel_collect_part *part, struct kvtel_collected *series);

#endif
