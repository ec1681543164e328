/* SPDX-License-Identifier: Apache-2.0 */
/* Who posted recordings, and the last sequence number that was counted of each. They live in two families of a store,
 * beside what was counted, so that whoever comes next with that store or with totals that hold it goes on where this
 * process stopped. */
#ifndef KVTEL_SERVE_RECEIVER_SOURCES_H
#define KVTEL_SERVE_RECEIVER_SOURCES_H

#include <kvtel/prom.h>
#include <kvtel/snapshot.h>

/* The families begin with this; no exposition shows them. */
#define RECEIVER_FAMILIES "kvtel_receiver_"

/* As many are remembered; the one that is silent for longest makes room. */
enum { RECEIVER_SOURCES = 4096 };

struct receiver_source {
    uint64_t hash, used;
    int64_t sequence;                     /* of the last payload that was counted; -1: none */
    double started;                       /* the latest that a header gave; 0: none did */
    void *sequence_child, *started_child; /* in the store; NULL: not made yet */
    unsigned users;                       /* posts that hold it */
    bool warned;                          /* that it seems to have begun anew */
    char name[];
};

struct receiver_sources {
    struct kvtel_metric_types types;
    struct receiver_source **list;
    size_t count;
    uint64_t uses;
    void *sequences, *starts; /* families */
};

/* `types` stay the caller's. */
void receiver_sources_init(struct receiver_sources *sources, const struct kvtel_metric_types *types);
void receiver_sources_free(struct receiver_sources *sources);
/* Takes over what an earlier process left. */
void receiver_sources_restore(struct receiver_sources *sources, const struct kvtel_snapshot *snapshot);
/* The source of a name, made if it is new, and held until it is let go. `started` later than what is known, unless 0:
 * its sequence begins anew. NULL without memory: its sequence numbers are not remembered. */
struct receiver_source *receiver_sources_hold(struct receiver_sources *sources, const char *name, double started);
void receiver_sources_let_go(struct receiver_source *source);
/* A payload was counted. */
void receiver_sources_advance(struct receiver_sources *sources, struct receiver_source *source, int64_t sequence);

#endif
