/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a store's file: its lanes, which are copied in pieces, and the numbers in them. */
#include "base/error.h"
#include "collect/reader_state.h"
#include "collect/snapshot.h"
#include "record/lane.h"

#include <errno.h>
#include <unistd.h>

/* Limits for a file whose header claims more lanes than the file holds. Reading costs at most LANES_FACTOR times the
 * memory that the file takes, and LANES_FREE bytes on top. */
enum { LANES_FREE = 64 << 20, LANES_FACTOR = 16 };

static enum kvtel_status read_lane(void *context, uint32_t lane, uint64_t word, size_t count, uint64_t *copy)
{
    struct kvtel_store_reader *reader = context;
    uint64_t at = reader->header.lanes_at + lane * reader->header.lane_stride + word * sizeof(uint64_t);
    enum kvtel_status status = kvtel_reader_read(reader->fd, copy, count * sizeof(uint64_t), at);
    reader->read_error = status == KVTEL_E_IO ? errno : 0;
    kvtel_lane_fence(memory_order_acquire); /* the kernel's loads for the next call come after those for this call */
    return status;
}

static enum kvtel_status read_lines(void *context, uint32_t first, uint32_t count, uint64_t *copy)
{
    struct kvtel_store_reader *reader = context;
    const size_t line = KVTEL_LINE_WORDS * sizeof(*copy);
    enum kvtel_status status =
        kvtel_reader_read(reader->fd, copy, count * line, reader->header.lines_at + first * line);
    reader->read_error = status == KVTEL_E_IO ? errno : 0;
    kvtel_lane_fence(memory_order_acquire); /* as read_lane() */
    return status;
}

static enum kvtel_status read_open(void *context, struct kvtel_layout_open *copy)
{
    struct kvtel_store_reader *reader = context;
    uint64_t count;
    enum kvtel_status status = kvtel_reader_read(reader->fd, &count, sizeof(count),
                                                 KVTEL_LAYOUT_OPEN_AT + offsetof(struct kvtel_layout_open, peer_count));
    kvtel_lane_fence(memory_order_acquire); /* names that are counted do not change */
    if (status == KVTEL_OK)
        status = kvtel_reader_read(reader->fd, copy, sizeof(*copy), KVTEL_LAYOUT_OPEN_AT);
    reader->read_error = status == KVTEL_E_IO ? errno : 0;
    atomic_store_explicit(&copy->peer_count, status == KVTEL_OK ? count : 0, memory_order_relaxed);
    return status;
}

/* Whether the file has no memory at the lane, so that all its words are 0. Some file systems cannot tell; then
 * false. */
static bool is_empty_lane(void *context, uint32_t lane)
{
    const struct kvtel_store_reader *reader = context;
    off_t at = (off_t)(reader->header.lanes_at + lane * reader->header.lane_stride);
    off_t data = lseek(reader->fd, at, SEEK_DATA);
    return data < 0 ? errno == ENXIO && lseek(reader->fd, 0, SEEK_END) > at
                    : data >= at + (off_t)reader->header.lane_stride;
}

void kvtel_store_reader_set_change(struct kvtel_store_reader *reader, kvtel_view_fn change, void *context)
{
    reader->change = change;
    reader->change_context = context;
}

/* The tables as they were copied. */
static enum kvtel_status make_view(struct kvtel_store_reader *reader, struct kvtel_view *view,
                                   struct kvtel_error *error)
{
    *view = (struct kvtel_view){
        .families = (const void *)reader->tables[KVTEL_FAMILIES],
        .bounds = (const void *)reader->tables[KVTEL_BOUNDS],
        .series = (const void *)reader->tables[KVTEL_SERIES],
        .groups = (const void *)reader->tables[KVTEL_GROUPS],
        .feeds = (const void *)reader->tables[KVTEL_FEEDS],
        .strings = reader->tables[KVTEL_STRINGS],
        .family_count = reader->family_count,
        .series_count = reader->series_count,
        .group_count = reader->group_count,
        .lane_count = reader->lane_count,
        .slot_count = reader->slot_count,
        .removed_count = reader->removed_count,
        .earlier_boot = reader->earlier_boot,
        .read = read_lane,
        .read_lines = read_lines,
        .read_open = read_open,
        .is_empty = is_empty_lane,
        .open_at = reader->header.open_at,
        .open_count = reader->header.open_count,
        .ended = reader->ended,
        .in_order = reader->in_order,
        .most_words = (LANES_FREE + LANES_FACTOR * reader->allocated) / sizeof(uint64_t),
        .context = reader,
    };
    if (reader->change && reader->change(reader->change_context, view) != KVTEL_OK)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    return KVTEL_OK;
}

enum kvtel_status kvtel_store_reader_view(struct kvtel_store_reader *reader, struct kvtel_view *view,
                                          struct kvtel_error *error)
{
    enum kvtel_status status = kvtel_reader_follow_tables(reader, error);
    if (status == KVTEL_OK && reader->header.open_count > 0 && !reader->ended) { /* before the numbers are read */
        reader->ended = kvtel_store_reader_state(reader) == KVTEL_STORE_ENDED;
        reader->in_order = reader->ended && kvtel_store_reader_ending(reader) == KVTEL_ENDING_CLOSED;
    }
    return status == KVTEL_OK ? make_view(reader, view, error) : status;
}

bool kvtel_store_reader_has_open(const struct kvtel_store_reader *reader)
{
    return reader->header.open_count > 0;
}

bool kvtel_store_reader_has_kept(const struct kvtel_store_reader *reader)
{
    return reader->source.valid;
}

const struct kvtel_source *kvtel_store_reader_source(const struct kvtel_store_reader *reader)
{
    return &reader->source;
}

enum kvtel_status kvtel_store_reader_kept_view(struct kvtel_store_reader *reader, struct kvtel_view *view)
{
    enum kvtel_status status = make_view(reader, view, NULL);
    if (view->series_count > reader->source.series_count)
        view->series_count = reader->source.series_count;
    return status;
}

/* Fills `error` for a part of the store that could not be used. Returns the status. */
enum kvtel_status kvtel_reader_fail_part(const struct kvtel_store_reader *reader, enum kvtel_status status,
                                         struct kvtel_error *error)
{
    if (status == KVTEL_E_MISMATCH)
        return kvtel_fail(
            error, status, 0,
            "a part was left out: a family, or a sample of it, has the name of another one elsewhere, or a lane "
            "holds what no writer leaves behind");
    if (status == KVTEL_E_LIMIT)
        return kvtel_fail(error, status, 0,
                          "it pretends to more than its file holds, or to amounts that cannot be added up");
    if (status == KVTEL_E_FORMAT)
        return kvtel_fail(error, status, reader->header.lanes_at, "%s",
                          reader->source.fell ? "its counts are lower than before, so somebody else wrote into the file"
                                              : "lanes that no writer leaves behind");
    if (status == KVTEL_E_NOMEM)
        return kvtel_fail(error, status, 0, "out of memory");
    return status == KVTEL_OK ? status
                              : kvtel_reader_fail_read(error, status, reader->read_error, reader->header.lanes_at);
}

enum kvtel_status kvtel_store_reader_refresh(struct kvtel_store_reader *reader, struct kvtel_worker *worker,
                                             struct kvtel_error *error)
{
    struct kvtel_view view;
    enum kvtel_status status = kvtel_store_reader_view(reader, &view, error);
    return status == KVTEL_OK
               ? kvtel_reader_fail_part(reader, kvtel_source_refresh(&reader->source, &view, worker), error)
               : status;
}

void kvtel_store_reader_forget(struct kvtel_store_reader *reader)
{
    kvtel_source_forget(&reader->source);
}

enum kvtel_status kvtel_snapshot_add_kept(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *reader)
{
    struct kvtel_view view;
    enum kvtel_status status = kvtel_store_reader_kept_view(reader, &view);
    return status == KVTEL_OK ? kvtel_snapshot_add_source(snapshot, &view, &reader->source) : status;
}

enum kvtel_status kvtel_snapshot_add_reader(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *reader,
                                            struct kvtel_error *error)
{
    enum kvtel_status status = kvtel_store_reader_refresh(reader, &kvtel_snapshot_workers(snapshot)->each[0], error);
    if (status != KVTEL_OK && status != KVTEL_E_MISMATCH)
        return status;
    enum kvtel_status added = kvtel_snapshot_add_kept(snapshot, reader);
    return added == KVTEL_OK ? status : kvtel_reader_fail_part(reader, added, error);
}
