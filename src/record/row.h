/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the row of a point-to-point transfer: four integers as the caller gave them. */
#ifndef KVTEL_RECORD_ROW_H
#define KVTEL_RECORD_ROW_H

#include "record/lane.h"

/* False, and the caller takes the general path: a number is too large for an integer of a row, or a 0 means "not
 * measured". Nothing was written then. The numbers move one by one: a caller has filled the struct just before, and the
 * processor would not forward its stores to loads of two numbers at once. */
static inline bool kvtel_row_write(kvtel_word *row, const struct kvtel_transfer *transfer)
{
    const uint64_t duration = transfer->duration_ns, post = transfer->post_ns, bytes = transfer->bytes,
                   descriptors = transfer->descriptors;
    /* 0 - 1 is all ones */
    const uint64_t all = duration | post | bytes | descriptors | (post - 1) | (descriptors - 1);
    if (__builtin_expect(all >= KVTEL_INTEGER_LIMIT, 0))
        return false;
    kvtel_word_store(&row[0], duration);
    kvtel_word_store(&row[1], post);
    kvtel_word_store(&row[2], bytes);
    kvtel_word_store(&row[3], descriptors);
    return true;
}

#endif
