/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the endpoint and its answer. */
#ifndef KVTEL_OTLP_SENDER_H
#define KVTEL_OTLP_SENDER_H

#include "otlp/settings.h"

enum otlp_outcome {
    OTLP_TAKEN,
    OTLP_AGAIN,  /* the same request may be taken later */
    OTLP_REFUSED /* it is never taken */
};

struct otlp_answer {
    enum otlp_outcome outcome;
    uint64_t after_ns;         /* the endpoint asks not to be sent to for so long; 0: it does not */
    uint64_t bytes;            /* that were sent, as a body */
    uint64_t rejected;         /* data points that were not taken */
    struct kvtel_error reason; /* why it was not taken, or, where `rejected` or the text is there, only in part */
};

/* CLOCK_MONOTONIC. */
uint64_t otlp_now_ns(void);

struct otlp_sender;

/* Loads libcurl. @return owned; NULL: `error` says why. `settings` are borrowed */
struct otlp_sender *otlp_sender_create(const struct otlp_settings *settings, struct kvtel_error *error);
void otlp_sender_destroy(struct otlp_sender *sender);
/* Sends the request and waits for its answer. One thread at a time. */
void otlp_sender_send(struct otlp_sender *sender, const void *request, size_t size, struct otlp_answer *answer);
/* Waits, until then or until otlp_sender_end(). The same thread. */
void otlp_sender_wait(struct otlp_sender *sender, uint64_t until_ns);
/* From now on no wait is begun, and what is sent is given up at that time, CLOCK_MONOTONIC. Any thread. */
void otlp_sender_end(struct otlp_sender *sender, uint64_t give_up_ns);
bool otlp_sender_has_ended(const struct otlp_sender *sender);

#endif
