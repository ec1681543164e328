/* SPDX-License-Identifier: Apache-2.0 */
/* Engines that have no entry of their own, summed for each connector. One thread. */
#ifndef KVTEL_HISTORY_REST_H
#define KVTEL_HISTORY_REST_H

#include "history/layout.h"
#include "report/snapshot_summary.h"

/* Start from {0}. */
struct history_rests {
    struct kvtel_engine_summary all[HISTORY_RESTS]; /* one for each connector, without model and engine */
    size_t count;
    struct kvtel_arena arena;
};

/* Adds an entry's counts to those of its connector. Flows, classes of failures and connectors that are too many are
 * left out, as the history leaves them out. `entry` is borrowed until free(). KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status history_rests_add(struct history_rests *rests, const struct kvtel_engine_summary *entry);
void history_rests_free(struct history_rests *rests);

#endif
