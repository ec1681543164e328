/* SPDX-License-Identifier: Apache-2.0 */
/* All of one connector in one engine. */
#ifndef KVTEL_TOP_DETAIL_H
#define KVTEL_TOP_DETAIL_H

#include "top/view.h"

/* Puts the lines for the entry of a row; the row's flow comes first. */
void top_detail_put(struct top_page *page, const struct top_history *history, const struct top_row *row);

#endif
