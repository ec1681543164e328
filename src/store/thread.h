/* SPDX-License-Identifier: Apache-2.0 */
/* The lane of a thread: taken at its first use, given back when the thread ends. */
#ifndef KVTEL_STORE_THREAD_H
#define KVTEL_STORE_THREAD_H

#include "store/store.h"

/* The lane that the thread used last. */
struct kvtel_thread_lane {
    uint64_t token; /* of its store */
    struct kvtel_lane *lane;
};
extern _Thread_local struct kvtel_thread_lane kvtel_thread_lane __attribute__((tls_model("initial-exec")));

/* For pthread_key_create(). */
void kvtel_thread_lane_end(void *lane);
struct kvtel_lane *kvtel_thread_lane_find(struct kvtel_store *store);

/* The lane in the store of this token if it is the one that the thread used last, else NULL. */
static inline struct kvtel_lane *kvtel_thread_lane_last(const uint64_t *token)
{
    return __builtin_expect(kvtel_thread_lane.token == *token, 1) ? kvtel_thread_lane.lane : NULL;
}

/* NULL: there is none to be had, which is counted and said once. */
static inline struct kvtel_lane *kvtel_thread_lane_of(struct kvtel_store *store)
{
    struct kvtel_lane *lane = kvtel_thread_lane_last(store->token);
    return __builtin_expect(lane != NULL, 1) ? lane : kvtel_thread_lane_find(store);
}

#endif
