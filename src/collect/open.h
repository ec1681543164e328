/* SPDX-License-Identifier: Apache-2.0 */
/* The open transfers of a store: those that are, and what became of them when their writer ended. */
#ifndef KVTEL_COLLECT_OPEN_H
#define KVTEL_COLLECT_OPEN_H

#include "collect/collect.h"
#include "format/view.h"

/* A transfer that was begun and did not end. */
struct kvtel_open_transfer {
    uint64_t began_ns; /* CLOCK_MONOTONIC */
    uint64_t bytes;    /* KVTEL_OPEN_NO_BYTES: not known */
    uint64_t state;    /* together with lane and place: no other transfer of the store has them */
    uint32_t lane, place;
    uint32_t series;                   /* of the outcome "lost": it has the transfer's labels */
    char peer[KVTEL_LAYOUT_PEER_SIZE]; /* printable UTF-8; "other": not among the first names; "": not known */
};
#define KVTEL_OPEN_NO_BYTES UINT64_MAX

/* Memory that is kept from one use to the next. Start from {0}. */
struct kvtel_open_list {
    struct kvtel_open_transfer *all;
    size_t count, room;
};
void kvtel_open_list_free(struct kvtel_open_list *list);

/* Lists the transfers that are open now, of a store whose writer goes on. What contradicts itself is left out.
 * KVTEL_OK; KVTEL_E_LIMIT: more words than view->most_words would have to be read; KVTEL_E_NOMEM; any status that
 * view->read returns. On failure the list is empty. */
enum kvtel_status kvtel_open_read(const struct kvtel_view *view, struct kvtel_open_list *list);
/* The value of a label of the transfer's series, or "". Borrowed from the view. */
const char *kvtel_open_label(const struct kvtel_view *view, const struct kvtel_open_transfer *transfer,
                             const char *name);
/* Adds what was open when the writer ended to the counters of outcomes. `wanted`: of each series: 1 if it is read;
 * NULL: all are. Statuses as above. */
enum kvtel_status kvtel_open_add_lost(const struct kvtel_view *view, const uint8_t *wanted,
                                      struct kvtel_collected *series);

#endif
