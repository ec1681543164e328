/* SPDX-License-Identifier: Apache-2.0 */
/* One store with what was last seen of it: the numbers of all its series, and what tells which of them moved since. */
#ifndef KVTEL_COLLECT_SOURCE_H
#define KVTEL_COLLECT_SOURCE_H

#include "collect/worker.h"

/* Single owner. Start from {0}: nothing was read yet. */
struct kvtel_source {
    uint64_t id;    /* no other source of this process had or has it; 0: nothing was read yet */
    uint64_t state; /* goes up with each refresh that found other numbers */
    bool valid;     /* the store could be read at least once */
    bool whole;     /* the last reading left nothing out */
    bool fell;      /* the last reading found lower numbers than the one before, so it was not taken */
    struct kvtel_source_series *series;
    uint32_t series_count, series_room;
    uint32_t group_count;
    bool ended;     /* the view's writer had ended */
    bool has_parts; /* histograms have the counts of their parts */
    /* Of all lanes: the slots as they were when amounts and readings were read, and how far the rows were. Unless
     * `known`, all is read again. */
    bool known;
    struct kvtel_slots slots;
    struct kvtel_seen_rows seen;
    uint32_t lane_count;
    struct kvtel_slots lines; /* the lines of all lanes as they were before the numbers were read */
    uint32_t lines_seen;
    uint8_t *wanted; /* of each series: 1 if the running refresh reads it as a whole */
};

/* Reads what moved since the last call. All calls must pass views of the same store. On failure the numbers of the last
 * time stay.
 * @return KVTEL_OK; KVTEL_E_MISMATCH: a part contradicts itself and is left out; KVTEL_E_FORMAT: counts are lower than
 * the last time, although they only grow; else as kvtel_collect() */
enum kvtel_status kvtel_source_refresh(struct kvtel_source *source, const struct kvtel_view *view,
                                       struct kvtel_worker *worker);
/* Gives histograms the counts of their parts, or takes these from them, as the worker's owner wants it: part of a
 * refresh, and for sources that are not refreshed. A histogram for which there is no memory has none. `moved`: numbers
 * of the source's state are new. */
void kvtel_source_keep_parts(struct kvtel_source *source, const struct kvtel_view *view, struct kvtel_worker *worker,
                             bool moved);
/* Makes the next refresh read all: also what was written without a word that tells, as by a writer that was killed
 * before it could store that word. */
void kvtel_source_forget(struct kvtel_source *source);
/* Replaces all numbers by those of `series`, for a source that is not a store. KVTEL_OK, KVTEL_E_NOMEM: as before. */
enum kvtel_status kvtel_source_set(struct kvtel_source *source, const struct kvtel_collected *series, uint32_t count);
/* Copies the numbers into `series`, which kvtel_collect() would fill otherwise. Series without a layout are left as
 * they are if they have bins. The memory of bins comes from `arena`. False: no memory. */
bool kvtel_source_give(const struct kvtel_source *source, struct kvtel_arena *arena, struct kvtel_collected *series,
                       uint32_t count);
/* The same without copies: bins and buckets stay the source's, which may not be refreshed while they are read. */
void kvtel_source_lend(const struct kvtel_source *source, struct kvtel_collected *series, uint32_t count);
void kvtel_source_free(struct kvtel_source *source);

#endif
