/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the row of a point-to-point transfer: four integers as the caller gave them. */
#ifndef KVTEL_RECORD_ROW_H
#define KVTEL_RECORD_ROW_H

#include "record/lane.h"

/* False, and the caller takes the general path: a number is too large for an integer of a row, or a 0 means "not
 * measured". The row holds anything then; nobody reads it before its head is published. The numbers move one by one: a
 * caller has filled the struct just before, and the processor would not forward its stores to loads of two numbers at
 * once. They are stored before they are looked at, so that few registers are needed. */
static inline bool kvtel_row_write(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    uint64_t number = transfer->duration_ns, all = number;
    kvtel_word_store(&row[0], number);
    number = transfer->bytes;
    kvtel_word_store(&row[2], number);
    all |= number;
    number = transfer->post_ns;
    kvtel_word_store(&row[1], number);
    all |= number | (number - 1); /* 0 - 1 is all ones */
    number = transfer->descriptors;
    kvtel_word_store(&row[3], number);
    all |= number | (number - 1);
    return __builtin_expect(all < KVTEL_INTEGER_LIMIT, 1);
}

#endif
