/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows of the history are shown, and in which order. */
#ifndef KVTEL_TOP_ROWS_H
#define KVTEL_TOP_ROWS_H

#include "top/view.h"

/* How rows are sorted. */
struct top_sort {
    const char *name;
    char key; /* that chooses it */
    const char *what;
    double (*value)(const struct top_row *row, bool whole); /* the largest first; NULL: as the summary orders them */
};
extern const struct top_sort top_sorts[];
extern const size_t top_sort_count;

/* Filters and sorts the rows anew. The chosen row stays chosen where it still is. */
void top_rows_arrange(struct top_view *view, const struct top_history *history);
/* Remembers the row that is chosen now. */
void top_rows_choose(struct top_view *view, const struct top_history *history, size_t place);
/* The chosen row, or NULL without rows. */
const struct top_row *top_rows_chosen(const struct top_view *view, const struct top_history *history);

#endif
