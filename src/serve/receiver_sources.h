/* SPDX-License-Identifier: Apache-2.0 */
/* The sources that posted recordings, and the last sequence number counted for each. These are stored in two
 * families of a store, beside the counts. So a process that takes over the store, or totals made from it, continues
 * where this one stopped. */
#ifndef KVTEL_SERVE_RECEIVER_SOURCES_H
#define KVTEL_SERVE_RECEIVER_SOURCES_H

#include <kvtel/prom.h>
#include <kvtel/snapshot.h>

/* Prefix of the families' names. The exposition leaves these families out. */
#define RECEIVER_FAMILIES "kvtel_receiver_"

/* Limit of sources. When it is reached, the source that was silent for longest is dropped. */
enum { RECEIVER_SOURCES = 4096 };

struct receiver_source {
    uint64_t hash, used;
    int64_t sequence;                     /* number of the last payload counted; -1: none */
    double started;                       /* the latest start time in a header; 0: none */
    void *sequence_child, *started_child; /* series in the store; NULL: not made yet */
    unsigned users;                       /* posts that use the source */
    bool warned;                          /* a restart of its numbering was warned of */
    char name[];
};

struct receiver_sources {
    struct kvtel_metric_types types;
    struct receiver_source **list;
    size_t count;
    uint64_t uses;
    void *sequences, *starts; /* families */
};

/* `types` is borrowed. */
void receiver_sources_init(struct receiver_sources *sources, const struct kvtel_metric_types *types);
void receiver_sources_free(struct receiver_sources *sources);
/* Takes over the sources of an earlier process. */
void receiver_sources_restore(struct receiver_sources *sources, const struct kvtel_snapshot *snapshot);
/* Finds or adds the source of a name and marks it as in use until receiver_sources_let_go(). If `started` is later
 * than the source's start, its sequence begins anew; 0: not known. NULL: no memory, and the sequence numbers of this
 * post are not remembered. */
struct receiver_source *receiver_sources_hold(struct receiver_sources *sources, const char *name, double started);
void receiver_sources_let_go(struct receiver_source *source);
/* Records that the payload with this sequence number was counted. */
void receiver_sources_advance(struct receiver_sources *sources, struct receiver_source *source, int64_t sequence);

#endif
