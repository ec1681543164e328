/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that follows its sources: families and series stay from one time to the next, and what changed is summed
 * again. */
#ifndef KVTEL_COLLECT_CATALOG_H
#define KVTEL_COLLECT_CATALOG_H

#include "collect/snapshot.h"

/* A source that a snapshot follows. */
struct kvtel_followed {
    const struct kvtel_source *source;
    struct kvtel_view view; /* its tables; lanes are not read */
    /* Out. KVTEL_OK; KVTEL_E_MISMATCH: families that do not match are left out; KVTEL_E_LIMIT: the source is left out,
     * as its amounts cannot be added to the others'. */
    enum kvtel_status status;
};

/* Brings the snapshot to the numbers of these sources: afterwards it is as if it was reset and each was added, in this
 * order. While the sources and their tables are those of the last call, only series whose numbers changed are touched,
 * and nothing is allocated unless a histogram covers new bins. All histograms are touched once when sums for native
 * buckets are first asked for, and when nobody asks any more.
 * @return KVTEL_OK; KVTEL_E_NOMEM: the snapshot is empty */
enum kvtel_status kvtel_snapshot_follow(struct kvtel_snapshot *snapshot, struct kvtel_followed *sources, size_t count);

/* Lets the snapshot point to the bins of a source instead of copying them, where a series is that source's alone. From
 * then on it may be read only between kvtel_snapshot_follow() and the next refresh or end of a source. To be called
 * before the first kvtel_snapshot_follow(). */
void kvtel_snapshot_borrow(struct kvtel_snapshot *snapshot);

/* A number that goes up when families or series appear, leave or change places. */
uint64_t kvtel_snapshot_structure(const struct kvtel_snapshot *snapshot);
/* A number that goes up when numbers changed: a series changed since state n if its `changed` is above n. */
uint64_t kvtel_snapshot_state(const struct kvtel_snapshot *snapshot);

#endif
