/* SPDX-License-Identifier: Apache-2.0 */
/* The handler of POST /api/v1/stats. A recording is accepted as a whole or not at all. */
#ifndef KVTEL_SERVE_RECEIVER_H
#define KVTEL_SERVE_RECEIVER_H

#include "serve/web/http.h"

#include <kvtel/diagnostics.h>
#include <kvtel/snapshot.h>
#include <kvtel/store.h>

struct receiver;

struct receiver_counts {
    /* Payloads counted; payloads whose sequence number was counted before; requests rejected as a whole. */
    uint64_t accepted, repeated, rejected;
    uint64_t samples; /* values in the lists of accepted payloads */
};

/* Makes a receiver, which writes through a lane of its own. `store` and `diagnostics` must outlive it. `diagnostics`
 * warns of each refusal once; `warn` gets other warnings, from any thread. NULL: no memory, or no lane. */
struct receiver *receiver_create(struct kvtel_store *store, struct kvtel_diagnostics *diagnostics,
                                 void (*warn)(void *context, const char *message), void *warn_context);
void receiver_destroy(struct receiver *receiver);
/* Takes over the sequence numbers that an earlier process counted. Call it before the first request. */
void receiver_restore(struct receiver *receiver, const struct kvtel_snapshot *snapshot);
/* From now on posts are refused with "send it again". True: none is being counted any more, so that the store may be
 * closed. Any thread. */
bool receiver_pause(struct receiver *receiver);
/* Counts in another store, and takes over the sequence numbers that the snapshot has: after receiver_pause() was true.
 * KVTEL_OK; else it stays paused. */
enum kvtel_status receiver_resume(struct receiver *receiver, struct kvtel_store *store,
                                  const struct kvtel_snapshot *snapshot);
/* An http_handler; `context` is the receiver. Requests are parsed in parallel and applied object by object. */
void receiver_handle(void *context, const struct http_request *request, struct http_response *response);
/* The counts. Any thread; does not wait for a post. */
struct receiver_counts receiver_counts(struct receiver *receiver);
/* Number of refusals for a reason since the start. Any thread; does not wait for a post. */
uint64_t receiver_refused(struct receiver *receiver, enum kvtel_refusal reason);

enum { RECEIVER_BODY_LIMIT = 16 << 20 };

#endif
