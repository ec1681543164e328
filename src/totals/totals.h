/* SPDX-License-Identifier: Apache-2.0 */
/* The totals of ended stores: the numbers that an exporter keeps after their writers have ended.
 *
 * In memory, totals are the bytes of their file, checked once, and an index. They never change: new totals are made
 * from a snapshot and replace the old ones. docs/decisions/retired-totals.md describes the layout and says why it
 * differs from a store's. */
#ifndef KVTEL_TOTALS_TOTALS_H
#define KVTEL_TOTALS_TOTALS_H

#include "base/buffer.h"
#include "collect/catalog.h"
#include "totals/relabel.h"

#include <kvtel/snapshot.h>

enum {
    TOTALS_VERSION = 3,       /* that is written */
    TOTALS_VERSION_LEAST = 2, /* that is read */
    TOTALS_FAMILIES = 4096,   /* at most */
    /* Limits of label sets in all families together and, by default, in one family. New label sets above a limit are
     * added up under TOTALS_OTHER. */
    TOTALS_SERIES = 1 << 18,
    TOTALS_DEFAULT_LIMIT = 10000
};
/* The value of each label in the label set that sums up those above the limit. */
#define TOTALS_OTHER "other"

/* Single owner, which alone may change it; any thread may read while it does not change. Start from {0}: no totals. */
struct totals {
    struct kvtel_buffer bytes; /* the file's content */
    bool by_rank;              /* ranks are kept apart */
    bool has_starts;           /* series have the time at which they began, which those of version 2 do not */
    bool earlier_boot;         /* written before the machine's last boot: its gauges are older than any of this boot */
    uint32_t family_count, series_count, store_count;
    struct kvtel_layout_family *families; /* text_at: from the start of `bytes`; bounds_at: in `bounds` */
    struct kvtel_layout_series *series;   /* text_at as well */
    double *bounds;
    uint64_t *values_at; /* for each series: the place of its numbers in `bytes` */
    /* names, each followed by a NUL, of stores that are included although their files may still exist */
    const char *stores;
    struct kvtel_relabel relabel; /* without a name the labels are left as they are */
    struct kvtel_source source;   /* the numbers, decoded once they were asked for */
};

/* Checks the content of a file and indexes it. The function owns the buffer's bytes from now on, also on failure.
 * @return KVTEL_OK; KVTEL_E_TRUNCATED, KVTEL_E_FORMAT (damaged, or of another version), KVTEL_E_NOMEM: `error` (may
 * be NULL) says why, and `totals` is empty */
enum kvtel_status totals_decode(struct kvtel_buffer *bytes, struct totals *totals, struct kvtel_error *error);
/* Adds a label with an empty value to the label sets that lack it. `name` is borrowed. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status totals_add_label(struct totals *totals, const char *name);
/* Whether the totals include a store of this name although its file may still be there. */
bool totals_include(const struct totals *totals, const char *store);
/* Frees the memory of the totals. */
void totals_free(struct totals *totals);

/* Adds the totals to a snapshot, as kvtel_snapshot_add() does. KVTEL_OK; KVTEL_E_MISMATCH: a family with another
 * definition is left out. On KVTEL_E_NOMEM and KVTEL_E_LIMIT (sums above KVTEL_TOTAL_MAX) the snapshot is unchanged. */
enum kvtel_status totals_add_to(const struct totals *totals, struct kvtel_snapshot *snapshot);
/* The totals as a source that a snapshot follows. It borrows from them. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status totals_follow(struct totals *totals, struct kvtel_followed *followed);

typedef bool (*totals_keep_fn)(const void *context, const struct kvtel_snapshot_family *family,
                               const struct kvtel_snapshot_series *series);

/* The content of new totals. */
struct totals_contents {
    const struct kvtel_snapshot *snapshot;
    const char *const *stores; /* names of stores that are included although their files may still exist */
    size_t store_count;
    size_t limit; /* limit of label sets in a family; 0: neither this limit nor that of all families applies */
    /* Label sets of families whose names begin with this prefix are never summed up, because their values are not
     * amounts. Above the limit of all families together such label sets are left out. NULL: no such families. */
    const char *separate;
    bool by_rank;
    /* whether to keep a label set; NULL: all are kept */
    totals_keep_fn keep;
    const void *context;
};
/* Appends the content of a file to `bytes`. Label sets that are in `old` are kept. New ones are added in the order
 * of the snapshot until the limit is reached; the rest is summed up. `folded` (may be NULL) returns the number of
 * label sets summed up. KVTEL_OK, KVTEL_E_LIMIT (too many families), KVTEL_E_NOMEM. */
enum kvtel_status totals_encode(const struct totals_contents *contents, const struct totals *old,
                                struct kvtel_buffer *bytes, uint64_t *folded);

#endif
