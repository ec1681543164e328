/* SPDX-License-Identifier: Apache-2.0 */
/* What a post is answered. */
#ifndef KVTEL_SERVE_RECEIVER_ANSWER_H
#define KVTEL_SERVE_RECEIVER_ANSWER_H

#include "serve/web/http.h"

#include <kvtel/diagnostics.h>

/* A source whose payloads were all known, and older than the last: it seems to have begun anew. */
struct receiver_stale {
    char source[KVTEL_TEXT_LIMIT + 1];
    int64_t sequence, highest; /* counted before; of the post */
};

struct receiver_answer {
    uint64_t accepted, repeated, samples; /* payloads, payloads, values in their lists */
    uint64_t refused[KVTEL_REFUSAL_COUNT];
    size_t stale_sources;        /* how many there are */
    struct receiver_stale stale; /* the first */
};

void receiver_answer(struct http_response *response, const struct receiver_answer *answer);
/* A post of which nothing was counted, unless memory ran out on the way. */
void receiver_answer_error(struct http_response *response, const struct kvtel_error *error);

#endif
