/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the lanes of a store, which may be written meanwhile. */
#ifndef KVTEL_COLLECT_COLLECT_H
#define KVTEL_COLLECT_COLLECT_H

#include "base/arena.h"
#include "histogram/bins.h"
#include "format/view.h"

/* What all lanes of a store have of one series. Start from {0} and `layout`. */
struct kvtel_collected {
    const struct kvtel_bins *layout; /* of a histogram */
    double value;                    /* counter, gauge */
    uint64_t stamp;                  /* gauge */
    uint64_t count;
    double sum;
    uint64_t *bins; /* bins first .. first + bin_count - 1 */
    uint32_t first, bin_count;
};

/* Memory that is kept from one use to the next. Start from {0}. */
struct kvtel_scratch {
    uint64_t *words;
    size_t capacity;
    uint64_t read, read_again; /* words of the store that is collected */
};

/* Makes bins from..end - 1 part of what is held, as 0 if they were not. `arena` holds them. False without memory. */
bool kvtel_collected_widen(struct kvtel_collected *series, struct kvtel_arena *arena, uint32_t from, uint32_t end);

/* Adds what another store has of the series. False without memory: nothing is added. */
bool kvtel_collected_add(struct kvtel_collected *series, struct kvtel_arena *arena, const struct kvtel_collected *more,
                         enum kvtel_metric_type type);

/* Adds up all lanes; `series`: view->series_count of them, those without a `layout` where one belongs are left out.
 * KVTEL_OK, KVTEL_E_MISMATCH (words of a group of a lane contradict each other: they are left out, the rest is there),
 * KVTEL_E_NOMEM, KVTEL_E_LIMIT (more words than view->most_words), and what view->read returns. */
enum kvtel_status kvtel_collect(const struct kvtel_view *view, struct kvtel_arena *arena, struct kvtel_scratch *scratch,
                                struct kvtel_collected *series);

#endif
