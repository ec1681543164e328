/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a recorder, shared by the code that makes handles (recorder.c) and the code that records through them
 * (record.c). */
#ifndef KVTEL_RECORD_RECORDER_H
#define KVTEL_RECORD_RECORDER_H

#include <kvtel/recorder.h>

#include "record/exemplar.h"
#include "record/lane.h"
#include "record/open.h"

/* The part of a transfer that a column stores. */
enum kvtel_source {
    KVTEL_SOURCE_DURATION,
    KVTEL_SOURCE_POST,
    KVTEL_SOURCE_BYTES,
    KVTEL_SOURCE_DESCRIPTORS,
    KVTEL_SOURCE_FAILED,
    KVTEL_SOURCE_FIRST_BYTE,
    KVTEL_SOURCE_DATA,
    KVTEL_SOURCES
};

/* Whether integers of this part are nanoseconds. */
static inline bool kvtel_source_is_ns(enum kvtel_source source)
{
    return source == KVTEL_SOURCE_DURATION || source == KVTEL_SOURCE_POST || source == KVTEL_SOURCE_FIRST_BYTE ||
           source == KVTEL_SOURCE_DATA;
}

struct kvtel_operation {
    const uint64_t *token; /* of the store */
    /* The store, if the columns are duration, post, bytes, descriptors, in this order; else NULL. */
    const struct kvtel_store *plain_store;
    uint64_t head_at;  /* word of this part of the lane: the group's row counter */
    uint64_t block_at; /* word of the lane: the group's rows */
    uint8_t head_part; /* enum kvtel_lane_part */
    uint8_t head_mask; /* 0: the head is not in the lane's line, so each row is a rare case; else all ones */
    bool is_windows;   /* the columns are those of a plain row, and time to the first byte and from it */
    bool has_points;   /* there are columns of these times, but not so */
    bool is_simple;    /* it has a group, and no columns of these times */
    struct kvtel_store *store;
    const struct kvtel_row_group
        *group; /* NULL: a series belongs to another group, so each series is written by itself */
    uint32_t column_count;
    uint8_t sources[KVTEL_SOURCES];    /* of each column */
    uint8_t less[KVTEL_SOURCES];       /* of each column: 1 if a 0 means "not measured" */
    uint32_t ns;                       /* a bit for each column whose integers are nanoseconds */
    uint32_t counted;                  /* a bit for each column whose rows are counted */
    enum kvtel_source exemplar_source; /* the part that is an exemplar's value */
    struct kvtel_exemplar_places exemplars;
    uint32_t feed_count;
    struct kvtel_row_group_feed feeds[KVTEL_LAYOUT_COLUMNS];
    bool is_tracked; /* transfers that are begun are visible while they are open */
    uint32_t outcomes[KVTEL_OUTCOMES];
    const struct kvtel_recorder *recorder;
    struct kvtel_operation *next;
    char *name, *status;
};

/* Fills, from group and columns, what record.c needs to know to write a row. */
void kvtel_operation_prepare(struct kvtel_operation *operation);

/* The number of columns of a point-to-point operation. */
enum { KVTEL_POINT_TO_POINT = 4 };

enum { KVTEL_INSTRUMENT_SERIES = 8 };

/* Series to which a named value is recorded: all get the same value. */
struct kvtel_instrument {
    struct kvtel_store *store;
    uint32_t count;
    uint32_t series[KVTEL_INSTRUMENT_SERIES];
    bool ones; /* counters add 1 for each call instead of the value */
    struct kvtel_instrument *next;
};

struct kvtel_family_handle {
    const struct kvtel_metric *metric;
    uint32_t family;
};

struct kvtel_recorder {
    struct kvtel_store *store;
    const struct kvtel_connector *connector;
    const struct kvtel_operation *first; /* never NULL */
    const struct kvtel_instrument *failures[KVTEL_FAILURE_COUNT];
    struct kvtel_operation *operations;
    struct kvtel_instrument *instruments;
    char *engine;
    bool windows, exemplars;
    uint32_t window_families[2];
    bool tracks; /* its operations' transfers are visible while they are open */
    uint32_t unfinished_family;
    /* Handles that are returned when the store has no room for the series. What is recorded through them is counted
     * as dropped. */
    struct kvtel_operation lost_operation;
    struct kvtel_instrument lost_instrument;
    size_t family_count;
    struct kvtel_family_handle families[];
};

/* As kvtel_lane_record(), for a caller that has begun its call and owns the lane, which is of the operation's store.
 * Ends the call: the thread's token is `token` afterwards. */
bool kvtel_record_inside(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                         const struct kvtel_transfer *transfer, uint64_t token);
/* The same with an exemplar, where the operation has places for it. */
bool kvtel_record_exemplar_inside(struct kvtel_lane *lane, const struct kvtel_operation *operation,
                                  const struct kvtel_transfer *transfer, const struct kvtel_exemplar *exemplar,
                                  uint64_t token);
/* As kvtel_record_operation(), and faster where the operation has few columns: for a transfer without points in time,
 * with numbers for all of the operation's columns. */
bool kvtel_record_measured(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer);
/* Warns that a family, a series or the memory of a group could not be made; `status` and errno name the cause. */
void kvtel_recorder_warn_no_room(struct kvtel_store *store, enum kvtel_status status);
/* Makes the store's families for the metrics that the configuration enables. */
void kvtel_recorder_make_families(struct kvtel_recorder *recorder, const struct kvtel_transfer_config *config);
/* Makes the series that vLLM creates in advance, so that an idle engine shows zeros. */
void kvtel_recorder_make_idle_series(struct kvtel_recorder *recorder);
/* Makes a series without a group. `own`: values of the family's own labels. */
bool kvtel_recorder_bare_series(struct kvtel_recorder *recorder, uint32_t family, const char *const *own,
                                size_t own_count, bool exemplars, uint32_t *series);
/* The same for a metric of the connector. */
bool kvtel_recorder_series(struct kvtel_recorder *recorder, const struct kvtel_family_handle *handle,
                           const char *const *own, size_t own_count, uint32_t *series);
/* Label values that the connector's table fixes: none, or values[i] of the metric's only label. */
const char *const *kvtel_recorder_table_labels(const struct kvtel_metric *metric, size_t i);
/* Index of `key` in a metric's fields; 0 for a typed metric, which is its own field; -1: not found. */
int kvtel_recorder_field(const struct kvtel_recorder *recorder, const struct kvtel_metric *metric, const char *key);

#endif
