/* SPDX-License-Identifier: Apache-2.0 */
/* The table of peers. */
#ifndef KVTEL_TOP_PEERS_H
#define KVTEL_TOP_PEERS_H

#include "top/view.h"

/* How peers are sorted. */
struct top_peer_sort {
    const char *name;
    char key; /* that chooses it */
    const char *what;
    double (*value)(const struct top_peer_row *row); /* the largest first; NULL: by name */
};
extern const struct top_peer_sort top_peer_sorts[];
extern const size_t top_peer_sort_count;
/* The index of the sort that a view begins with: as the summary orders peers. */
enum { TOP_PEER_SORT_FIRST = 5 };

/* Puts the line of the columns' names. */
void top_peers_head(struct top_page *page);
/* Puts a line for each peer that passes the filter, sorted, or one that says why there is none. */
void top_peers_put(struct top_page *page, const struct top_history *history, const struct top_choice *choice);

#endif
