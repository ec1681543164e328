/* SPDX-License-Identifier: Apache-2.0 */
/* Adding a view of any kind to a snapshot: at once, or in the steps begin, kvtel_collect(), finish. */
#ifndef KVTEL_COLLECT_SNAPSHOT_H
#define KVTEL_COLLECT_SNAPSHOT_H

#include <kvtel/snapshot.h>

#include "collect/source.h"

/* Like kvtel_snapshot_add(). Also returns KVTEL_E_FORMAT, KVTEL_E_LIMIT and any status of view->read, with the
 * snapshot unchanged. */
enum kvtel_status kvtel_snapshot_add_view(struct kvtel_snapshot *snapshot, const struct kvtel_view *view);
/* The same with the numbers of a source, of which `view` has the tables. Nothing is read. */
enum kvtel_status kvtel_snapshot_add_source(struct kvtel_snapshot *snapshot, const struct kvtel_view *view,
                                            const struct kvtel_source *source);

/* Whether all families of a view can join the snapshot: KVTEL_OK, KVTEL_E_MISMATCH, KVTEL_E_NOMEM. Shows nothing. */
enum kvtel_status kvtel_snapshot_takes(struct kvtel_snapshot *snapshot, const struct kvtel_view *view);

/* One addition. Valid until the snapshot is reset. */
struct kvtel_addition {
    const struct kvtel_view *view;
    uint32_t *places;                  /* for each series of the view: its place in the snapshot */
    struct kvtel_collected *collected; /* for kvtel_collect() */
    bool mismatch;
};
/* Finds or makes the places of all series in the view. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_snapshot_begin(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition);
/* Adds the collected values to the snapshot's, or drops what was begun. `status`: of the beginning and the collecting.
 * KVTEL_OK; KVTEL_E_MISMATCH: some families did not match, or were not collected, and are left out; otherwise nothing
 * was added: KVTEL_E_NOMEM, KVTEL_E_LIMIT (amounts above KVTEL_TOTAL_MAX), `status`. */
enum kvtel_status kvtel_snapshot_finish(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition,
                                        enum kvtel_status status);

/* As kvtel_snapshot_reset(), and gives the memory of texts and numbers back. */
void kvtel_snapshot_trim(struct kvtel_snapshot *snapshot);

/* Says that native buckets are made of the snapshot, so that it keeps sums for them, see kvtel_workers_ask_parts(). Any
 * thread. */
void kvtel_snapshot_ask_parts(const struct kvtel_snapshot *snapshot);
/* Memory for reading sources, which the snapshot keeps from one round to the next. */
struct kvtel_workers *kvtel_snapshot_workers(struct kvtel_snapshot *snapshot);
/* Memory that is given back when the snapshot is reset. */
struct kvtel_arena *kvtel_snapshot_arena(struct kvtel_snapshot *snapshot);

#endif
