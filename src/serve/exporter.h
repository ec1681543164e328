/* SPDX-License-Identifier: Apache-2.0 */
/* What is exported, from all sources, and the HTTP handlers that show it. */
#ifndef KVTEL_SERVE_EXPORTER_H
#define KVTEL_SERVE_EXPORTER_H

#include "serve/web/http.h"
#include "serve/log.h"
#include "serve/metric_set.h"
#include "serve/receiver.h"
#include "serve/store_dir.h"
#include "nixl/rings.h"
#include "collect/relabel.h"

#include <kvtel/log_line.h>

struct exporter_options {
    const char *store_dir;  /* NULL: no stores */
    bool default_store_dir; /* nobody named the directory: it must be this user's alone */
    size_t stores_open;     /* descriptors that may be kept for stores; 0: any number */
    size_t rings_open;      /* and for rings; 0: 256 */
    bool rank_label;        /* keeps ranks of an engine apart */
    size_t totals_limit;    /* label sets of a family kept of ended stores */
    const char *nixl_dir;   /* NULL: no rings */
    bool nixl_agent_label;
    bool stats_receiver;
    const char *prefix; /* in place of "vllm:" */
    bool own_metrics;
};

struct exporter {
    struct exporter_options options;
    struct serve_log *log;
    pthread_mutex_t lock; /* of all that follows */
    struct store_dir stores;
    struct kvtel_store *own; /* what rings and the receiver count; a file among the stores where there is a directory */
    bool own_cut;            /* somebody cut its file: nothing more is counted in it */
    off_t own_size;
    struct kvtel_relabel own_rank; /* of the own store when it is no file */
    struct kvtel_nixl_rings *rings;
    struct kvtel_diagnostics *diagnostics; /* of the receiver */
    struct receiver *receiver;
    uint64_t posted, posted_ns; /* payloads by the last poll; when the last one that saw new ones was, 0: none did */
    struct metric_set self;
    struct kvtel_snapshot *snapshot; /* of the scrape that runs */
    /* What takes longer than collecting is made from snapshots of its own, without the lock, so that no scrape waits
     * for it. */
    pthread_mutex_t summary_lock;      /* of the next one */
    struct kvtel_snapshot *summarised; /* of the summary that runs */
    struct kvtel_snapshot *logged;     /* as of the last log line; the main thread's */
    struct kvtel_snapshot *newest;     /* of the log line that is made; the main thread's */
    struct kvtel_buffer good;          /* the page of the last scrape that could read all */
    uint64_t scrapes, failed_scrapes, repeated_scrapes;
    double scrape_seconds;
    enum kvtel_status collected; /* how the last collection of all sources ended */
    uint64_t started_ns;
};

/* `error` says why not. Opens the sources. */
enum kvtel_status exporter_open(struct exporter *exporter, const struct exporter_options *options,
                                struct serve_log *log, struct kvtel_error *error);
void exporter_close(struct exporter *exporter);
/* File descriptor to wait on beside the clock; -1: none. */
int exporter_event_fd(const struct exporter *exporter);
/* Looks after the sources. @return ns until it wants to be called again */
uint64_t exporter_poll(struct exporter *exporter, uint64_t now_ns);
/* Has the sources look at everything in the next poll, also where nothing seems to have changed. */
void exporter_look(struct exporter *exporter);

/* Whether all sources could be collected the last time: KVTEL_OK, or why not. Any thread. */
enum kvtel_status exporter_state(struct exporter *exporter);

/* All sources at this moment. The lock is held. */
enum kvtel_status exporter_collect(struct exporter *exporter, struct kvtel_snapshot *snapshot);
/* Whether it is the exporter's own store, a file among the others. */
bool exporter_is_own(const struct exporter *exporter, const struct store_entry *entry);

/* HTTP handlers; the context is the exporter. */
void exporter_metrics(void *context, const struct http_request *request, struct http_response *response);
void exporter_summary(void *context, const struct http_request *request, struct http_response *response);

/* Gives the lines of the interval since the last call to `sink`. */
void exporter_log_interval(struct exporter *exporter, enum kvtel_log_style style, double seconds, kvtel_log_fn sink,
                           void *context);

#endif
