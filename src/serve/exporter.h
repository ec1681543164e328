/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter: its sources, and the HTTP handlers that show them. */
#ifndef KVTEL_SERVE_EXPORTER_H
#define KVTEL_SERVE_EXPORTER_H

#include "serve/web/http.h"
#include "serve/heap_source.h"
#include "serve/log.h"
#include "serve/metric_set.h"
#include "serve/open_watch.h"
#include "serve/receiver.h"
#include "serve/store_dir.h"
#include "nixl/rings.h"
#include "exposition/exposition.h"
#include "history/history.h"
#include "otlp/push.h"
#include "serve/packed_page.h"
#include "totals/relabel.h"

#include <kvtel/log_line.h>

struct exporter_options {
    const char *store_dir;  /* NULL: no stores */
    bool default_store_dir; /* the directory was not named by the operator: it must belong to this user alone */
    size_t stores_open;     /* limit of descriptors kept open for stores; 0: none */
    size_t rings_open;      /* limit of descriptors kept open for rings; 0: 256 */
    bool rank_label;        /* gives each rank of an engine series of its own */
    size_t totals_limit;    /* limit of label sets of a family in the totals of ended stores */
    const char *nixl_dir;   /* NULL: no rings */
    bool nixl_agent_label;
    bool nixl_peer_label; /* shows the families by peer of NIXL's plug-in */
    bool stats_receiver;
    uint64_t stalled_ns;    /* a transfer stalls when it is open for so long; 0: none does */
    double history_seconds; /* how much of the past is kept; 0: none */
    const char *prefix;     /* in place of "vllm:" */
    bool own_metrics;
    struct kvtel_exposition_options exposition; /* the format is the client's */
};

struct exporter {
    struct exporter_options options;
    struct serve_log *log;
    pthread_mutex_t lock; /* guards all members below */
    struct store_dir stores;
    /* The store in which rings and the receiver count. With a directory of stores it is one of its files. */
    struct kvtel_store *own;
    bool own_wanted;     /* its file is lost, and no new one could be begun yet */
    bool said_taken;     /* that --metrics.prefix leads to a name that is taken */
    bool receiver_waits; /* for a new own store */
    uint64_t own_renewed;
    off_t own_size;
    struct kvtel_relabel own_rank; /* rank label of the own store when it is not in a file */
    struct kvtel_nixl_rings *rings;
    struct kvtel_diagnostics *diagnostics; /* of the receiver */
    struct receiver *receiver;
    uint64_t posted, posted_ns; /* payloads at the last poll; time of the last poll that saw new ones, 0: none did */
    struct metric_set self;
    struct open_watch open;
    struct heap_source own_source, self_source; /* of `own`, where it is not in a file, and of `self` */
    struct heap_source open_source;
    struct kvtel_workers workers;    /* memory for reading */
    struct kvtel_followed *followed; /* the sources of the running collection */
    size_t followed_room;
    struct kvtel_snapshot *snapshot; /* what scrapes, pushes, summaries and log lines show: it points to the sources */
    struct kvtel_page page;          /* what it looks like */
    struct packed_page packed;       /* the same as gzip */
    struct kvtel_snapshot *logged;   /* a copy: how the numbers were at the last log line; for the main thread only */
    bool logs;                       /* `logged` could be copied: without memory the next interval has no line */
    bool any_good;                   /* `snapshot` has what the last scrape showed that could read all sources */
    _Atomic uint64_t refused_posts;  /* that a web page could have sent; the only member without the lock */
    uint64_t scrapes, failed_scrapes, repeated_scrapes;
    double scrape_seconds;
    double scraped_at; /* CLOCK_REALTIME, seconds: the last scrape by another program than kvtel; 0: none */
    const struct otlp_settings *otlp; /* of the push */
    struct otlp_push *push;           /* NULL: nothing is pushed */
    enum kvtel_status collected;      /* result of the last collection of all sources */
    uint64_t started_ns;
    struct history *history;                   /* NULL: none is kept. It has a lock of its own */
    uint64_t history_due_ns, history_saved_ns; /* of its next point; of its file's last writing. Main thread */
    bool history_unsaved;                      /* it was logged that its file cannot be written. Main thread */
};

/* Opens the sources. On failure `error` says why, and nothing is left to close. */
enum kvtel_status exporter_open(struct exporter *exporter, const struct exporter_options *options,
                                struct serve_log *log, struct kvtel_error *error);
void exporter_close(struct exporter *exporter);
/* A file descriptor to poll besides the clock; -1: none. */
int exporter_event_fd(const struct exporter *exporter);
/* Updates the sources. Main thread. @return ns until the next call is due */
uint64_t exporter_poll(struct exporter *exporter, uint64_t now_ns);
/* Makes the next poll examine everything, even what does not seem to have changed. */
void exporter_look(struct exporter *exporter);

/* The result of the last collection of all sources: KVTEL_OK, or why it failed. Any thread. */
enum kvtel_status exporter_state(struct exporter *exporter);

/* Brings exporter->snapshot up to date, the exporter's own metrics included. *again: the sources cannot be read, so it
 * stays as the last time left it. The lock is held. */
enum kvtel_status exporter_collect_all(struct exporter *exporter, bool *again);
/* The same for what cannot use numbers of the last time: then it fails. The lock is held. */
enum kvtel_status exporter_collect_now(struct exporter *exporter);
/* Whether the entry is the exporter's own store. */
bool exporter_is_own(const struct exporter *exporter, const struct store_entry *entry);

/* HTTP handlers. `context` is the exporter. Any thread. */
void exporter_metrics(void *context, const struct http_request *request, struct http_response *response);
void exporter_summary(void *context, const struct http_request *request, struct http_response *response);

/* Passes the log lines of the interval since the last call to `sink`. Main thread. */
void exporter_log_interval(struct exporter *exporter, enum kvtel_log_style style, double seconds, kvtel_log_fn sink,
                           void *context);

#endif
