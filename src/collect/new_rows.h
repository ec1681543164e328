/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that were written since a source's numbers were read. Where they are few, adding them costs much less than
 * reading all cells again. */
#ifndef KVTEL_COLLECT_NEW_ROWS_H
#define KVTEL_COLLECT_NEW_ROWS_H

#include "collect/source_series.h"

/* More rows than this are not read one by one. A writer overwrites the oldest of 256 rows, KVTEL_ROWS_AT_ONCE of them
 * before it stores the head; the others are so far from there that no processor moves a store to them ahead of the
 * stores to the head. */
enum { KVTEL_NEW_ROWS_MOST = 192 };
_Static_assert(KVTEL_NEW_ROWS_MOST + KVTEL_ROWS_AT_ONCE < KVTEL_BLOCK_ROWS, "rows that were read may be overwritten");

/* Rows of one group in one lane. */
struct kvtel_new_part {
    uint32_t lane, group;
    uint64_t from, to; /* rows from .. to - 1 */
    size_t at;         /* where the copies of their words begin */
};

/* Rows of a store. Memory is kept from one reading to the next. Start from {0}. */
struct kvtel_new_rows {
    struct kvtel_new_part *parts;
    size_t count, room;
    struct kvtel_slots words;
    size_t word_count;
    struct kvtel_slots lines; /* of all lanes, after the rows were copied */
};
void kvtel_new_rows_free(struct kvtel_new_rows *rows);

/* Notes rows. False: no memory. */
bool kvtel_new_rows_note(struct kvtel_new_rows *rows, const struct kvtel_view *view, const struct kvtel_new_part *part);

/* Copies the noted rows. A group whose rows cannot be added to the numbers, because they were overwritten or its sums
 * would not be those of a whole reading, is marked: `wanted` of the first series that it feeds becomes 1.
 * KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT, any status of view->read and view->read_lines. */
enum kvtel_status kvtel_new_rows_read(struct kvtel_new_rows *rows, const struct kvtel_view *view,
                                      struct kvtel_scratch *scratch, const struct kvtel_seen_rows *seen,
                                      uint8_t *wanted);

/* Makes room in the series for the rows of groups that are not wanted. `layouts`: of each family that is a histogram.
 * False: no memory, and no number has changed. */
bool kvtel_new_rows_reserve(const struct kvtel_new_rows *rows, const struct kvtel_view *view,
                            const struct kvtel_bins *const *layouts, const uint8_t *wanted,
                            struct kvtel_source_series *series);
/* Adds these rows. There must be room for them. Series that change get `state`. Returns whether any did. */
bool kvtel_new_rows_add(const struct kvtel_new_rows *rows, const struct kvtel_view *view,
                        const struct kvtel_bins *const *layouts, const uint8_t *wanted, uint64_t state,
                        struct kvtel_seen_rows *seen, struct kvtel_source_series *series);

#endif
