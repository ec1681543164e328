/* SPDX-License-Identifier: Apache-2.0 */
/* A store on the heap of this process as a source that a snapshot follows. */
#ifndef KVTEL_SERVE_HEAP_SOURCE_H
#define KVTEL_SERVE_HEAP_SOURCE_H

#include "collect/catalog.h"
#include "totals/relabel.h"

/* Start from {0}; free `source` with kvtel_source_free(). */
struct heap_source {
    struct kvtel_source source;
    struct kvtel_view view; /* as of the last reading */
    bool torn;              /* without memory the view could not be made */
};

/* Reads what moved in the store. `rank` (may be NULL) adds a label. All calls must pass the same store and label.
 * KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status heap_source_read(struct heap_source *heap, const struct kvtel_store *store,
                                   struct kvtel_relabel *rank, struct kvtel_workers *workers);
/* The numbers of the last reading that succeeded. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status heap_source_follow(const struct heap_source *heap, struct kvtel_followed *followed);

#endif
