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

/* The order of two numbers: the larger first, or last if `reverse`; what is not known (NaN) last. 0: they are equal. */
int top_rows_compare(double left, double right, bool reverse);
/* Filters and sorts the rows anew. The chosen row stays chosen where it still is. False: no memory, and no row. */
bool top_rows_arrange(struct top_view *view, const struct top_history *history);
/* Remembers the row that is chosen now. */
void top_rows_choose(struct top_view *view, const struct top_history *history, size_t place);
/* The chosen row, or NULL without rows. */
const struct top_row *top_rows_chosen(const struct top_view *view, const struct top_history *history);

#endif
