/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of one store as of the last time that all of it could be read. */
#ifndef KVTEL_COLLECT_KEPT_H
#define KVTEL_COLLECT_KEPT_H

#include "collect/collect.h"

/* Single owner. Start from {0}, which holds nothing. */
struct kvtel_kept {
    bool valid;
    uint32_t count;                 /* of series */
    struct kvtel_collected *series; /* without layouts; bins are in `bins` */
    uint64_t *bins;
    uint32_t series_room;
    size_t bins_room; /* words */
};

/* Takes a copy. Without memory what was kept before stays. */
void kvtel_kept_take(struct kvtel_kept *kept, const struct kvtel_collected *series, uint32_t count);
/* The copy again, into series that kvtel_collect() would fill. `arena` holds the bins. False without memory. */
bool kvtel_kept_give(const struct kvtel_kept *kept, struct kvtel_arena *arena, struct kvtel_collected *series,
                     uint32_t count);
void kvtel_kept_free(struct kvtel_kept *kept);

#endif
