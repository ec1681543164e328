/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of reading threads. */
#include "collect/worker.h"

#include <stdlib.h>
#include <time.h>

/* Limit of a worker's cached layouts. Only stores made to differ have that many different bounds; above the limit the
 * cache is emptied. */
enum { LAYOUTS_KEPT = 256 };
/* How long counts of parts are kept that nobody asked for again. */
#define PARTS_NS (600 * UINT64_C(1000000000))

void kvtel_workers_free(struct kvtel_workers *workers)
{
    for (size_t i = 0; i < KVTEL_WORKERS; i++) {
        struct kvtel_worker *worker = &workers->each[i];
        kvtel_arena_free(&worker->arena);
        kvtel_scratch_free(&worker->scratch);
        kvtel_new_rows_free(&worker->rows);
        free(worker->slots.words);
        kvtel_bins_free(worker->layouts);
        free(worker->of_families);
        free(worker->collected);
        *worker = (struct kvtel_worker){ 0 };
    }
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void kvtel_workers_ask_parts(struct kvtel_workers *workers)
{
    const uint64_t until = now_ns() + PARTS_NS;
    for (size_t i = 0; i < KVTEL_WORKERS; i++)
        atomic_store_explicit(&workers->each[i].parts_until, until, memory_order_relaxed);
}

bool kvtel_worker_wants_parts(const struct kvtel_worker *worker)
{
    const uint64_t until = atomic_load_explicit(&worker->parts_until, memory_order_relaxed);
    return until != 0 && now_ns() < until;
}

bool kvtel_worker_reserve(void **elements, size_t *room, size_t count, size_t size)
{
    if (count <= *room)
        return true;
    void *larger = count <= SIZE_MAX / size ? realloc(*elements, count * size) : NULL;
    if (!larger)
        return false;
    *elements = larger;
    *room = count;
    return true;
}

bool kvtel_worker_find_layouts(struct kvtel_worker *worker, const struct kvtel_view *view)
{
    void *layouts = worker->of_families;
    bool good = kvtel_worker_reserve(&layouts, &worker->family_room, (size_t)view->family_count + 1,
                                     sizeof(struct kvtel_bins *));
    worker->of_families = layouts;
    for (uint32_t i = 0; i < view->family_count && good; i++) {
        const struct kvtel_layout_family *family = &view->families[i];
        const struct kvtel_bins *first = worker->layouts;
        worker->of_families[i] = NULL;
        if (family->type != KVTEL_HISTOGRAM)
            continue;
        worker->of_families[i] =
            kvtel_bins_get(&worker->layouts, family->bound_count > 0 ? view->bounds + family->bounds_at : NULL,
                           family->bound_count, family->exponential_first, family->exponential_count);
        worker->layout_count += worker->layouts != first;
        good = worker->of_families[i] != NULL;
    }
    return good;
}

bool kvtel_worker_prepare(struct kvtel_worker *worker, const struct kvtel_view *view)
{
    void *collected = worker->collected;
    bool good = kvtel_worker_reserve(&collected, &worker->collected_room, (size_t)view->series_count + 1,
                                     sizeof(struct kvtel_collected));
    worker->collected = collected;
    for (uint32_t i = 0; i < view->series_count && good; i++)
        worker->collected[i] = (struct kvtel_collected){ .layout = worker->of_families[view->series[i].family] };
    return good;
}

void kvtel_worker_begin(struct kvtel_worker *worker)
{
    kvtel_arena_reset(&worker->arena);
    kvtel_collect_begin(&worker->scratch);
    worker->rows.count = worker->rows.word_count = 0;
    if (worker->layout_count > LAYOUTS_KEPT) {
        kvtel_bins_free(worker->layouts);
        worker->layouts = NULL;
        worker->layout_count = 0;
    }
}
