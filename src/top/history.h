/* SPDX-License-Identifier: Apache-2.0 */
/* What grew from one summary to the next, and in the last minute. One thread at a time. */
#ifndef KVTEL_TOP_HISTORY_H
#define KVTEL_TOP_HISTORY_H

#include "top/state.h"

enum { TOP_SAMPLES = 64, TOP_CHECKPOINTS = 16, TOP_QUANTILES = 3 };
#define TOP_WINDOW_SECONDS 60.0

/* How many transfers one flow had done, at moments of the last minute. */
struct top_track {
    char *key;
    bool used;
    double at[TOP_SAMPLES], transfers[TOP_SAMPLES]; /* a ring */
    size_t first, count;
    double last_at, last_transfers, last_bytes; /* of the summary before */
};

/* One flow of one connector in one engine. What is not known is NaN. */
struct top_row {
    const struct top_entry *entry;
    const struct top_flow *flow;          /* NULL: the entry has none */
    bool is_first;                        /* of its entry */
    bool has_window;                      /* the numbers of the window are known */
    const struct top_entry *entry_before; /* at the window's start; NULL: it was not there, all is new */
    const struct top_flow *flow_before;
    double transfers_rate, bytes_rate; /* a second, since the summary before */
    double quantiles[TOP_QUANTILES];   /* P50, P90, P99 of the time, in the window */
    double open;                       /* transfers that are open now */
    uint64_t failed, failed_total;     /* in the window; since the counts began */
    const struct top_track *track;
};

/* A peer. What is not known is NaN. */
struct top_peer_row {
    const struct top_peer *peer;
    double transfers_rate, bytes_rate; /* a second, since the summary before */
    uint64_t failed;                   /* in the window; 0 where that is not known */
};

/* Start from {0}. */
struct top_history {
    bool whole;                                    /* the window is all time: for one summary alone */
    struct top_state now;                          /* the newest summary */
    struct top_state next;                         /* the one that is being read, in parts */
    bool any;                                      /* there is one */
    struct top_state checkpoints[TOP_CHECKPOINTS]; /* earlier ones, the oldest first, at most a minute old */
    size_t checkpoint_count;
    double window_seconds; /* how long the window is; 0: there is only one summary */
    struct top_track **tracks;
    size_t track_count;
    struct top_row *rows;
    size_t row_count, row_room;
    struct top_peer_row peers[TOP_PEERS];
    size_t peer_count;
    double transfers_rate, bytes_rate; /* of all rows */
    uint64_t open, stalled;            /* of all */
    bool has_open;
};

/* Takes the next summary. Where it is of the same time as the last one, nothing changes; where the exporter restarted
 * since, the history begins anew. Statuses as of top_state_read(). On failure all stays as it is, except that for want
 * of memory rows of the new summary may be incomplete. */
enum kvtel_status top_history_add(struct top_history *history, const char *json, size_t size,
                                  struct kvtel_error *error);
/* The same for a summary in parts: begin() takes the first one, more() each further one, as long as missing() says from
 * which offset on entries are missing (0: none), and end() takes the whole. Statuses as above, and those of
 * top_state_read_more(). */
enum kvtel_status top_history_begin(struct top_history *history, const char *json, size_t size,
                                    struct kvtel_error *error);
enum kvtel_status top_history_more(struct top_history *history, const char *json, size_t size,
                                   struct kvtel_error *error);
size_t top_history_missing(const struct top_history *history);
enum kvtel_status top_history_end(struct top_history *history, struct kvtel_error *error);
/* Takes an exporter's /api/v1/history after the first summary: the window and the trend are then those of the last
 * minute at once. What is not a history is left alone; without memory the window begins now. */
void top_history_add_past(struct top_history *history, const char *json, size_t size);
void top_history_close(struct top_history *history);

/* Transfers a second in the part `i` of `parts` of the last minute, the newest last. NaN: not known. */
double top_history_spark(const struct top_history *history, const struct top_row *row, size_t i, size_t parts);
/* Failures of each class that the row stands for, in the window, as "CLASS COUNT, ..."; "" for none. */
void top_history_failures(const struct top_row *row, bool whole, char *text, size_t size);

#endif
