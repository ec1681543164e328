/* SPDX-License-Identifier: Apache-2.0 */
/* What a store's reader holds, for the files that make it up. */
#ifndef KVTEL_COLLECT_READER_STATE_H
#define KVTEL_COLLECT_READER_STATE_H

#include "collect/reader.h"

struct kvtel_store_reader {
    int fd;
    struct kvtel_layout_header header;
    bool earlier_boot;
    bool ended,
        in_order; /* looked at only in a store with places of open transfers: its writer has ended, and said so */
    char *tables[KVTEL_TABLES];
    uint64_t sizes[KVTEL_TABLES];                                 /* bytes copied */
    uint32_t family_count, series_count, group_count, lane_count; /* records that were copied and checked */
    uint32_t slot_count;
    uint32_t slots_of_series;           /* the most that a series of any family has */
    uint64_t slots_most;                /* as many as the records can have */
    uint64_t removed_count;             /* series that were removed, as of the copies */
    uint64_t untracked, tokens_refused; /* as of the copies */
    uint64_t allocated;                 /* bytes of memory or disk that the file occupies */
    /* The lowest place at which the next record's part may begin, so that no two records share text, bounds, feeds,
     * cells, exemplars or blocks. */
    uint64_t family_text, series_text, bounds_end, feeds_end, cells_end, exemplars_end, blocks_end;
    uint8_t *slots_taken; /* of each slot: 1 if a record uses it */
    uint8_t *fed;         /* of each series: 1 if a group feeds it */
    uint32_t slots_room, fed_room;
    int read_error;             /* errno of the last failed read of a lane */
    struct kvtel_source source; /* the numbers as of the last time that they could be read */
    kvtel_view_fn change;       /* NULL: views are returned as they are */
    void *change_context;
};

/* Reads exactly `size` bytes at offset `at`. KVTEL_OK, KVTEL_E_TRUNCATED, KVTEL_E_IO (errno). */
enum kvtel_status kvtel_reader_read(int fd, void *bytes, size_t size, uint64_t at);
/* Fills `error` for a read that failed at offset `at`. `number`: errno, used unless the status is KVTEL_E_TRUNCATED.
 * Returns the status. */
enum kvtel_status kvtel_reader_fail_read(struct kvtel_error *error, enum kvtel_status status, int number, uint64_t at);
/* Fills `error` for a part of the store that could not be used. Returns the status. */
enum kvtel_status kvtel_reader_fail_part(const struct kvtel_store_reader *reader, enum kvtel_status status,
                                         struct kvtel_error *error);
/* Brings the copies of the tables up to date. */
enum kvtel_status kvtel_reader_follow_tables(struct kvtel_store_reader *reader, struct kvtel_error *error);

#endif
