/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of open transfers by label set, in a store of the exporter's own, on its heap. Their number is bounded:
 * transfers of further label sets are counted together under the labels "other". A row goes some minutes after the last
 * store that had such transfers ended. The exporter's lock is held in each call. */
#ifndef KVTEL_SERVE_OPEN_ROWS_H
#define KVTEL_SERVE_OPEN_ROWS_H

#include "base/index.h"

#include <kvtel/store.h>

enum { OPEN_LABELS = 5, OPEN_ROWS_MOST = 4096, OPEN_FAMILIES = 4, OPEN_ROW_OWNERS = 16 };
/* How long a row stays after its store ended, in ns: its last numbers are scraped. */
#define OPEN_ROW_KEPT_NS UINT64_C(300000000000)

/* Transfers of one model, engine, connector and operation, and of one rank where ranks are kept apart. */
struct open_row {
    char *labels; /* of OPEN_LABELS values, a NUL behind each */
    uint32_t hash;
    uint32_t series[OPEN_FAMILIES]; /* UINT32_MAX: there is no room for it */
    uint64_t open, stalled_now;
    double bytes, oldest_seconds;
    uint64_t stalled; /* since the row was made */
    uint64_t started; /* CLOCK_REALTIME in ns: when the row was made */
    /* Numbers of the stores that had such transfers last, in a ring: several ranks share a label set. */
    uint64_t owners[OPEN_ROW_OWNERS];
    size_t owner_count;
    uint64_t ended_ns; /* CLOCK_MONOTONIC: when these stores were first found ended; 0: one is live */
};

/* Start from {0}. */
struct open_rows {
    bool by_rank;
    struct kvtel_store *store; /* NULL: there was no open transfer so far, or no memory */
    struct kvtel_lane *lane;
    uint32_t families[OPEN_FAMILIES];
    struct open_row *rows;
    size_t count, room;
    struct kvtel_index index;
    bool renewed; /* the store is another one than before; the caller sets it to false */
    bool full;    /* transfers were counted under "other" */
};

void open_rows_close(struct open_rows *rows);
/* Begins a new look: nothing is open. */
void open_rows_begin(struct open_rows *rows);
/* Finds or makes the row of the labels, or that of "other". `owner`: the number of the store. NULL: no memory. */
struct open_row *open_rows_get(struct open_rows *rows, const char *const values[OPEN_LABELS], uint64_t owner);
/* Ends a look: removes the rows whose store ended long ago, and writes the numbers into the store. `live`: the numbers
 * of the live stores, ascending. */
void open_rows_end(struct open_rows *rows, const uint64_t *live, size_t live_count, uint64_t now_ns);
/* Splits the labels of a row. The texts are the row's. */
void open_row_values(const struct open_row *row, const char *values[OPEN_LABELS]);

#endif
