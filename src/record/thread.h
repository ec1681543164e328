/* SPDX-License-Identifier: Apache-2.0 */
/* The lane of a thread: taken at its first use, given back when the thread ends. And that a thread is inside a call,
 * which a signal handler of the same thread must not disturb.
 *
 * All that is known of the thread is two words, so that the usual call reads and writes one cache line of it. A signal
 * handler may come between any two instructions and record too: into this store, which is refused while its thread is
 * inside a call, or into another one, which leaves that store's token and lane. So a lane is used only after IN_CALL
 * stands there, and when it is the store's. */
#ifndef KVTEL_RECORD_THREAD_H
#define KVTEL_RECORD_THREAD_H

#include "record/store.h"

/* Tokens are those of stores, which are odd. None of these is a store's, nor 0, which is that of a store in the child
 * of a fork. */
enum {
    KVTEL_NO_TOKEN = 2,  /* the thread has no lane yet */
    KVTEL_IN_CALL = 4,   /* it records */
    KVTEL_IN_LOCK = 6,   /* it holds a store's lock */
    KVTEL_LOST_TOKEN = 8 /* of no thread ever: what is recorded under it takes the way of a first record */
};
struct kvtel_thread_lane {
    volatile uint64_t token; /* of the store that the lane is of */
    struct kvtel_lane *volatile lane;
};
/* Found without a call of the dynamic linker, for which glibc keeps room in each thread; musl has none for libraries
 * that are opened later. */
#ifdef __GLIBC__
#define KVTEL_THREAD_LANE_MODEL __attribute__((tls_model("initial-exec")))
#else
#define KVTEL_THREAD_LANE_MODEL
#endif
extern _Thread_local struct kvtel_thread_lane kvtel_thread_lane KVTEL_THREAD_LANE_MODEL;

/* Begins a call. False: the thread is inside one, which a signal handler interrupted. */
static inline bool kvtel_thread_enter(uint64_t *token)
{
    *token = kvtel_thread_lane.token;
    if (__builtin_expect(*token == KVTEL_IN_CALL || *token == KVTEL_IN_LOCK, 0))
        return false;
    kvtel_thread_lane.token = KVTEL_IN_CALL;
    return true;
}

static inline void kvtel_thread_leave(uint64_t token)
{
    kvtel_thread_lane.token = token;
}

/* Begins a call that writes into the lane. False: the process may not, or kvtel_thread_enter(): `records` are dropped,
 * counted. */
static inline bool kvtel_lane_enter(const struct kvtel_lane *lane, size_t records, uint64_t *token)
{
    if (__builtin_expect(kvtel_store_is_own(lane->store) && kvtel_thread_enter(token), 1))
        return true;
    atomic_fetch_add_explicit(&lane->store->header->records_dropped, records, memory_order_relaxed);
    return false;
}

/* Takes the store's lock. Until it is given back the thread cannot be cancelled, and a signal handler's calls are
 * refused. False, and nothing is held: the process may not write into the store, or the thread holds a store's lock. */
struct kvtel_hold {
    uint64_t token;
    int cancel;
};
bool kvtel_store_hold(struct kvtel_store *store, struct kvtel_hold *hold);
void kvtel_store_release(struct kvtel_store *store, const struct kvtel_hold *hold);

/* For pthread_key_create(). */
void kvtel_thread_lane_end(void *lane);
/* NULL: there is none to be had, or the thread is inside a call. That is counted, and the former said once. */
struct kvtel_lane *kvtel_thread_lane_find(struct kvtel_store *store);

static inline struct kvtel_lane *kvtel_thread_lane_of(struct kvtel_store *store)
{
    if (__builtin_expect(kvtel_thread_lane.token == *store->token, 1)) {
        struct kvtel_lane *lane = kvtel_thread_lane.lane;
        if (__builtin_expect(lane->store == store, 1))
            return lane;
    }
    return kvtel_thread_lane_find(store);
}

#endif
