/* SPDX-License-Identifier: Apache-2.0 */
/* One column of a block, for a fold that takes columns one by one. */
#ifndef KVTEL_RECORD_COLUMN_H
#define KVTEL_RECORD_COLUMN_H

#include "record/cells.h"
#include "record/store.h"

/* What a block adds to a series. */
struct kvtel_addition {
    uint64_t count, integers;
    double doubles;
};

/* The words of a column that are values. */
struct kvtel_column {
    uint32_t count;
    bool no_integers, no_doubles; /* a 0 is both */
    bool ns;
    struct kvtel_addition sums;
    uint64_t words[KVTEL_BLOCK_ROWS];
};

/* Copies the values of column `number` of a full block. `noted`: the group's word KVTEL_SLOT_NOTED. */
void kvtel_column_take(struct kvtel_column *column, const struct kvtel_row_group *group, const kvtel_row_word *block,
                       uint32_t number, uint64_t noted);
/* Finds the cells of the column's values. */
void kvtel_column_find(struct kvtel_column *column, const struct kvtel_finder *finder, const struct kvtel_bins *bins,
                       struct kvtel_column_found *found);

#endif
