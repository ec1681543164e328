/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a store's file: its tables, which are copied and checked once, as they grow. */
#include <kvtel/reader.h>

#include "base/error.h"
#include "collect/reader_state.h"
#include "histogram/bins.h"
#include "collect/check.h"
#include "record/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RECORDS_MAX = 1 << 20,
    /* Limits for a file whose header claims more than the file holds. Reading costs at most TABLES_FACTOR times the
     * memory that the file takes (a sparse copy lacks its pages of 0), and TABLES_FREE bytes on top. */
    TABLES_FREE = 1 << 20,
    TABLES_FACTOR = 4,
};
_Static_assert(RECORDS_MAX == KVTEL_LAYOUT_LANE_BYTES / 1024, "as many records as a writer's tables have room for");

/* Reads exactly `size` bytes at offset `at`. */
enum kvtel_status kvtel_reader_read(int fd, void *bytes, size_t size, uint64_t at)
{
    char *place = bytes;
    while (size > 0) {
        ssize_t got = pread(fd, place, size, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? KVTEL_E_TRUNCATED : KVTEL_E_IO;
        place += got;
        size -= (size_t)got;
        at += (uint64_t)got;
    }
    return KVTEL_OK;
}

/* Fills `error` for a read that failed at offset `at`. `number`: errno, used unless the status is KVTEL_E_TRUNCATED. */
enum kvtel_status kvtel_reader_fail_read(struct kvtel_error *error, enum kvtel_status status, int number, uint64_t at)
{
    if (status == KVTEL_E_TRUNCATED)
        return kvtel_fail(error, status, (size_t)at, "the file is cut short");
    return kvtel_fail_system(error, number, (size_t)at, "reading failed");
}

int kvtel_store_file_open(int dir, const char *name, int flags, struct stat *status, struct kvtel_error *error)
{
    int fd;
    if (fstatat(dir, name, status, flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) != 0) {
        (void)kvtel_fail_system(error, errno, 0, "cannot be opened");
        return -1;
    }
    if (!S_ISREG(status->st_mode)) {
        (void)kvtel_fail(error, KVTEL_E_FORMAT, 0,
                         S_ISLNK(status->st_mode) ? "a symbolic link is not followed" : "not a file");
        return -1;
    }
    /* O_NONBLOCK: the name may refer to a pipe by now, and opening a pipe must not block. */
    do
        fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0 && fstat(fd, status) == 0 && S_ISREG(status->st_mode))
        return fd;
    (void)kvtel_fail_system(error, fd < 0 ? errno : EINVAL, 0, "cannot be opened");
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

enum kvtel_status kvtel_store_reader_open(const char *path, struct kvtel_store_reader **made, struct kvtel_error *error)
{
    struct stat status;
    struct kvtel_error why = { 0 };
    int fd = kvtel_store_file_open(AT_FDCWD, path, 0, &status, &why);
    if (fd >= 0)
        return kvtel_store_reader_take(fd, made, error);
    if (error)
        *error = why;
    return why.status;
}

enum kvtel_status kvtel_store_reader_take(int fd, struct kvtel_store_reader **made, struct kvtel_error *error)
{
    struct kvtel_store_reader *reader = calloc(1, sizeof(*reader));
    if (!reader) {
        (void)close(fd);
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    }
    reader->fd = fd;
    enum kvtel_status result = kvtel_reader_read(reader->fd, &reader->header, sizeof(reader->header), 0);
    result = result == KVTEL_OK ? kvtel_check_header(&reader->header, error)
                                : kvtel_reader_fail_read(error, result, errno, 0);
    if (result != KVTEL_OK) {
        kvtel_store_reader_close(reader);
        return result;
    }
    reader->header.open_at = 0; /* up to follow_open() */
    reader->header.open_count = 0;
    uint64_t boot = kvtel_boot_hash();
    reader->earlier_boot = boot != 0 && reader->header.boot_hash != 0 && reader->header.boot_hash != boot;
    *made = reader;
    return KVTEL_OK;
}

enum kvtel_ending kvtel_store_reader_ending(const struct kvtel_store_reader *reader)
{
    uint64_t ending;
    if (kvtel_reader_read(reader->fd, &ending, sizeof(ending), KVTEL_LAYOUT_ENDING_AT) != KVTEL_OK)
        return KVTEL_ENDING_UNKNOWN;
    return ending == KVTEL_ENDING_NONE     ? KVTEL_ENDING_NONE
           : ending == KVTEL_ENDING_CLOSED ? KVTEL_ENDING_CLOSED
                                           : KVTEL_ENDING_UNKNOWN;
}

void kvtel_store_reader_close(struct kvtel_store_reader *reader)
{
    if (!reader)
        return;
    if (reader->fd >= 0)
        (void)close(reader->fd);
    for (size_t i = 0; i < KVTEL_TABLES; i++)
        free(reader->tables[i]);
    free(reader->slots_taken);
    free(reader->fed);
    kvtel_source_free(&reader->source);
    free(reader);
}

bool kvtel_store_reader_is_open(const struct kvtel_store_reader *reader)
{
    return reader->fd >= 0;
}

void kvtel_store_reader_park(struct kvtel_store_reader *reader)
{
    if (reader->fd >= 0)
        (void)close(reader->fd);
    reader->fd = -1;
}

void kvtel_store_reader_resume(struct kvtel_store_reader *reader, int fd)
{
    kvtel_store_reader_park(reader);
    reader->fd = fd;
}

/* Whether the writer is alive: it holds a write lock. The test asks for a read lock, so that another reader's lock
 * does not count. */
enum kvtel_store_state kvtel_store_reader_state(const struct kvtel_store_reader *reader)
{
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    return fcntl(reader->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK ? KVTEL_STORE_ENDED : KVTEL_STORE_LIVE;
}

void kvtel_store_reader_info(const struct kvtel_store_reader *reader, struct kvtel_store_info *info)
{
    kvtel_header_info(&reader->header, info);
    info->transfers_untracked = reader->untracked;
    info->tokens_refused = reader->tokens_refused;
}

/* Extends the copy of a table to `size` bytes. */
static enum kvtel_status copy_table(struct kvtel_store_reader *reader, enum kvtel_table table, uint64_t size,
                                    struct kvtel_error *error)
{
    const struct kvtel_layout_table *place = &reader->header.tables[table];
    uint64_t had = reader->sizes[table];
    if (size <= had)
        return KVTEL_OK;
    if (size > place->size)
        return kvtel_fail(error, KVTEL_E_FORMAT, place->at, "a table larger than its place");
    if (size > TABLES_FREE + TABLES_FACTOR * reader->allocated)
        return kvtel_fail(error, KVTEL_E_FORMAT, place->at, "a table larger than the file");
    char *larger = realloc(reader->tables[table], size);
    if (!larger)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    reader->tables[table] = larger;
    enum kvtel_status status = kvtel_reader_read(reader->fd, larger + had, size - had, place->at + had);
    if (status != KVTEL_OK)
        return kvtel_reader_fail_read(error, status, errno, place->at + had);
    reader->sizes[table] = size;
    return KVTEL_OK;
}

/* Copies text and checks that it consists of `count` texts, each followed by a NUL. The texts of a table follow each
 * other: this one must begin at *end or later, and *end moves to its end. */
static enum kvtel_status copy_text(struct kvtel_store_reader *reader, uint64_t at, uint64_t size, uint64_t count,
                                   uint64_t *end, struct kvtel_error *error)
{
    uint64_t place = reader->header.tables[KVTEL_STRINGS].at, room = reader->header.tables[KVTEL_STRINGS].size;
    if (at < *end || at > room || size > room - at)
        return kvtel_fail(error, KVTEL_E_FORMAT, place, "text outside its place");
    enum kvtel_status status = copy_table(reader, KVTEL_STRINGS, at + size, error);
    if (status != KVTEL_OK || size == 0)
        return status != KVTEL_OK || count == 0 ? status
                                                : kvtel_fail(error, KVTEL_E_FORMAT, place + at, "texts are missing");
    const char *text = reader->tables[KVTEL_STRINGS] + at;
    uint64_t found = 0;
    for (uint64_t i = 0; i < size; i++)
        found += text[i] == '\0';
    if (found != count || text[size - 1] != '\0')
        return kvtel_fail(error, KVTEL_E_FORMAT, place + at, "texts that do not end where they should");
    *end = at + size;
    return KVTEL_OK;
}

static enum kvtel_status check_family(struct kvtel_store_reader *reader, uint32_t i, struct kvtel_error *error)
{
    const struct kvtel_layout_family *family =
        (const struct kvtel_layout_family *)(void *)reader->tables[KVTEL_FAMILIES] + i;
    uint64_t at = reader->header.tables[KVTEL_FAMILIES].at + i * sizeof(*family);
    bool histogram = family->type == KVTEL_HISTOGRAM;
    uint64_t text = reader->family_text;
    int32_t first;
    uint32_t count;
    if (family->type > KVTEL_HISTOGRAM || family->unit > KVTEL_UNIT_RATIO ||
        family->label_count > KVTEL_LAYOUT_LABELS || family->bound_count > (histogram ? KVTEL_LAYOUT_BOUNDS : 0) ||
        family->bounds_at < reader->bounds_end || family->bounds_at > RECORDS_MAX)
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "a family that cannot be");
    kvtel_bins_range((enum kvtel_unit)family->unit, &first, &count);
    if (family->exponential_count != (histogram ? count : 0) || (histogram && family->exponential_first != first))
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "a family with another exponential range than its unit has");
    enum kvtel_status status =
        copy_text(reader, family->text_at, family->text_size, 2 + family->label_count, &text, error);
    if (status == KVTEL_OK && histogram)
        status = copy_table(reader, KVTEL_BOUNDS, ((uint64_t)family->bounds_at + family->bound_count) * sizeof(double),
                            error);
    if (status != KVTEL_OK)
        return status;
    if (!kvtel_check_names(reader->tables[KVTEL_STRINGS] + family->text_at, family->label_count, histogram))
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "a name that is none, or twice");
    if (histogram && !kvtel_check_bounds(reader->tables[KVTEL_BOUNDS], family))
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "bounds that do not ascend");
    const uint32_t slots = histogram ? kvtel_slots_of(family->bound_count) : 1;
    reader->slots_of_series = slots > reader->slots_of_series ? slots : reader->slots_of_series;
    reader->family_text = text;
    reader->bounds_end = (uint64_t)family->bounds_at + family->bound_count;
    return KVTEL_OK;
}

/* Whether the second part of a lane contains `words` words from `word` on. */
static bool is_in_lane(const struct kvtel_store_reader *reader, uint64_t word, uint64_t words)
{
    uint64_t first = reader->header.slots_size / sizeof(uint64_t), end = reader->header.lane_stride / sizeof(uint64_t);
    return word >= first && word <= end && words <= end - word;
}

/* Marks slots as used. Fails if another record uses one of them, or if they are outside the slots that the records
 * can have. */
static enum kvtel_status take_slots(struct kvtel_store_reader *reader, uint32_t slot, uint32_t count, uint64_t at,
                                    struct kvtel_error *error)
{
    const uint64_t end = (uint64_t)slot + count;
    if (end > reader->slots_most || end > reader->header.slots_size / (KVTEL_SLOT_WORDS * sizeof(uint64_t)))
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "a slot outside its place");
    if (!kvtel_marks_reserve(&reader->slots_taken, &reader->slots_room, (uint32_t)end))
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    for (uint32_t i = slot; i < end; i++) {
        if (reader->slots_taken[i])
            return kvtel_fail(error, KVTEL_E_FORMAT, at, "a slot that another record has");
    }
    memset(reader->slots_taken + slot, 1, count);
    reader->slot_count = end > reader->slot_count ? (uint32_t)end : reader->slot_count;
    return KVTEL_OK;
}

static enum kvtel_status check_series(struct kvtel_store_reader *reader, uint32_t i, struct kvtel_error *error)
{
    const struct kvtel_layout_series *series =
        (const struct kvtel_layout_series *)(void *)reader->tables[KVTEL_SERIES] + i;
    const struct kvtel_layout_family *families =
        (const struct kvtel_layout_family *)(void *)reader->tables[KVTEL_FAMILIES];
    uint64_t at = reader->header.tables[KVTEL_SERIES].at + i * sizeof(*series);
    if (series->family >= reader->family_count)
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "a series that cannot be");
    const struct kvtel_layout_family *family = &families[series->family];
    bool histogram = family->type == KVTEL_HISTOGRAM;
    if (histogram && (series->cells_at < reader->cells_end || !is_in_lane(reader, series->cells_at, KVTEL_CELLS)))
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "cells outside their place");
    const uint64_t exemplars = kvtel_exemplar_place(family->bound_count + 1, family->bound_count + 1);
    if (series->exemplars_at != 0 && (!histogram || series->exemplars_at < reader->exemplars_end ||
                                      !is_in_lane(reader, series->exemplars_at, exemplars)))
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "exemplars outside their place");
    uint64_t text = reader->series_text;
    enum kvtel_status status = copy_text(reader, series->text_at, series->text_size, family->label_count, &text, error);
    if (status == KVTEL_OK)
        status = take_slots(reader, series->slot, histogram ? kvtel_slots_of(family->bound_count) : 1, at, error);
    if (status != KVTEL_OK)
        return status;
    reader->series_text = text;
    reader->cells_end = histogram ? series->cells_at + KVTEL_CELLS : reader->cells_end;
    reader->exemplars_end = series->exemplars_at != 0 ? series->exemplars_at + exemplars : reader->exemplars_end;
    return KVTEL_OK;
}

static enum kvtel_status check_group(struct kvtel_store_reader *reader, uint32_t i, struct kvtel_error *error)
{
    const struct kvtel_layout_group *group =
        (const struct kvtel_layout_group *)(void *)reader->tables[KVTEL_GROUPS] + i;
    const struct kvtel_layout_series *series = (const struct kvtel_layout_series *)(void *)reader->tables[KVTEL_SERIES];
    const struct kvtel_layout_family *families =
        (const struct kvtel_layout_family *)(void *)reader->tables[KVTEL_FAMILIES];
    uint64_t at = reader->header.tables[KVTEL_GROUPS].at + i * sizeof(*group);
    uint64_t block = (uint64_t)group->columns * KVTEL_BLOCK_ROWS;
    if (group->columns > KVTEL_LAYOUT_COLUMNS || group->feed_count == 0 || group->feed_count > KVTEL_LAYOUT_COLUMNS ||
        group->feeds_at < reader->feeds_end || group->feeds_at > RECORDS_MAX || group->block_at < reader->blocks_end ||
        !is_in_lane(reader, group->block_at, block))
        return kvtel_fail(error, KVTEL_E_FORMAT, at, "a group that cannot be");
    enum kvtel_status status = copy_table(
        reader, KVTEL_FEEDS, ((uint64_t)group->feeds_at + group->feed_count) * sizeof(struct kvtel_layout_feed), error);
    if (status != KVTEL_OK)
        return status;
    if (!kvtel_marks_reserve(&reader->fed, &reader->fed_room, reader->series_count))
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    const struct kvtel_layout_feed *feeds =
        (const struct kvtel_layout_feed *)(void *)reader->tables[KVTEL_FEEDS] + group->feeds_at;
    for (uint32_t k = 0; k < group->feed_count; k++) {
        bool known = feeds[k].series < reader->series_count && feeds[k].column < group->columns &&
                     feeds[k].kind <= KVTEL_COLUMN_ONE;
        uint32_t type = known ? families[series[feeds[k].series].family].type : KVTEL_GAUGE;
        if (!known || type != (feeds[k].kind == KVTEL_COLUMN_OBSERVE ? KVTEL_HISTOGRAM : KVTEL_COUNTER) ||
            reader->fed[feeds[k].series])
            return kvtel_fail(error, KVTEL_E_FORMAT, at, "a group that feeds what it cannot");
        for (uint32_t j = 0; j < k; j++) {
            if (feeds[j].series == feeds[k].series)
                return kvtel_fail(error, KVTEL_E_FORMAT, at, "a group that feeds a series twice");
        }
    }
    status = take_slots(reader, group->slot, 1, at, error);
    for (uint32_t k = 0; k < group->feed_count && status == KVTEL_OK; k++)
        reader->fed[feeds[k].series] = 1;
    if (status == KVTEL_OK) {
        reader->feeds_end = (uint64_t)group->feeds_at + group->feed_count;
        reader->blocks_end = group->block_at + block;
    }
    return status;
}

/* Copies and checks the records that were appended to a table since the last call. */
static enum kvtel_status follow(struct kvtel_store_reader *reader, enum kvtel_table table, size_t record,
                                uint64_t count, uint32_t most, uint32_t *checked,
                                enum kvtel_status (*check)(struct kvtel_store_reader *, uint32_t, struct kvtel_error *),
                                struct kvtel_error *error)
{
    if (count < *checked || count > most)
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, family_count),
                          "a count that cannot be");
    enum kvtel_status status = copy_table(reader, table, count * record, error);
    while (status == KVTEL_OK && *checked < count) {
        status = check(reader, *checked, error);
        *checked += status == KVTEL_OK;
    }
    return status;
}

/* The header's page, of which the words that change are read: all in one read, which costs less than two short ones. */
union header_page {
    struct kvtel_layout_header header;
    char bytes[KVTEL_LAYOUT_PAGE];
};

static uint64_t removed_in(const union header_page *page)
{
    uint64_t removed;
    memcpy(&removed, page->bytes + KVTEL_LAYOUT_REMOVED_AT, sizeof(removed));
    return removed;
}

static enum kvtel_status read_counts(struct kvtel_store_reader *reader, union header_page *counts,
                                     struct kvtel_error *error)
{
    enum { FROM = offsetof(struct kvtel_layout_header, family_count) };
    enum kvtel_status status = kvtel_reader_read(reader->fd, counts->bytes + FROM, sizeof(*counts) - FROM, FROM);
    kvtel_lane_fence(memory_order_acquire); /* pairs with the release stores of the counts */
    return status == KVTEL_OK ? status : kvtel_reader_fail_read(error, status, errno, FROM);
}

/* Copies which series were removed, if there are more of them now. To be called when the counts were read: a label set
 * that was removed and made anew would stand twice otherwise. */
static enum kvtel_status follow_removed(struct kvtel_store_reader *reader, struct kvtel_error *error)
{
    const uint64_t at = reader->header.tables[KVTEL_SERIES].at;
    const size_t size = reader->series_count * sizeof(struct kvtel_layout_series);
    uint64_t removed;
    enum kvtel_status status = kvtel_reader_read(reader->fd, &removed, sizeof(removed), KVTEL_LAYOUT_REMOVED_AT);
    kvtel_lane_fence(memory_order_acquire); /* pairs with the release store of kvtel_store_series_remove() */
    if (status != KVTEL_OK)
        return kvtel_reader_fail_read(error, status, errno, KVTEL_LAYOUT_REMOVED_AT);
    if (removed == reader->removed_count || size == 0)
        return KVTEL_OK;
    struct kvtel_layout_series *series = (struct kvtel_layout_series *)(void *)reader->tables[KVTEL_SERIES];
    struct kvtel_layout_series *now = malloc(size); /* only one word of a record may have changed */
    if (!now)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    status = kvtel_reader_read(reader->fd, now, size, at);
    if (status != KVTEL_OK)
        status = kvtel_reader_fail_read(error, status, errno, at);
    for (uint32_t i = 0; status == KVTEL_OK && i < reader->series_count; i++)
        atomic_store_explicit(&series[i].removed, now[i].removed, memory_order_relaxed);
    free(now);
    reader->removed_count = status == KVTEL_OK ? removed : reader->removed_count;
    return status;
}

/* Takes note of the places of open transfers, which a store gets once, and of what is counted of them. The place of
 * the first is known where the count is not 0, so it is read once more when the count is first seen. */
static enum kvtel_status follow_open(struct kvtel_store_reader *reader, const union header_page *page,
                                     struct kvtel_error *error)
{
    const uint32_t count = page->header.open_count;
    uint64_t numbers[2], at = page->header.open_at;
    enum kvtel_status status = KVTEL_OK;
    if (count == 0)
        return KVTEL_OK;
    if (reader->header.open_count == 0)
        status = kvtel_reader_read(reader->fd, &at, sizeof(at), offsetof(struct kvtel_layout_header, open_at));
    if (status != KVTEL_OK)
        return kvtel_reader_fail_read(error, status, errno, offsetof(struct kvtel_layout_header, open_at));
    if (count > KVTEL_LAYOUT_OPEN_MOST || at % KVTEL_OPEN_WORDS != 0 ||
        !is_in_lane(reader, at, (uint64_t)count * KVTEL_OPEN_WORDS))
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, open_at),
                          "open transfers outside their place");
    memcpy(numbers, page->bytes + KVTEL_LAYOUT_OPEN_AT, sizeof(numbers));
    reader->header.open_at = at;
    reader->header.open_count = count;
    reader->untracked = numbers[0];
    reader->tokens_refused = numbers[1];
    return KVTEL_OK;
}

/* Brings the copies of the tables up to date. Counts are read in an order in which a record is counted before the
 * records to which it refers. */
enum kvtel_status kvtel_reader_follow_tables(struct kvtel_store_reader *reader, struct kvtel_error *error)
{
    union header_page pages[3];
    enum kvtel_status status = read_counts(reader, &pages[0], error);
    const struct kvtel_layout_header *groups = &pages[0].header, *series = groups, *families = groups;
    const bool appended = status == KVTEL_OK &&
                          (groups->group_count != reader->group_count || groups->series_count != reader->series_count ||
                           groups->family_count != reader->family_count);
    if (appended && (status = read_counts(reader, &pages[1], error)) == KVTEL_OK) {
        status = read_counts(reader, &pages[2], error);
        series = &pages[1].header;
        families = &pages[2].header;
    }
    struct stat file;
    if (status == KVTEL_OK && fstat(reader->fd, &file) != 0)
        status = kvtel_fail_system(error, errno, 0, "reading failed");
    if (status != KVTEL_OK)
        return status;
    reader->allocated = (uint64_t)file.st_blocks * 512;
    if (status == KVTEL_OK)
        status = follow(reader, KVTEL_FAMILIES, sizeof(struct kvtel_layout_family), families->family_count,
                        KVTEL_LAYOUT_FAMILIES, &reader->family_count, check_family, error);
    reader->slots_most = families->series_count > RECORDS_MAX || families->group_count > RECORDS_MAX
                             ? 0 /* refused below */
                             : families->series_count * reader->slots_of_series + families->group_count;
    if (status == KVTEL_OK)
        status = follow(reader, KVTEL_SERIES, sizeof(struct kvtel_layout_series), series->series_count, RECORDS_MAX,
                        &reader->series_count, check_series, error);
    if (status == KVTEL_OK)
        status = follow(reader, KVTEL_GROUPS, sizeof(struct kvtel_layout_group), groups->group_count, RECORDS_MAX,
                        &reader->group_count, check_group, error);
    if (status != KVTEL_OK)
        return status;
    if (groups->lane_count > reader->header.max_lanes)
        return kvtel_fail(error, KVTEL_E_FORMAT, offsetof(struct kvtel_layout_header, lane_count),
                          "more lanes than there can be");
    if (appended || removed_in(&pages[0]) != reader->removed_count)
        status = follow_removed(reader, error);
    if (status != KVTEL_OK)
        return status;
    reader->lane_count = (uint32_t)groups->lane_count;
    reader->header.family_count = reader->family_count;
    reader->header.series_count = reader->series_count;
    reader->header.group_count = reader->group_count;
    reader->header.lane_count = reader->lane_count;
    reader->header.series_dropped = families->series_dropped;
    reader->header.records_dropped = families->records_dropped;
    reader->header.values_refused = families->values_refused;
    reader->header.file_deleted = families->file_deleted;
    return follow_open(reader, &pages[0], error);
}
