/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a history, and what was counted under them at its last point. Points name them by number. */
#ifndef KVTEL_HISTORY_ENTRIES_H
#define KVTEL_HISTORY_ENTRIES_H

#include <kvtel/base.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "history/layout.h"

/* The counts of a histogram: those of `size` bins from `first` on. The others are 0. */
struct history_counts {
    uint32_t first, size;
    uint64_t *counts;
    uint64_t total;
    bool is_left_out; /* there was no room: only the total is known */
};

struct history_flow {
    char *name;
    unsigned measures; /* bits: enum history_measure */
    bool is_known;     /* the counts are those at the last point */
    uint64_t transfers, bytes, failed;
    struct history_counts bins[HISTORY_HISTOGRAMS];
};

struct history_class {
    char *name;
    uint64_t count;
};

struct history_entry {
    char *connector, *model, *engine; /* NULL: the number is free. Of a rest, model and engine are "" */
    bool is_known;                    /* it was in the last point */
    double last_seen;                 /* seconds since 1970: the end of the last point with it */
    struct history_flow *flows;
    uint32_t flow_count, class_count;
    struct history_class *classes;
};

/* Start from {0}. */
struct history_entries {
    struct history_entry *all; /* HISTORY_ENTRIES */
    uint32_t used;             /* numbers below this are used, or free again */
    /* Bytes of both, at most HISTORY_NAMES_MEMORY and HISTORY_COUNTS_MEMORY. */
    size_t names_memory, counts_memory;
};

/* What an entry is of. */
struct history_name {
    const char *connector, *model, *engine;
    bool is_rest; /* of the connector's engines that have no entry; model and engine are "" */
};
/* The number of an entry, or HISTORY_ENTRIES: there is none. `hint`: where it probably is. */
uint32_t history_entry_find(const struct history_entries *entries, const struct history_name *name, uint32_t hint);
/* Makes an entry. A number whose entry was last seen before `oldest` may be given to another.
 * KVTEL_OK; KVTEL_E_LIMIT: there are too many, or a name is too long; KVTEL_E_NOMEM. */
enum kvtel_status history_entry_make(struct history_entries *entries, const struct history_name *name, double oldest,
                                     uint32_t *number);
/* Finds a flow of an entry, or makes one; *made says which. Statuses as above. */
enum kvtel_status history_flow_find(struct history_entries *entries, struct history_entry *entry, const char *name,
                                    uint32_t *number, bool *made);
/* The same for a class of its failures. */
enum kvtel_status history_class_find(struct history_entries *entries, struct history_entry *entry, const char *name,
                                     uint32_t *number, bool *made);
/* Makes the histogram's counts the same as others. Where they have no room, they are left out until they have.
 * KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status history_counts_set(struct history_entries *entries, struct history_counts *kept,
                                     const struct history_counts *counts);
/* Frees the counts of a flow that is not there now. */
void history_flow_forget(struct history_entries *entries, struct history_flow *flow);
/* The count of a bin, numbered from 1. */
uint64_t history_counts_at(const struct history_counts *kept, uint32_t bin);
void history_entries_free(struct history_entries *entries);

#endif
