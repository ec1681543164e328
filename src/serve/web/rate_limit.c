/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket, stored as the time when it will be full again. Each request moves this time by one interval. */
#include "serve/web/rate_limit.h"

bool rate_limit_allow(struct rate_limit *limit, int64_t now_ns, int64_t interval_ns, int64_t burst)
{
    if (interval_ns <= 0)
        return true;
    int64_t whole, latest;
    if (__builtin_mul_overflow(interval_ns, burst, &whole) || __builtin_add_overflow(now_ns, whole, &latest))
        latest = INT64_MAX;
    pthread_mutex_lock(&limit->mutex);
    int64_t full_at = limit->full_at_ns > now_ns ? limit->full_at_ns : now_ns;
    bool allowed = burst > 0 && full_at <= latest - interval_ns;
    if (allowed)
        limit->full_at_ns = full_at + interval_ns;
    pthread_mutex_unlock(&limit->mutex);
    return allowed;
}
