/* SPDX-License-Identifier: Apache-2.0 */
/* The answers to posts. */
#ifndef KVTEL_SERVE_RECEIVER_ANSWER_H
#define KVTEL_SERVE_RECEIVER_ANSWER_H

#include "serve/web/http.h"

#include <kvtel/diagnostics.h>

/* A source whose payloads were all counted before, and older than its last one, or with a lower `started`: it seems to
 * have restarted its numbering. */
struct receiver_stale {
    char source[KVTEL_TEXT_LIMIT + 1];
    int64_t sequence, highest; /* highest number counted before; highest number in the post */
    double started, given;     /* the source's `started`, and the one of the post, which is lower; both 0: it is not */
};

/* Why the posts of a source are not counted, and what its sender has to do: for the answer and for the log. */
enum { RECEIVER_STALE_TEXT = KVTEL_TEXT_LIMIT + 256 };
void receiver_stale_text(const struct receiver_stale *stale, char text[static RECEIVER_STALE_TEXT]);

struct receiver_answer {
    /* payloads counted; payloads counted before; values in the lists of counted payloads */
    uint64_t accepted, repeated, samples;
    uint64_t refused[KVTEL_REFUSAL_COUNT];
    size_t stale_sources;        /* number of such sources */
    struct receiver_stale stale; /* the first */
};

void receiver_answer(struct http_response *response, const struct receiver_answer *answer);
/* Answers a post of which nothing was counted; only after KVTEL_E_NOMEM a part may have been. */
void receiver_answer_error(struct http_response *response, const struct kvtel_error *error);

#endif
