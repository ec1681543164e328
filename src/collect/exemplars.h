/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars of a histogram: the last one that was left at each explicit bucket; of many lanes and stores the newest. */
#ifndef KVTEL_COLLECT_EXEMPLARS_H
#define KVTEL_COLLECT_EXEMPLARS_H

#include "base/arena.h"
#include "base/exemplar_text.h"
#include "format/view.h"

struct kvtel_scratch;
struct kvtel_collected;

struct kvtel_snapshot_exemplar {
    uint64_t time_ns; /* CLOCK_REALTIME; 0: there is none */
    double value;
    uint32_t text_size;
    char text[KVTEL_EXEMPLAR_BYTES]; /* label names and values by turns, a NUL behind each; UTF-8 */
};

/* Takes over those that are newer. */
void kvtel_exemplars_merge(struct kvtel_snapshot_exemplar *into, const struct kvtel_snapshot_exemplar *more,
                           uint32_t count);
/* Takes over all that there are and are not older. Returns whether any differs from what was there. */
bool kvtel_exemplars_replace(struct kvtel_snapshot_exemplar *into, const struct kvtel_snapshot_exemplar *more,
                             uint32_t count);

/* Reads the exemplars of a series in one lane. What no writer leaves behind is passed over.
 * KVTEL_OK; KVTEL_E_NOMEM; KVTEL_E_LIMIT; any status of view->read. */
enum kvtel_status kvtel_collect_exemplars(const struct kvtel_view *view, uint32_t series, uint32_t lane,
                                          struct kvtel_arena *arena, struct kvtel_scratch *scratch,
                                          struct kvtel_collected *collected);

#endif
