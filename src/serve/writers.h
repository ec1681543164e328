/* SPDX-License-Identifier: Apache-2.0 */
/* Who records: each engine's writers, whether they live, when they were last seen, how often they began again. */
#ifndef KVTEL_SERVE_WRITERS_H
#define KVTEL_SERVE_WRITERS_H

#include "serve/log.h"

#include <kvtel/store.h>

/* Of one connector, model, engine and rank, since the exporter started. */
struct writer {
    char connector[128], model_name[512];
    uint32_t engine, rank;
    uint64_t pid;          /* of the one that began last */
    uint32_t live;         /* that run now */
    uint64_t restarts;     /* that began after another had ended */
    uint64_t unclosed;     /* that ended without closing their store: killed, or crashed */
    uint64_t last_seen_ns; /* when the last one was found to have ended, CLOCK_MONOTONIC; 0: none did */
    uint64_t vacant;       /* ended, and none began in its place yet */
};

/* Past this many, those that ended longest ago are forgotten. */
enum { WRITERS = 1024 };

struct writers {
    struct serve_log *log;
    struct writer *all; /* in the order in which they came */
    size_t count;
    uint64_t unclosed; /* of all */
};

/* A store appeared, or its writer was found to have ended; each is called once for a store. Without memory nothing
 * happens. */
void writers_began(struct writers *writers, const struct kvtel_store_info *info);
/* `closed`: in order. Else a line says that it was not. */
void writers_ended(struct writers *writers, const struct kvtel_store_info *info, const char *store, bool closed,
                   uint64_t now_ns);
void writers_free(struct writers *writers);

#endif
