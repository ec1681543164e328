/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing metrics to an OTLP endpoint, by HTTP, in a thread of its own. Numbers are cumulative, so only the newest are
 * kept: what could not be delivered until the next ones are due is given up, and nothing is lost by it. */
#ifndef KVTEL_OTLP_PUSH_H
#define KVTEL_OTLP_PUSH_H

#include "otlp/settings.h"
#include "serve/web/watch.h"

#include <kvtel/buffer.h>

struct otlp_push;

struct otlp_push_options {
    const struct otlp_settings *settings; /* lives as long as the push */
    /* Writes the request of now into an empty buffer, or an error. Called by the push's thread. */
    enum kvtel_status (*write)(void *context, struct kvtel_buffer *request);
    void *context;
    struct web_log log;
};

/* What was pushed so far. */
struct otlp_push_counts {
    uint64_t taken;      /* requests that the endpoint took */
    uint64_t failed;     /* requests given up: refused, or not delivered until the next one */
    uint64_t retries;    /* requests that were sent again */
    uint64_t rejected;   /* data points that it said it did not take */
    uint64_t bytes;      /* of requests, as sent, with those sent again */
    double seconds;      /* the last attempt took */
    double last_success; /* seconds since 1970; 0: none */
};

/* @return owned: otlp_push_stop(); NULL: `error` says why */
struct otlp_push *otlp_push_start(const struct otlp_push_options *options, struct kvtel_error *error);
/* Pushes once more, where the endpoint worked, and ends within three seconds. NULL is fine. */
void otlp_push_stop(struct otlp_push *push);
/* Any thread. */
struct otlp_push_counts otlp_push_counts(struct otlp_push *push);

#endif
