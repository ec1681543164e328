/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of this process that are added to a snapshot time and again: from the third time on only what moved is read.
 *
 * The first time a store is read into the snapshot itself, as most snapshots are taken once. The second time it is read
 * into a source, which the snapshot keeps. Series point to the source's bins until the next reset, and the source is
 * refreshed behind a reset only. */
#include "collect/snapshot_state.h"
#include "record/store.h"

/* Adds the numbers of a source without copies, or with those of series that others feed, too. */
static enum kvtel_status add_kept(struct kvtel_snapshot *snapshot, const struct kvtel_view *view,
                                  const struct kvtel_source *source)
{
    struct kvtel_addition addition = { .view = view };
    enum kvtel_status status = kvtel_snapshot_begin(snapshot, &addition);
    if (status == KVTEL_OK) {
        kvtel_source_lend(source, addition.collected, view->series_count);
        status = source->whole ? KVTEL_OK : KVTEL_E_MISMATCH;
    }
    return kvtel_snapshot_finish(snapshot, &addition, status);
}

enum kvtel_status kvtel_snapshot_add(struct kvtel_snapshot *snapshot, const struct kvtel_store *store)
{
    const struct kvtel_view view = kvtel_store_view(store);
    const uint64_t token = *store->token; /* 0: a parent's */
    struct kvtel_kept *kept = &snapshot->kept;
    if (token == 0)
        return kvtel_snapshot_add_view(snapshot, &view);
    if (kept->round == 0)
        kept->round = 1;
    struct kvtel_kept_store *known = kvtel_kept_store(kept, store, token);
    if (!known)
        return KVTEL_E_NOMEM;
    const uint64_t last = known->round;
    known->round = kept->round;
    if (last == 0 || last == kept->round)
        return kvtel_snapshot_add_view(snapshot, &view);
    kept->taken |= !known->source.valid;
    const enum kvtel_status status = kvtel_source_refresh(&known->source, &view, &snapshot->workers.each[0]);
    if (status == KVTEL_OK || status == KVTEL_E_MISMATCH)
        return add_kept(snapshot, &view, &known->source);
    if (status == KVTEL_E_NOMEM)
        return status;
    kvtel_source_free(&known->source); /* what it found contradicts what it knew */
    return kvtel_snapshot_add_view(snapshot, &view);
}
