/* SPDX-License-Identifier: Apache-2.0 */
/* The mark of a thread that is inside a call, and the lock of a store. */
#include "record/hold.h"

_Thread_local struct kvtel_thread_lane kvtel_thread_lane KVTEL_THREAD_LANE_MODEL = { .token = KVTEL_NO_TOKEN };

bool kvtel_store_hold(struct kvtel_store *store, struct kvtel_hold *hold)
{
    hold->token = kvtel_thread_lane.token;
    if (!kvtel_store_is_own(store) || hold->token == KVTEL_IN_LOCK)
        return false;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &hold->cancel);
    kvtel_thread_lane.token = KVTEL_IN_LOCK;
    pthread_mutex_lock(&store->lock);
    return true;
}

void kvtel_store_release(struct kvtel_store *store, const struct kvtel_hold *hold)
{
    pthread_mutex_unlock(&store->lock);
    kvtel_thread_lane.token = hold->token;
    (void)pthread_setcancelstate(hold->cancel, NULL);
}
