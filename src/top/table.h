/* SPDX-License-Identifier: Apache-2.0 */
/* The table of rows. */
#ifndef KVTEL_TOP_TABLE_H
#define KVTEL_TOP_TABLE_H

#include "top/view.h"

/* Puts the line of the columns' names. */
void top_table_head(struct top_page *page, bool whole);
/* Puts the line of one row. */
void top_table_row(struct top_page *page, const struct top_history *history, const struct top_row *row, bool is_chosen);

#endif
