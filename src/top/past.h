/* SPDX-License-Identifier: Apache-2.0 */
/* The last minute before `kvtel top` looked, from an exporter's /api/v1/history. One thread at a time. */
#ifndef KVTEL_TOP_PAST_H
#define KVTEL_TOP_PAST_H

#include "top/state.h"

enum { TOP_PAST_POINTS = 64 };

/* A flow's counts: `at[i]` is the end of a point, and transfers[i] how many there were by then. */
struct top_past_flow {
    const char *connector, *model, *engine, *name; /* of the answer's tree */
    size_t count;
    double at[TOP_PAST_POINTS], transfers[TOP_PAST_POINTS];
    double bytes; /* at the last point */
};

/* Called for each flow whose counts at the last point are known. */
typedef void (*top_past_fn)(void *context, const struct top_past_flow *flow);

/* Makes `before` the state at the beginning of the last minute: `now` less what grew since. It borrows from `now`.
 * Passes the minute's counts to `each`.
 * @return KVTEL_OK: `before` has a time, or 0 where the history has nothing of that minute; KVTEL_E_NOMEM and
 * KVTEL_E_TYPE (not a history): `before` is empty */
enum kvtel_status top_past_read(const char *json, size_t size, const struct top_state *now, struct top_state *before,
                                top_past_fn each, void *context);

#endif
