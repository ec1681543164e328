/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of one store at the last time when all of it could be read. */
#ifndef KVTEL_COLLECT_KEPT_H
#define KVTEL_COLLECT_KEPT_H

#include "collect/collect.h"

/* Single owner. Start from {0}: nothing is kept. */
struct kvtel_kept {
    bool valid;
    uint32_t count;                 /* number of series */
    struct kvtel_collected *series; /* without layouts; bins are in `bins` */
    uint64_t *bins;
    uint32_t series_room;
    size_t bins_room; /* words */
};

/* Replaces the kept numbers by a copy of `series`. Without memory the former numbers stay. */
void kvtel_kept_take(struct kvtel_kept *kept, const struct kvtel_collected *series, uint32_t count);
/* Copies the kept numbers into `series`, which kvtel_collect() would fill otherwise. The memory of bins comes from
 * `arena`. False: no memory. */
bool kvtel_kept_give(const struct kvtel_kept *kept, struct kvtel_arena *arena, struct kvtel_collected *series,
                     uint32_t count);
void kvtel_kept_free(struct kvtel_kept *kept);

#endif
