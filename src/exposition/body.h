/* SPDX-License-Identifier: Apache-2.0 */
/* A place for the value of one series, which is written before the size that stands in front of it is known. */
#ifndef KVTEL_EXPOSITION_BODY_H
#define KVTEL_EXPOSITION_BODY_H

#include "collect/series.h"

#include <stdlib.h>

struct kvtel_body {
    char *bytes; /* owned: free() */
    size_t size;
    bool has_exemplars; /* there is room for those of a series */
};

/* Makes room, once, for the exemplars of a series, which few series have: `more` bytes. KVTEL_OK; KVTEL_E_NOMEM: the
 * body is as it was. */
static inline enum kvtel_status kvtel_body_widen(struct kvtel_body *body, const struct kvtel_snapshot_series *series,
                                                 size_t more)
{
    if (!series->exemplars || body->has_exemplars)
        return KVTEL_OK;
    char *larger = realloc(body->bytes, body->size + more);
    if (!larger)
        return KVTEL_E_NOMEM;
    *body = (struct kvtel_body){ larger, body->size + more, true };
    return KVTEL_OK;
}

#endif
