/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a group of rows in one lane of a store. */
#ifndef KVTEL_COLLECT_GROUP_H
#define KVTEL_COLLECT_GROUP_H

#include "collect/collect.h"

/* Makes room in the scratch memory for rows and bins of any group of the view. False: no memory. */
bool kvtel_collect_reserve(const struct kvtel_view *view, const struct kvtel_collected *series,
                           struct kvtel_scratch *scratch);
/* Adds the rows of a group in a lane to the series that they feed. `slots`: copies of all slots of the lane. `heads`
 * and `sums` return how far the lane was read, if they are not NULL: one for each group, and one for each series.
 * KVTEL_OK; KVTEL_E_FORMAT: words contradict each other, and nothing is added; KVTEL_E_NOMEM; KVTEL_E_LIMIT; any
 * status of view->read. */
enum kvtel_status kvtel_collect_group(const struct kvtel_view *view, const struct kvtel_layout_group *group,
                                      uint32_t lane, const uint64_t *slots, struct kvtel_arena *arena,
                                      struct kvtel_scratch *scratch, struct kvtel_collected *series, uint64_t *heads,
                                      struct kvtel_lane_sum *sums);

#endif
