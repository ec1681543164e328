/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a recorder. */
#ifndef KVTEL_RECORD_RECORDER_H
#define KVTEL_RECORD_RECORDER_H

#include <kvtel/recorder.h>

#include "record/store.h"

/* What of a transfer a column takes. */
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

struct kvtel_operation {
    const uint64_t *token; /* of the store */
    uint64_t head_at;      /* words of the lane: where the group's rows are counted, and where they stand */
    uint64_t block_at;
    struct kvtel_store *store;
    const struct kvtel_group *group; /* NULL: a series belongs to another group, each is written by itself */
    uint32_t column_count;
    uint8_t sources[KVTEL_SOURCES]; /* of each column */
    bool is_point_to_point;         /* a group of its own with the columns duration, post, bytes, descriptors */
    uint32_t feed_count;
    struct kvtel_group_feed feeds[KVTEL_LAYOUT_COLUMNS];
    struct kvtel_operation *next;
    char *name, *status;
};

/* How many columns a point-to-point operation has. */
enum { KVTEL_POINT_TO_POINT = 4 };

enum { KVTEL_CHANNEL_SERIES = 8 };

/* Series that take the same value. */
struct kvtel_channel {
    struct kvtel_store *store;
    uint32_t count;
    uint32_t series[KVTEL_CHANNEL_SERIES];
    bool ones; /* counters count the calls, not the value */
    struct kvtel_channel *next;
};

struct kvtel_family_handle {
    const struct kvtel_metric *metric;
    uint32_t family;
};

struct kvtel_recorder {
    struct kvtel_store *store;
    const struct kvtel_connector *connector;
    const struct kvtel_operation *first; /* never NULL */
    const struct kvtel_channel *failures[KVTEL_FAILURE_COUNT];
    struct kvtel_operation *operations;
    struct kvtel_channel *channels;
    char *engine;
    bool windows;
    uint32_t window_families[2];
    /* What a handle is for which there was no room: whatever is recorded through it is counted as dropped. */
    struct kvtel_operation lost_operation;
    struct kvtel_channel lost_channel;
    size_t family_count;
    struct kvtel_family_handle families[];
};

#endif
