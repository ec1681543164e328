/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/v1/stats: a recording, taken whole or not at all. */
#ifndef KVTEL_SERVE_RECEIVER_H
#define KVTEL_SERVE_RECEIVER_H

#include "cli/serve/http.h"

#include <kvtel/diagnostics.h>
#include <kvtel/store.h>

struct receiver;

struct receiver_counts {
    uint64_t accepted, repeated, rejected; /* payloads; payloads of a known sequence number; whole requests */
    uint64_t samples;                      /* values in the lists of accepted payloads */
};

/* `store` and `diagnostics` outlive the receiver; it writes through a lane of its own. NULL without memory or lane. */
struct receiver *receiver_create(struct kvtel_store *store, struct kvtel_diagnostics *diagnostics);
void receiver_destroy(struct receiver *receiver);
/* An http_handler; the context is the receiver. One request at a time is applied, others wait. */
void receiver_handle(void *context, const struct http_request *request, struct http_response *response);
/* Any thread. */
struct receiver_counts receiver_counts(struct receiver *receiver);
/* Refusals by reason, counted since the start. Any thread. */
uint64_t receiver_refused(struct receiver *receiver, enum kvtel_refusal reason);

enum { RECEIVER_BODY_LIMIT = 16 << 20 };

#endif
