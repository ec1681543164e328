/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread needs to read stores. */
#ifndef KVTEL_COLLECT_WORKER_H
#define KVTEL_COLLECT_WORKER_H

#include "collect/new_rows.h"

#include <stdatomic.h>

/* Memory of one reading thread, kept from one round to the next. Start from {0}. */
enum { KVTEL_WORKERS = 8 };
struct kvtel_worker {
    struct kvtel_arena arena;
    struct kvtel_scratch scratch;
    struct kvtel_slots slots; /* of a lane */
    struct kvtel_new_rows rows;
    struct kvtel_bins *layouts;
    size_t layout_count;
    const struct kvtel_bins **of_families; /* of each family of the store that is read; NULL: not a histogram */
    size_t family_room;
    struct kvtel_collected *collected;
    size_t collected_room;
    _Atomic uint64_t parts_until; /* see kvtel_workers_ask_parts(); CLOCK_MONOTONIC ns, 0: they were not asked for */
};
/* Memory of several. Start from {0}. */
struct kvtel_workers {
    struct kvtel_worker each[KVTEL_WORKERS];
};
void kvtel_workers_free(struct kvtel_workers *workers);
/* Says that the histograms' parts between exponential bounds are read. Sources that are refreshed within the next ten
 * minutes keep their counts. Any thread. */
void kvtel_workers_ask_parts(struct kvtel_workers *workers);
bool kvtel_worker_wants_parts(const struct kvtel_worker *worker);

/* Makes room for `count` elements. False: no memory, and nothing is changed. */
bool kvtel_worker_reserve(void **elements, size_t *room, size_t count, size_t size);
/* Begins the reading of a store. */
void kvtel_worker_begin(struct kvtel_worker *worker);
/* Finds the layouts of all families of a store that are histograms. False: no memory. */
bool kvtel_worker_find_layouts(struct kvtel_worker *worker, const struct kvtel_view *view);
/* Empties the collected numbers, and gives histograms these layouts. False: no memory. */
bool kvtel_worker_prepare(struct kvtel_worker *worker, const struct kvtel_view *view);

#endif
