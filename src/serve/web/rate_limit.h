/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket: up to `burst` requests at once, one more each `interval_ns`. */
#ifndef KVTEL_SERVE_WEB_RATE_LIMIT_H
#define KVTEL_SERVE_WEB_RATE_LIMIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Begins full. Any thread. */
struct rate_limit {
    pthread_mutex_t mutex;
    int64_t full_at_ns; /* when the bucket will be full again */
};
#define RATE_LIMIT_INIT                    \
    {                                      \
        .mutex = PTHREAD_MUTEX_INITIALIZER \
    }

/* Takes one token at the monotonic time `now_ns` > 0. False: there is none. The rate may differ from call to call.
 * `interval_ns` 0: no limit; otherwise `burst` 0 lets nothing pass. */
bool rate_limit_allow(struct rate_limit *limit, int64_t now_ns, int64_t interval_ns, int64_t burst);

#endif
