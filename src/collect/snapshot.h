/* SPDX-License-Identifier: Apache-2.0 */
/* Adding a view of any kind to a snapshot, at once or in three steps of which the second, kvtel_collect(), may run in
 * another thread. */
#ifndef KVTEL_COLLECT_SNAPSHOT_H
#define KVTEL_COLLECT_SNAPSHOT_H

#include <kvtel/snapshot.h>

#include "collect/collect.h"

/* As kvtel_snapshot_add(); also KVTEL_E_FORMAT, KVTEL_E_LIMIT and what view->read returns, with the snapshot unchanged.
 */
enum kvtel_status kvtel_snapshot_add_view(struct kvtel_snapshot *snapshot, const struct kvtel_view *view);

/* What is added. Valid until the snapshot is reset. */
struct kvtel_addition {
    const struct kvtel_view *view;
    uint32_t *places;                  /* of the view's series in the snapshot */
    struct kvtel_collected *collected; /* for kvtel_collect() */
    bool mismatch;
};
/* Finds or makes the places of all series. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_snapshot_begin(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition);
/* Puts what was collected beside what is shown, with all that can fail: KVTEL_E_NOMEM, KVTEL_E_LIMIT (amounts past
 * KVTEL_TOTAL_MAX). Nothing of it is shown before it is committed. */
enum kvtel_status kvtel_snapshot_prepare(struct kvtel_snapshot *snapshot, const struct kvtel_addition *addition);
/* Shows what was prepared. Cannot fail: KVTEL_OK, KVTEL_E_MISMATCH. */
enum kvtel_status kvtel_snapshot_commit(struct kvtel_snapshot *snapshot, const struct kvtel_addition *addition);
/* Forgets what was begun and prepared since the last commit. */
void kvtel_snapshot_take_back(struct kvtel_snapshot *snapshot);

/* Memory of a thread that collects; the snapshot's, kept from one round to the next. */
enum { KVTEL_WORKERS = 8 };
struct kvtel_worker {
    struct kvtel_arena arena;
    struct kvtel_scratch scratch;
};
struct kvtel_worker *kvtel_snapshot_worker(struct kvtel_snapshot *snapshot, size_t i);

#endif
