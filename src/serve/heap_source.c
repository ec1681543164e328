/* SPDX-License-Identifier: Apache-2.0 */
/* A store on the heap of this process as a source that a snapshot follows. */
#include "serve/heap_source.h"

#include "record/store.h"

enum kvtel_status heap_source_read(struct heap_source *heap, const struct kvtel_store *store,
                                   struct kvtel_relabel *rank, struct kvtel_workers *workers)
{
    heap->view = kvtel_store_view(store);
    enum kvtel_status status = rank ? kvtel_relabel_view(rank, &heap->view) : KVTEL_OK;
    heap->torn = status != KVTEL_OK;
    if (status == KVTEL_OK)
        status = kvtel_source_refresh(&heap->source, &heap->view, &workers->each[0]);
    return status == KVTEL_E_MISMATCH ? KVTEL_OK : status;
}

enum kvtel_status heap_source_follow(const struct heap_source *heap, struct kvtel_followed *followed)
{
    *followed = (struct kvtel_followed){ .source = &heap->source, .view = heap->view };
    if (followed->view.series_count > heap->source.series_count)
        followed->view.series_count = heap->source.series_count; /* the last reading failed */
    return heap->torn ? KVTEL_E_NOMEM : KVTEL_OK;
}
