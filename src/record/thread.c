/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes of threads. */
#include "record/thread.h"

#include <errno.h>
#include <time.h>

/* After no lane was free, only every REFUSED_CALLS-th call asks again, and the first call after refused_ns. */
enum { REFUSED_CALLS = 1024 };
static const uint64_t refused_ns = 1000000000;

void kvtel_thread_lane_end(void *lane)
{
    kvtel_thread_lane.token = KVTEL_NO_TOKEN;
    kvtel_lane_close(lane);
}

/* Monotonic time at the kernel's last tick. Reading it is much cheaper than the exact time. */
static uint64_t coarse_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Whether a thread should ask for a lane again after one was refused. */
static bool is_time(struct kvtel_store *store)
{
    uint64_t again = atomic_load_explicit(&store->lanes_again_ns, memory_order_relaxed);
    if (again == 0)
        return true;
    uint64_t now = coarse_ns();
    if (now >= again)
        return atomic_compare_exchange_strong_explicit(&store->lanes_again_ns, &again, now + refused_ns,
                                                       memory_order_relaxed, memory_order_relaxed);
    return atomic_fetch_add_explicit(&store->lanes_refused, 1, memory_order_relaxed) % REFUSED_CALLS ==
           REFUSED_CALLS - 1;
}

static enum kvtel_status open_lane(struct kvtel_store *store, struct kvtel_lane **lane)
{
    enum kvtel_status status = kvtel_lane_open(store, lane);
    if (status == KVTEL_OK) {
        int error = pthread_setspecific(store->thread_lane, *lane);
        if (error == 0) {
            atomic_store_explicit(&store->lanes_again_ns, 0, memory_order_relaxed);
            return KVTEL_OK;
        }
        kvtel_lane_close(*lane);
        *lane = NULL;
        errno = error;
        status = KVTEL_E_NOMEM;
    }
    atomic_store_explicit(&store->lanes_again_ns, coarse_ns() + refused_ns, memory_order_relaxed);
    return status;
}

struct kvtel_lane *kvtel_thread_lane_try(struct kvtel_store *store)
{
    struct kvtel_lane *lane = NULL;
    enum kvtel_status status = KVTEL_OK;
    uint64_t token;
    int cancel;
    if (kvtel_store_is_own(store) && kvtel_thread_enter(&token)) {
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
        lane = pthread_getspecific(store->thread_lane);
        if (!lane && is_time(store))
            status = open_lane(store, &lane);
        if (lane)
            kvtel_thread_lane.lane = lane;
        kvtel_thread_leave(lane ? *store->token | 1 : token);
        (void)pthread_setcancelstate(cancel, NULL);
    }
    if (status != KVTEL_OK)
        kvtel_store_warn_of(store, KVTEL_WARN_LANES, status, "no lane is left for another thread");
    return lane;
}

struct kvtel_lane *kvtel_thread_lane_find(struct kvtel_store *store)
{
    struct kvtel_lane *lane = kvtel_thread_lane_try(store);
    if (!lane)
        atomic_fetch_add_explicit(&store->header->records_dropped, 1, memory_order_relaxed);
    return lane;
}
