/* SPDX-License-Identifier: Apache-2.0 */
/* The open transfers of the stores of this machine, as the summary lists them. One thread. */
#ifndef KVTEL_TOP_OPEN_LIST_H
#define KVTEL_TOP_OPEN_LIST_H

#include "collect/open.h"
#include "collect/reader.h"
#include "report/summary_json.h"

enum { TOP_OPEN_ROWS = 256 };

/* Start from {0}. */
struct top_open_list {
    struct kvtel_open_list list;
    struct summary_open_row rows[TOP_OPEN_ROWS]; /* those beyond are left out */
    size_t count;
    struct summary_open oldest[SUMMARY_OPEN]; /* the oldest first */
    size_t oldest_count;
    struct summary_open_peers peers;
};

/* Begins a new list. Rows of earlier lists stay, with nothing open. */
void top_open_begin(struct top_open_list *open);
/* Adds those of a live store. What cannot be read is left out. */
void top_open_add(struct top_open_list *open, struct kvtel_store_reader *reader);
void top_open_close(struct top_open_list *open);

#endif
