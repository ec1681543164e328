/* SPDX-License-Identifier: Apache-2.0 */
/* The totals of ended stores: what an exporter keeps of stores whose writers have ended.
 *
 * In memory they are the bytes of their file, checked once, and an index of them. They never change: new totals are
 * made from a snapshot and take the old ones' place. docs/decisions/retired-totals.md has the layout, and why it is not
 * a store's. */
#ifndef KVTEL_TOTALS_TOTALS_H
#define KVTEL_TOTALS_TOTALS_H

#include "base/buffer.h"
#include "collect/relabel.h"

#include <kvtel/snapshot.h>

enum {
    TOTALS_VERSION = 1,
    TOTALS_FAMILIES = 4096, /* at most */
    /* Label sets of all families and, unless the operator says otherwise, of one, before new ones are added up under
     * TOTALS_OTHER.
     */
    TOTALS_SERIES = 1 << 18,
    TOTALS_DEFAULT_LIMIT = 10000
};
/* Each label of the label set that takes what is beyond the limit has this value. */
#define TOTALS_OTHER "other"

/* Single owner; any thread may read. Start from {0}, which holds nothing. */
struct totals {
    struct kvtel_buffer bytes; /* the file's content */
    bool by_rank;              /* ranks are kept apart */
    bool earlier_boot;         /* written before the machine started: its gauges are older than any of this boot */
    uint32_t family_count, series_count, store_count;
    struct kvtel_layout_family *families; /* text_at: from the start of `bytes`; bounds_at: in `bounds` */
    struct kvtel_layout_series *series;   /* text_at as well */
    double *bounds;
    uint64_t *values_at;          /* of each series: where its numbers stand in `bytes` */
    const char *stores;           /* names of the stores whose files may still be there, a NUL behind each */
    struct kvtel_relabel relabel; /* without a name: labels are as they are */
};

/* Takes the content of a file over, also when it fails, and checks all of it.
 * @return KVTEL_OK; KVTEL_E_TRUNCATED, KVTEL_E_FORMAT (damaged, or of another version), KVTEL_E_NOMEM: `error` (may be
 * NULL) says why, and `totals` holds nothing */
enum kvtel_status totals_decode(struct kvtel_buffer *bytes, struct totals *totals, struct kvtel_error *error);
/* Label sets without this label get it, with the empty value. The name is borrowed. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status totals_add_label(struct totals *totals, const char *name);
/* Frees what it holds. */
void totals_free(struct totals *totals);

/* Adds them to a snapshot, as kvtel_snapshot_add() does. KVTEL_OK, KVTEL_E_MISMATCH (a family with another definition
 * is left out), KVTEL_E_NOMEM, KVTEL_E_LIMIT (sums past KVTEL_TOTAL_MAX): the snapshot is unchanged. */
enum kvtel_status totals_add_to(const struct totals *totals, struct kvtel_snapshot *snapshot);

typedef bool (*totals_keep_fn)(const void *context, const struct kvtel_snapshot_family *family,
                               const struct kvtel_snapshot_series *series);

/* What goes into new totals beside the numbers. */
struct totals_contents {
    const struct kvtel_snapshot *snapshot;
    const char *const *stores; /* names of stores whose numbers are in it although their files may still be there */
    size_t store_count;
    size_t limit; /* label sets of a family; 0: no limit, and none for all families */
    bool by_rank;
    /* Whether a label set stays; NULL: each does. */
    totals_keep_fn keep;
    const void *context;
};
/* Appends the content of a file. Label sets that `old` has stay; of others, in the order of the snapshot, as many as
 * the limit allows, and the rest is added up. `folded` (may be NULL) gets the number of label sets of that rest.
 * KVTEL_OK, KVTEL_E_LIMIT (more families than there may be), KVTEL_E_NOMEM. */
enum kvtel_status totals_encode(const struct totals_contents *contents, const struct totals *old,
                                struct kvtel_buffer *bytes, uint64_t *folded);

#endif
