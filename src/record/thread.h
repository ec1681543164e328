/* SPDX-License-Identifier: Apache-2.0 */
/* The lane of a thread: taken at the thread's first record, given back when the thread ends. */
#ifndef KVTEL_RECORD_THREAD_H
#define KVTEL_RECORD_THREAD_H

#include "record/hold.h"

/* For pthread_key_create(). */
void kvtel_thread_lane_end(void *lane);
/* Finds or opens the calling thread's lane. NULL: no lane is free (warned of once), or the thread is inside a call. */
struct kvtel_lane *kvtel_thread_lane_try(struct kvtel_store *store);
/* The same. Where it is NULL, one record is counted as dropped. */
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
