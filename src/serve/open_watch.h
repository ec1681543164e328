/* SPDX-License-Identifier: Apache-2.0 */
/* The open transfers of all live stores: how many there are, their bytes and the oldest, and which of them stall. The
 * numbers stand in a store of the exporter's own, on its heap. The exporter's lock is held in each call. */
#ifndef KVTEL_SERVE_OPEN_WATCH_H
#define KVTEL_SERVE_OPEN_WATCH_H

#include "collect/open.h"
#include "report/summary_json.h"
#include "serve/open_rows.h"
#include "serve/store_dir.h"

/* Start from {0}. */
struct open_watch {
    struct serve_log *log;
    uint64_t stalled_ns; /* a transfer stalls when it is open for so long; 0: none does */
    struct open_rows rows;
    uint64_t owners; /* stores that had places of open transfers so far; each has a number */
    uint64_t *live;  /* numbers of those that are live, for one look */
    size_t live_room;
    bool said_full;
    struct kvtel_open_list list;
    struct summary_open oldest[SUMMARY_OPEN];
    size_t oldest_count, said;
    struct summary_open_peers peers;
};

void open_watch_close(struct open_watch *watch);
/* Reads the open transfers of all live stores. A store that cannot be read now is left out. */
void open_watch_look(struct open_watch *watch, struct store_dir *dir);
/* Lists the rows for the summary, at most `limit`; texts are borrowed until the next look. Returns their number. */
size_t open_watch_list(const struct open_watch *watch, struct summary_open_row *rows, size_t limit);

#endif
