/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/v1/stats: a recording, taken whole or not at all. */
#ifndef KVTEL_SERVE_RECEIVER_H
#define KVTEL_SERVE_RECEIVER_H

#include "serve/web/http.h"

#include <kvtel/diagnostics.h>
#include <kvtel/snapshot.h>
#include <kvtel/store.h>

struct receiver;

struct receiver_counts {
    uint64_t accepted, repeated, rejected; /* payloads that were of use; of a known sequence number; whole requests */
    uint64_t samples;                      /* values in the lists of accepted payloads */
};

/* `store` and `diagnostics`, which says each refusal once, outlive the receiver; `warn` is told what is to be said
 * besides, from any thread; it writes through a lane of its own. NULL without memory or lane. */
struct receiver *receiver_create(struct kvtel_store *store, struct kvtel_diagnostics *diagnostics,
                                 void (*warn)(void *context, const char *message), void *warn_context);
void receiver_destroy(struct receiver *receiver);
/* Takes over the sequence numbers that an earlier process left. Before the first request. */
void receiver_restore(struct receiver *receiver, const struct kvtel_snapshot *snapshot);
/* An http_handler; the context is the receiver. Requests are parsed side by side, and applied object by object. */
void receiver_handle(void *context, const struct http_request *request, struct http_response *response);
/* Any thread; no post holds it up. */
struct receiver_counts receiver_counts(struct receiver *receiver);
/* Refusals by reason, counted since the start. Likewise. */
uint64_t receiver_refused(struct receiver *receiver, enum kvtel_refusal reason);

enum { RECEIVER_BODY_LIMIT = 16 << 20 };

#endif
