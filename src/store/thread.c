/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes of threads. */
#include "store/thread.h"

/* Where none was to be had, only every so many-th call asks again. */
enum { REFUSED_CALLS = 1024 };

_Thread_local struct kvtel_thread_lane kvtel_thread_lane __attribute__((tls_model("initial-exec"))) = { .token = KVTEL_NO_TOKEN };

void kvtel_thread_lane_end(void *lane)
{
    struct kvtel_lane *ended = lane;
    kvtel_thread_lane = (struct kvtel_thread_lane){ .token = KVTEL_NO_TOKEN };
    if (kvtel_store_is_own(ended->store))
        kvtel_lane_close(ended);
}

static struct kvtel_lane *open_lane(struct kvtel_store *store)
{
    struct kvtel_lane *lane;
    if (!kvtel_store_is_own(store))
        return NULL;
    if (atomic_load_explicit(&store->lanes_refused, memory_order_relaxed) > 0 &&
        atomic_fetch_add_explicit(&store->lanes_refused, 1, memory_order_relaxed) % REFUSED_CALLS != 0)
        return NULL;
    if (kvtel_lane_open(store, &lane) != KVTEL_OK) {
        atomic_store_explicit(&store->lanes_refused, 1, memory_order_relaxed);
        kvtel_store_warn(store, KVTEL_WARN_LANES, "no lane is left for another thread: what it records is lost, and counted");
        return NULL;
    }
    atomic_store_explicit(&store->lanes_refused, 0, memory_order_relaxed);
    if (pthread_setspecific(store->thread_lane, lane) != 0) {
        kvtel_lane_close(lane);
        return NULL;
    }
    return lane;
}

struct kvtel_lane *kvtel_thread_lane_find(struct kvtel_store *store)
{
    struct kvtel_lane *lane = kvtel_store_is_own(store) ? pthread_getspecific(store->thread_lane) : NULL;
    if (!lane)
        lane = open_lane(store);
    if (lane)
        kvtel_thread_lane = (struct kvtel_thread_lane){ *store->token, lane };
    else
        atomic_fetch_add_explicit(&store->header->records_dropped, 1, memory_order_relaxed);
    return lane;
}
