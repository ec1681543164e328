/* SPDX-License-Identifier: Apache-2.0 */
/* A store as a reader sees it: checked tables, and lanes that may be written at the same time. The same struct
 * describes a store in this process and a store in a file. */
#ifndef KVTEL_FORMAT_VIEW_H
#define KVTEL_FORMAT_VIEW_H

#include <kvtel/base.h>

#include "format/layout.h"

/* A view's tables were checked: references between records and to text are within bounds, a text contains the
 * expected number of NULs, and a lane's words are below its size. Borrowed from the store or the reader that made
 * the view. */
struct kvtel_view {
    const struct kvtel_layout_family *families;
    const double *bounds;
    const struct kvtel_layout_series *series;
    const struct kvtel_layout_group *groups;
    const struct kvtel_layout_feed *feeds;
    const char *strings;
    uint32_t family_count, series_count, group_count, lane_count;
    uint32_t slot_count;    /* slots in use by series and groups */
    uint64_t removed_count; /* series of it that were removed, at least */
    bool earlier_boot;      /* written before the machine's last boot: its gauges are older than any of this boot */
    /* Copies words of a lane. The words of one call are copied in any order, but after all words of earlier calls. */
    enum kvtel_status (*read)(void *context, uint32_t lane, uint64_t word, size_t count, uint64_t *copy);
    /* Whether all words of a lane are 0, if the store can tell without reading them. NULL: it cannot. */
    bool (*is_empty)(void *context, uint32_t lane);
    /* Copies the lines of `count` lanes from `first` on, likewise. */
    enum kvtel_status (*read_lines)(void *context, uint32_t first, uint32_t count, uint64_t *copy);
    /* Copies what open transfers have in common. */
    enum kvtel_status (*read_open)(void *context, struct kvtel_layout_open *copy);
    void *context;
    /* Places of open transfers in each lane, and the word where they begin. */
    uint64_t open_at;
    uint32_t open_count;
    bool ended;    /* its writer has ended: what is open now stays so */
    bool in_order; /* and it said so */
    /* Number of words that may be read of its lanes before reading is refused. For a file from an untrusted source;
     * 0: unlimited. */
    uint64_t most_words;
};

#endif
