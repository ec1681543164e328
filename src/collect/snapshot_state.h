/* SPDX-License-Identifier: Apache-2.0 */
/* What a snapshot holds, for the files that make it up. */
#ifndef KVTEL_COLLECT_SNAPSHOT_STATE_H
#define KVTEL_COLLECT_SNAPSHOT_STATE_H

#include "base/index.h"
#include "collect/series.h"
#include "collect/snapshot.h"

/* One family, with room for more series. */
struct kvtel_snapshot_entry {
    struct kvtel_snapshot_family shown; /* its series_count counts the series of completed additions only */
    const struct kvtel_bins *layout;
    struct kvtel_snapshot_series *series;
    size_t series_count, series_capacity;
    uint32_t hash;
};

/* The place of a label set, found through the index. */
struct kvtel_snapshot_place {
    uint32_t family, position;
    uint32_t hash;
    uint32_t text_size;
    struct kvtel_collected *pending; /* the prepared value, not shown yet; NULL: none */
};

/* A source that the snapshot follows, as it was the last time. */
struct kvtel_catalog_source {
    uint64_t id, state;
    uint64_t removed_count;
    uint32_t family_count, series_count;
    size_t first; /* its series' places begin there */
    enum kvtel_status status;
};
/* A series of a source, whose numbers a place adds up. */
struct kvtel_feeder {
    uint32_t source, series;
};
/* What the snapshot follows. */
struct kvtel_catalog {
    bool valid;   /* the snapshot has what the sources had, and nothing else */
    bool borrows; /* see kvtel_snapshot_borrow() */
    struct kvtel_catalog_source *sources;
    size_t source_count, source_room;
    uint32_t *places; /* of all series of all sources */
    size_t series_count, place_room;
    uint32_t *starts; /* for each place: where its feeders begin; one more */
    size_t start_room;
    struct kvtel_feeder *feeders;
    size_t feeder_room;
    size_t used, wasted; /* words of bins that were replaced by wider ones, and of those */
    uint64_t state, structure;
};

/* A store of this process that was added, with its numbers since the second time. */
struct kvtel_kept_store {
    const struct kvtel_store *store;
    uint64_t token; /* the store's, as another one may stand in its place later */
    uint64_t round; /* in which it was added last */
    struct kvtel_source source;
};
/* What a snapshot keeps of such stores from one reset to the next. */
struct kvtel_kept {
    struct kvtel_kept_store *stores;
    size_t count, room, next;
    uint64_t round; /* goes up with each reset */
    bool taken;     /* a store was read as a whole into a source in this round */
};

struct kvtel_snapshot {
    /* Entries beyond family_count keep the memory of their series for reuse. */
    struct kvtel_snapshot_entry *families;
    size_t family_count, shown_families, family_capacity;
    struct kvtel_snapshot_place *places;
    size_t place_count, shown_places, place_capacity;
    struct kvtel_index family_index, series_index;
    struct kvtel_bins *layouts;
    size_t layout_count;
    struct kvtel_arena arena;
    struct kvtel_workers workers; /* memory for reading */
    struct kvtel_catalog catalog;
    struct kvtel_kept kept;
};

static inline struct kvtel_snapshot_series *kvtel_snapshot_series_at(const struct kvtel_snapshot *snapshot,
                                                                     uint32_t place)
{
    const struct kvtel_snapshot_place *of = &snapshot->places[place];
    return &snapshot->families[of->family].series[of->position];
}

/* Begins the next round: forgets stores that were not added in the last one, and gives back what only the first reading
 * of a store needed. */
void kvtel_kept_turn(struct kvtel_snapshot *snapshot);
void kvtel_kept_free(struct kvtel_kept *kept);

/* A store among those that are kept; a new one is one of round 0. NULL: no memory. */
struct kvtel_kept_store *kvtel_kept_store(struct kvtel_kept *kept, const struct kvtel_store *store, uint64_t token);

/* Finds or makes the places of all series. Series of families that do not match, and series that were removed, get
 * KVTEL_INDEX_NONE. They get their layouts like all others, because their rows hold values of other series, too.
 * KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_snapshot_map(struct kvtel_snapshot *snapshot, struct kvtel_addition *addition);
/* Makes room in a shown series for the exemplars of `more`. False: no memory, and nothing is changed. */
bool kvtel_snapshot_reserve_exemplars(struct kvtel_snapshot *snapshot, struct kvtel_snapshot_series *shown,
                                      const struct kvtel_collected *more);
/* Whether the sums stay within the range of numbers. A store for which they would not is not merged. */
bool kvtel_snapshot_fits(const struct kvtel_snapshot_series *shown, const struct kvtel_collected *more,
                         enum kvtel_metric_type type);
/* Takes over newer exemplars, for which there is room. */
void kvtel_snapshot_merge_exemplars(struct kvtel_snapshot_series *shown, const struct kvtel_collected *more);
/* Adds to a shown series, whose bins include those of `more` or are none: then it takes over the memory of these. */
void kvtel_snapshot_merge(struct kvtel_snapshot_series *shown, const struct kvtel_collected *more,
                          enum kvtel_metric_type type);

#endif
