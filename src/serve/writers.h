/* SPDX-License-Identifier: Apache-2.0 */
/* The writers of each engine: whether they are alive, when they were last seen, how often they restarted. One thread
 * at a time. */
#ifndef KVTEL_SERVE_WRITERS_H
#define KVTEL_SERVE_WRITERS_H

#include "serve/log.h"

#include <kvtel/store.h>

/* Writers of one connector, model, engine and rank since the exporter started. */
struct writer {
    char connector[128], model_name[512];
    uint32_t engine, rank;
    uint64_t pid;          /* pid of the writer that began last */
    uint32_t live;         /* number that run now */
    uint64_t restarts;     /* number that began after another had ended */
    uint64_t unclosed;     /* number that ended without closing their store: killed, or crashed */
    uint64_t last_seen_ns; /* when the last one was found to have ended, CLOCK_MONOTONIC ns; 0: none did */
    uint64_t vacant;       /* number that ended without a successor yet */
};

/* Limit of rows. Above it, those whose writers ended longest ago are dropped. */
enum { WRITERS = 1024 };

struct writers {
    struct serve_log *log;
    struct writer *all; /* in the order of their first writer */
    size_t count;
    uint64_t unclosed; /* sum over all writers, also dropped ones */
};

/* To be called once for a store when it appears, and once when its writer was found to have ended. Without memory
 * nothing happens. */
void writers_began(struct writers *writers, const struct kvtel_store_info *info);
/* `closed`: the writer ended in order; if not, a line is logged. */
void writers_ended(struct writers *writers, const struct kvtel_store_info *info, const char *store, bool closed,
                   uint64_t now_ns);
void writers_free(struct writers *writers);

#endif
