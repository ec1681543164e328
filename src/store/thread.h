/* SPDX-License-Identifier: Apache-2.0 */
/* The lane of a thread: taken at its first use, given back when the thread ends. */
#ifndef KVTEL_STORE_THREAD_H
#define KVTEL_STORE_THREAD_H

#include "store/store.h"

/* The lane that the thread used last. `token` is that of its store: odd. A thread that has none yet has one that no store has, and
 * not that of a store in the child of a fork, which is 0. */
enum {
    KVTEL_NO_TOKEN = 2,
    KVTEL_LOST_TOKEN = 4 /* of no thread ever: what is recorded under it takes the way of a first record */
};
struct kvtel_thread_lane {
    uint64_t token;
    struct kvtel_lane *lane;
};
extern _Thread_local struct kvtel_thread_lane kvtel_thread_lane __attribute__((tls_model("initial-exec")));

/* For pthread_key_create(). */
void kvtel_thread_lane_end(void *lane);
/* NULL: there is none to be had, which is counted and said once. */
struct kvtel_lane *kvtel_thread_lane_find(struct kvtel_store *store);

/* Whether kvtel_thread_lane.lane is the thread's lane in the store of this token. */
static inline bool kvtel_thread_lane_is_of(const uint64_t *token)
{
    return __builtin_expect(kvtel_thread_lane.token == *token, 1);
}

static inline struct kvtel_lane *kvtel_thread_lane_of(struct kvtel_store *store)
{
    return kvtel_thread_lane_is_of(store->token) ? kvtel_thread_lane.lane : kvtel_thread_lane_find(store);
}

#endif
