/* SPDX-License-Identifier: Apache-2.0 */
/* One answer of /api/v1/summary, or the same made on this machine, as numbers. Every text is bounded and comes from
 * elsewhere: top/page.h escapes it before it reaches a terminal. One thread at a time. */
#ifndef KVTEL_TOP_STATE_H
#define KVTEL_TOP_STATE_H

#include <kvtel/base.h>

#include "base/arena.h"

/* Limits of what is kept; the rest is left out. Memory grows with what there is. */
enum {
    TOP_ENTRIES = 16384,
    TOP_FLOWS = 64,
    TOP_CLASSES = 32,
    TOP_BINS = 4096,
    TOP_OPEN = 256,
    TOP_SLOWEST = 5,
    TOP_PEERS = 256,
    TOP_PARTS = 128 /* answers of one summary; an exporter gives 256 entries in each */
};

/* A histogram; see docs/api-summary.md. Bounds ascend; that of the last bin may be infinite. */
struct top_bins {
    bool is_known;
    uint64_t count;
    double sum;
    const double *bounds;
    const uint64_t *counts;
    size_t size;
};

/* Failures by class. */
struct top_class {
    const char *name;
    uint64_t count;
};
struct top_classes {
    const struct top_class *all;
    size_t count;
};

/* One of the transfers that took longest. */
struct top_slow {
    double seconds, time;
    const char *labels; /* NAME=VALUE, separated by blanks */
};

/* What a histogram is of. */
enum top_histogram { TOP_TIME, TOP_POST, TOP_SIZE, TOP_HISTOGRAMS };

struct top_flow {
    const char *name;
    bool has_transfers, has_bytes, has_failed;
    uint64_t transfers, failed;
    double bytes;
    struct top_classes failures;
    struct top_bins bins[TOP_HISTOGRAMS];
    struct top_slow slowest[TOP_SLOWEST];
    size_t slowest_count;
};

/* A connector in an engine. */
struct top_entry {
    const char *connector, *model, *engine;
    const struct top_flow *flows;
    size_t flow_count;
    uint64_t failed;
    struct top_classes failures;
};

/* Open transfers of one operation. */
struct top_open_row {
    const char *connector, *model, *engine, *operation;
    uint64_t open, stalled;
    double oldest_seconds;
};

/* One open transfer. */
struct top_open {
    const char *connector, *engine, *operation, *peer;
    uint64_t pid;
    double bytes; /* NaN: not known */
    double age_seconds;
    bool stalled;
};

/* A peer of transfers, over all engines; counts since they began. */
struct top_peer {
    const char *name;
    uint64_t transfers, failed, unseen; /* completed; ended with an error; of which no end was seen */
    uint64_t open;
    double bytes, oldest_seconds;
};

/* Start from {0}. */
struct top_state {
    struct kvtel_arena arena;
    double time; /* seconds since 1970 */
    double uptime_seconds;
    uint64_t recording, sources, entries_total, peers_total;
    const struct top_entry *entries;
    size_t entry_count;
    size_t given, given_last; /* entries that all answers had, and the last one */
    size_t parts;             /* answers */
    bool has_moved;           /* engines came or went between two answers */
    const struct top_open_row *open;
    size_t open_count;
    const struct top_open *oldest;
    size_t oldest_count;
    bool has_peers; /* false: nothing is known of peers */
    const struct top_peer *peers;
    size_t peer_count;
};

/* Reads a summary. `state` is closed before it is filled; it is empty on failure.
 * @return KVTEL_OK; KVTEL_E_SYNTAX, KVTEL_E_TYPE: not a summary; KVTEL_E_MISMATCH: a summary of another version of
 * kvtel; KVTEL_E_NOMEM. `error` has a sentence that follows the name of the source. */
enum kvtel_status top_state_read(struct top_state *state, const char *json, size_t size, struct kvtel_error *error);
/* Adds the entries of a further part of the summary that `state` has; an entry that it has already is left out.
 * Statuses as above, and KVTEL_E_MISMATCH also for a part of an exporter that was restarted since. On failure `state`
 * is as it was, or, for want of memory, empty. */
enum kvtel_status top_state_read_more(struct top_state *state, const char *json, size_t size,
                                      struct kvtel_error *error);
void top_state_close(struct top_state *state);

/* Whether what the state lacks was not there. An entry whose place changes between two parts may be in neither. */
bool top_state_has_all(const struct top_state *state);
/* The entry of the same connector, model and engine, or NULL. `hint`: where it probably is. */
const struct top_entry *top_state_find(const struct top_state *state, const struct top_entry *like, size_t hint);
/* The peer of that name, or NULL. `hint`: where it probably is. */
const struct top_peer *top_state_peer(const struct top_state *state, const char *name, size_t hint);
/* The flow of that name, or NULL. */
const struct top_flow *top_entry_flow(const struct top_entry *entry, const char *name);
/* The count of a class, or 0. */
uint64_t top_classes_count(const struct top_classes *classes, const char *name);

/* The value below which the share `q` of the values lies that came since `earlier` (NULL: of all), as the page
 * computes it. NaN: none came. */
double top_bins_quantile(const struct top_bins *earlier, const struct top_bins *later, double q);
/* The octave of what is beyond each finite bound. */
enum { TOP_OCTAVE_BEYOND = 36 };
/* How many of them are above 2^(octave - 1) and at most 2^octave. */
uint64_t top_bins_octave(const struct top_bins *earlier, const struct top_bins *later, int octave);
/* The octaves of the smallest and the largest of them. False: none came. */
bool top_bins_range(const struct top_bins *earlier, const struct top_bins *later, int *first, int *last);

#endif
