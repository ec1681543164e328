/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket: allows up to `burst` requests at once, and one more every `interval_ns`. */
#ifndef KVTEL_SERVE_WEB_RATE_LIMIT_H
#define KVTEL_SERVE_WEB_RATE_LIMIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts full. Any thread. */
struct rate_limit {
    pthread_mutex_t mutex;
    int64_t full_at_ns; /* when the bucket will be full again */
};
#define RATE_LIMIT_INIT                    \
    {                                      \
        .mutex = PTHREAD_MUTEX_INITIALIZER \
    }

/* Takes one token at the monotonic time `now_ns` > 0. False: none is left. The rate may differ from call to call.
 * `interval_ns` 0: no limit; otherwise a `burst` of 0 refuses everything. */
bool rate_limit_allow(struct rate_limit *limit, int64_t now_ns, int64_t interval_ns, int64_t burst);

#endif
