/* SPDX-License-Identifier: Apache-2.0 */
/* One point of the history: what grew in a stretch of time, as bytes.
 *
 * A point is a list of entries in ascending order, a list ends by 0, and all numbers are varints:
 *   entry     how much its number is above that of the entry before (the first: its number plus 1), flows, failures
 *   flow      in the same way its number, then transfers, bytes, failed, and three histograms
 *   failure   the same: the number of its class, and a count
 *   histogram a list of bins: the same again, and a count above 0 */
#ifndef KVTEL_HISTORY_POINT_H
#define KVTEL_HISTORY_POINT_H

#include <kvtel/buffer.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history/layout.h"

/* Bytes that are read from the front. */
struct history_bytes {
    const uint8_t *at, *end;
};

struct history_flow_growth {
    bool is_there;
    uint64_t transfers, bytes, failed;
    struct history_bytes bins[HISTORY_HISTOGRAMS];
};

/* What grew of one entry. It points into the bytes that it was read from. */
struct history_growth {
    struct history_flow_growth flows[HISTORY_FLOWS];
    uint64_t failures[HISTORY_CLASSES];
};

/* Reads a number. False: the bytes are damaged. */
bool history_take_number(struct history_bytes *bytes, uint64_t *number);
/* Reads the key of the next item of a list, at most `limit`. *key: that of the item before, 0 at first; becomes 0 at
 * the list's end. False: the bytes are damaged. */
bool history_take_key(struct history_bytes *bytes, uint64_t limit, uint64_t *key);
/* Reads what follows an entry's key. False: the bytes are damaged. */
bool history_take_growth(struct history_bytes *bytes, struct history_growth *growth);
/* Reads a bin. False: there is none left. Only for bins of a growth that was read. */
bool history_take_bin(struct history_bytes *bytes, uint64_t *bin, uint64_t *count);

/* Appends a number. After a failure, `*status` stays, and nothing is appended. */
void history_put_number(struct kvtel_buffer *buffer, enum kvtel_status *status, uint64_t number);
/* Appends the point of two points that follow each other. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status history_merge(struct history_bytes first, struct history_bytes second, struct kvtel_buffer *buffer);
/* The number of the bin in which values up to `bound` are; infinity is in the last one. */
uint32_t history_bin_of(double bound);
/* The upper bound of a bin, with six digits; infinite for the last one. */
double history_bin_bound(uint32_t bin);
/* The middle of a bin, with four digits. */
double history_bin_middle(uint32_t bin);

#endif
