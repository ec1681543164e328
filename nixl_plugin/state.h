/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the core share. All memory is static: nothing is allocated after the store was opened. */
#ifndef KVTEL_NIXL_PLUGIN_STATE_H
#define KVTEL_NIXL_PLUGIN_STATE_H

#include <kvtel/recorder.h>
#include <stdatomic.h>

#include "core.h"
#include "kvtel_nixl.h"
#include "nixl/metrics.h"
#include "nixl/transfers.h"
#include "record/store.h"

enum {
    PLUGIN_AGENTS = 64, /* with an object of its own at one time */
    PLUGIN_PEERS = 64,  /* names; further peers count as PLUGIN_OTHER_PEER */
    PLUGIN_OTHER_PEER = PLUGIN_PEERS,
    PLUGIN_PEER_NAME = 128,
    PLUGIN_OPEN = 4096,   /* of a thread, that readers see */
    PLUGIN_POSTS = 65536, /* open at one time */
    PLUGIN_BATCH = 256,   /* events that are counted at once */
    PLUGIN_EARLY = 64,    /* events whose posts have not returned */
    PLUGIN_STATUSES = 13  /* of NIXL: 0 to -12 */
};

/* From whom the outcomes come that a look does not find, in the order of trust. */
#define PLUGIN_SOURCE_LIST(X)         \
    X(PLUGIN_FROM_NOBODY, "none")     \
    X(PLUGIN_FROM_EVENTS, "exporter") \
    X(PLUGIN_FROM_APPLICATION, "application")
enum plugin_source {
#define X(name, text) name,
    PLUGIN_SOURCE_LIST(X)
#undef X
        PLUGIN_SOURCES
};

/* An event of a transfer that was done in its post, which the posting thread has not told of yet: it is between NIXL's
 * event and the end of the call. */
struct plugin_early {
    enum plugin_direction direction;
    uint32_t tries;
    uint64_t bytes;
};

struct plugin_agent {
    char name[PLUGIN_PEER_NAME];
    bool used;
    atomic_bool traced, exported;
    /* Used by the thread that calls the exporter half alone. */
    struct kvtel_nixl_metrics metrics;
    struct kvtel_nixl_event events[PLUGIN_BATCH];
    size_t event_count;
    bool batched;     /* NIXL tells where batches begin and end */
    uint64_t post_us; /* of the transfer whose events are being passed */
    bool in_post;     /* its times are equal: it was done when the posting call returned */
    struct plugin_early early[PLUGIN_EARLY];
    size_t early_count;
    uint64_t cursor;    /* number of the post after the last one that an event closed */
    uint64_t budget;    /* posts that events may still look at before the next look at the clock */
    uint64_t expire_ns; /* time of the next look for posts that no event told of */
};

/* The store, and what is recorded into it. Written under the lock of agents, when the store is opened. */
struct plugin_records {
    struct kvtel_store *store;
    uint64_t epoch;
    _Atomic int source; /* enum plugin_source */
    atomic_bool ready;  /* all of the others is there */
    const struct kvtel_operation *posts[PLUGIN_DIRECTIONS];
    const struct kvtel_operation *endings[PLUGIN_DIRECTIONS][KVTEL_NIXL_OUTCOMES];
    uint32_t failures[PLUGIN_DIRECTIONS][PLUGIN_STATUSES]; /* by the negative of NIXL's status; 0: any other */
    uint32_t untracked;
    uint32_t unmatched;
    uint32_t sources[PLUGIN_SOURCES];
    /* In a child of a fork, what its parent had. It is not freed: another thread of the parent may have been changing
     * it. */
    struct kvtel_store *parents_store;
    struct kvtel_recorder *parents_recorders[3];
    struct kvtel_recorder *recorders[3];
};
extern struct plugin_records plugin_records;

/* Whether something can be recorded in this process. */
static inline bool plugin_is_on(void)
{
    return !plugin_is_off() && atomic_load_explicit(&plugin_records.ready, memory_order_acquire) &&
           kvtel_store_is_own(plugin_records.store);
}

/* Whether an agent's calls are recorded: the plug-in is on, and this is the process that opened the agent. */
static inline bool plugin_is_recording(const struct plugin_half *half)
{
    return half->agent && !plugin_is_off() && half->epoch == plugin_records.epoch &&
           kvtel_store_is_own(plugin_records.store);
}

uint32_t plugin_agent_index(const struct plugin_agent *agent);
/* Whether the agent of this index has an exporter half. */
bool plugin_agent_has_events(uint32_t index);

/* NIXL's status of a post that is refused because the one before on the same handle is active. */
enum { PLUGIN_REPOST_ACTIVE = -7 };

/* Makes the store and its families. */
bool plugin_records_open(void);
/* A transfer ended. `duration_ns` KVTEL_UNMEASURED: not known. `status`: NIXL's, of a failure. */
struct plugin_ending {
    enum plugin_direction direction;
    enum kvtel_nixl_outcome outcome;
    uint32_t peer;
    int status;
    uint64_t duration_ns, bytes;
    uint64_t ended_ns; /* CLOCK_MONOTONIC; 0: not known */
};
/* `token`: of the post, where readers see it as open; NULL: they do not. */
PLUGIN_HOT void plugin_record_ending(const struct plugin_ending *ending, struct kvtel_transfer_token *token);
/* Makes a post visible as open, if outcomes are told so that it will not stay so for ever; else false. */
PLUGIN_HOT bool plugin_record_open(const struct plugin_call *call, struct kvtel_transfer_token *token);
/* The store's number of a peer. 0: it has none. */
uint32_t plugin_peer_number(uint32_t peer);
PLUGIN_HOT void plugin_record_post(enum plugin_direction direction, uint64_t post_ns);
void plugin_count(uint32_t series);
/* Notes from whom outcomes come. A source that is trusted less than the present one changes nothing. */
void plugin_note_source(enum plugin_source source);

/* The place of a peer by its agent's name. PLUGIN_OTHER_PEER: it has none. */
PLUGIN_HOT uint32_t plugin_peer_find(struct plugin_text name);
/* Gives an agent a place and series under its own name, unless it has one. Takes the store's lock. */
void plugin_peer_make(struct plugin_text agent);
void plugin_peers_clear(void);
void plugin_peers_make_other(void);
PLUGIN_HOT void plugin_record_peer(uint32_t peer, const struct plugin_ending *ending);
/* An exemplar with the peer's name as its label. NULL: the peer has no name that can be one. Lives as the process. */
const struct kvtel_exemplar *plugin_peer_exemplar(uint32_t peer);

/* Posts that wait for their end. */
void plugin_posts_clear(void);
/* The handle is being posted: what plugin_posts_add() will use comes into the cache meanwhile. */
PLUGIN_HOT void plugin_posts_expect(uint64_t handle);
PLUGIN_HOT void plugin_posts_add(const struct plugin_call *call, uint64_t now_ns);
PLUGIN_HOT bool plugin_posts_complete(uint64_t handle, uint64_t now_ns);
/* An event told of a transfer that was done in its post. False: no such post is open. */
bool plugin_posts_done_in_post(struct plugin_agent *agent, enum plugin_direction direction, uint64_t bytes);
/* Ends the posts of which no event came in time. Returns when to look again. */
uint64_t plugin_posts_expire(struct plugin_agent *agent, uint64_t now_ns);
/* Ends all posts of an agent. */
void plugin_posts_abandon(const struct plugin_agent *agent);

#endif
