/* SPDX-License-Identifier: Apache-2.0 */
/* A store as a reader sees it: checked tables, and lanes that are being written. The same for memory of this process
 * and for a file. */
#ifndef KVTEL_FORMAT_VIEW_H
#define KVTEL_FORMAT_VIEW_H

#include <kvtel/base.h>

#include "format/layout.h"

/* Records refer to each other and to text within bounds, text holds as many NULs as it should, words of a lane are
 * below its size.
 */
struct kvtel_view {
    const struct kvtel_layout_family *families;
    const double *bounds;
    const struct kvtel_layout_series *series;
    const struct kvtel_layout_group *groups;
    const struct kvtel_layout_feed *feeds;
    const char *strings;
    uint32_t family_count, series_count, group_count, lane_count;
    uint32_t slot_count; /* slots that series and groups have */
    bool earlier_boot;   /* its clock was another one: its gauges are older than any of this boot */
    /* Copies words of a lane, in no order among themselves, but none before what an earlier call copied. */
    enum kvtel_status (*read)(void *context, uint32_t lane, uint64_t word, size_t count, uint64_t *copy);
    /* Whether a lane is all 0, where that can be told without reading it; NULL: it cannot. */
    bool (*is_empty)(void *context, uint32_t lane);
    void *context;
    uint64_t most_words; /* that can be read of its lanes before it is refused, for a file that nobody vouches for; 0:
                            any number */
};

#endif
