/* SPDX-License-Identifier: Apache-2.0 */
/* The mark of a thread that is inside a call, and the lock of a store. A signal handler on the same thread must not
 * disturb either.
 *
 * The state of a thread is two words, so the usual call touches one cache line of it. A signal handler can run
 * between any two instructions and record, too. If it records into the same store, the call is refused while its
 * thread is inside a call. If it records into another store, it replaces token and lane by those of the other store.
 * So a call first sets the token to IN_CALL, and uses the lane only if the lane belongs to its store. */
#ifndef KVTEL_RECORD_HOLD_H
#define KVTEL_RECORD_HOLD_H

#include "record/store.h"

/* Before a thread owns a lane its token is KVTEL_NO_TOKEN. Tokens of stores are odd and a forked child reads 0, so
 * none of these values matches a store. */
enum {
    KVTEL_NO_TOKEN = 2,  /* the thread does not own a lane yet */
    KVTEL_IN_CALL = 4,   /* the thread is recording */
    KVTEL_IN_LOCK = 6,   /* the thread holds a store's lock */
    KVTEL_LOST_TOKEN = 8 /* never a thread's token: a handle that carries it takes the slow path of a first record */
};
struct kvtel_thread_lane {
    volatile uint64_t token; /* token of the lane's store */
    struct kvtel_lane *volatile lane;
};
/* With the initial-exec model an access needs no call into the dynamic linker. glibc reserves room for this in each
 * thread; musl does not for libraries that are opened later. */
#ifdef __GLIBC__
#define KVTEL_THREAD_LANE_MODEL __attribute__((tls_model("initial-exec")))
#else
#define KVTEL_THREAD_LANE_MODEL
#endif
extern _Thread_local struct kvtel_thread_lane kvtel_thread_lane KVTEL_THREAD_LANE_MODEL;

/* Begins a call. False: a signal handler called, and the thread that it interrupted is inside a call. */
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

/* Begins a call that writes into the lane. False: this process may not write into the store, or kvtel_thread_enter()
 * failed; then `records` are counted as dropped. */
static inline bool kvtel_lane_enter(const struct kvtel_lane *lane, size_t records, uint64_t *token)
{
    if (__builtin_expect(kvtel_store_is_own(lane->store) && kvtel_thread_enter(token), 1))
        return true;
    atomic_fetch_add_explicit(&lane->store->header->records_dropped, records, memory_order_relaxed);
    return false;
}

/* Takes the store's lock. Until the lock is released, the thread cannot be cancelled and a signal handler's calls
 * are refused. False, and the lock is not taken: this process may not write into the store, or the thread already
 * holds a store's lock. */
struct kvtel_hold {
    uint64_t token;
    int cancel;
};
bool kvtel_store_hold(struct kvtel_store *store, struct kvtel_hold *hold);
void kvtel_store_release(struct kvtel_store *store, const struct kvtel_hold *hold);

#endif
