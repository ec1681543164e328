/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of stores. */
#include "serve/store_dir.h"

#include "base/error.h"
#include "serve/retire.h"
#include "serve/store_place.h"
#include "collect/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <kvtel/recorder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Closed stores that are read together, with descriptors beyond that limit. */
enum { CLOSED_AT_ONCE = 16 };
static const uint64_t FAILING_NS = UINT64_C(60000000000);

void store_dir_close(struct store_dir *dir)
{
    retire_close(dir); /* looks at the entries */
    for (size_t i = 0; i < dir->count; i++)
        store_dir_free_entry(dir, &dir->entries[i]);
    free(dir->entries);
    free(dir->reading.at);
    free(dir->reading.readers);
    free(dir->reading.errors);
    writers_free(&dir->writers);
    store_place_close(dir);
    free(dir->path);
    *dir = STORE_DIR_CLOSED;
}

enum kvtel_status store_dir_open(struct store_dir *dir, const struct store_dir_options *options,
                                 struct kvtel_error *error)
{
    *dir = STORE_DIR_CLOSED;
    dir->path = strdup(options->path);
    dir->by_rank = options->by_rank;
    dir->shared_place = options->shared_place;
    dir->most_open = options->most_open;
    dir->log = options->log;
    dir->look = true;
    dir->writers.log = options->log;
    enum kvtel_status status = KVTEL_OK;
    if (!dir->path)
        status = kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    if (status == KVTEL_OK)
        status = store_place_open(dir, error);
    if (status == KVTEL_OK)
        status = retire_open(dir, error);
    if (status != KVTEL_OK)
        store_dir_close(dir);
    return status;
}

static bool is_retry_due(const struct store_dir *dir, uint64_t now_ns)
{
    for (size_t i = 0; i < dir->count; i++)
        if ((dir->entries[i].state == STORE_REFUSED || dir->entries[i].state == STORE_RETIRED) &&
            now_ns >= dir->entries[i].retry_ns)
            return true;
    return false;
}

void store_dir_poll(struct store_dir *dir, uint64_t now_ns)
{
    bool moved = store_place_moved(dir, now_ns), changed = store_place_changed(dir) || moved || dir->look;
    if (moved)
        dir->retirement.check_ns = 0; /* the totals must be written into the new directory, too, at once */
    for (size_t i = 0; dir->look && i < dir->count; i++)
        dir->entries[i].retry_ns = 0;
    dir->look = false;
    if (changed || dir->count == 0 || dir->postponed > 0 || dir->incomplete || is_retry_due(dir, now_ns))
        store_dir_scan(dir, now_ns);
}

/* -- Reading -- */

static bool has_kept(const struct store_entry *entry)
{
    return entry->reader && kvtel_store_reader_has_kept(entry->reader);
}

/* Whether a store may be readable again soon. One that was never read, whose file cannot be read for a minute, is
 * refused: until then all of the collection fails. */
static bool is_passing(const struct store_entry *entry, const struct kvtel_error *error, uint64_t now_ns)
{
    return kvtel_error_is_passing(error) &&
           (has_kept(entry) || error->status == KVTEL_E_NOMEM || error->system_error != EIO || entry->failed_ns == 0 ||
            now_ns - entry->failed_ns < FAILING_NS);
}

bool store_dir_keep(struct store_dir *dir, const char *name, struct kvtel_workers *workers)
{
    struct kvtel_error error = { 0 };
    bool found;
    size_t at = store_dir_find(dir, name, &found);
    if (!found || dir->entries[at].state >= STORE_RETIRED || dir->entries[at].lost)
        return false;
    struct store_entry *entry = &dir->entries[at];
    if (store_dir_resume(dir, entry, &error) != KVTEL_OK)
        return false;
    entry->own = true;
    enum kvtel_status status = kvtel_store_reader_refresh(entry->reader, &workers->each[0], &error);
    return status == KVTEL_OK || status == KVTEL_E_MISMATCH; /* the next collection says what is wrong */
}

/* Takes note of how reading a store ended. Returns KVTEL_OK if nothing is missing, or nothing that was ever shown. */
static enum kvtel_status judge(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error,
                               uint64_t now_ns)
{
    if (is_passing(entry, error, now_ns)) {
        if (entry->failed_ns == 0) {
            const char *const pairs[] = { "store", entry->name, "reason", error->message, NULL };
            serve_log_write(dir->log, WEB_LOG_WARN, "a store cannot be read now; the last numbers stay", pairs);
            entry->failed_ns = now_ns;
        }
        return error->status;
    }
    entry->failed_ns = 0;
    if (error->status == KVTEL_E_MISMATCH) {
        store_dir_say_mismatch(dir, entry);
    } else if (error->status != KVTEL_OK && error->status != KVTEL_E_LIMIT && has_kept(entry) &&
               !store_dir_has_twin(dir, entry)) {
        store_dir_lose(dir, entry, error);
        return error->status;
    } else if (error->status != KVTEL_OK) {
        store_dir_refuse(dir, entry, error, now_ns);
        entry->retry_ns = now_ns + FAILING_NS;
    }
    return KVTEL_OK;
}

/* Makes room for as many stores as there are. */
static bool reserve(struct store_dir *dir)
{
    struct store_reading *reading = &dir->reading;
    size_t room = dir->count + dir->count / 4 + 1;
    if (dir->count <= reading->room && reading->room > 0)
        return true;
    size_t *at = realloc(reading->at, room * sizeof *at);
    reading->at = at ? at : reading->at;
    struct kvtel_store_reader **readers = realloc(reading->readers, room * sizeof(struct kvtel_store_reader *));
    reading->readers = readers ? readers : reading->readers;
    struct kvtel_error *errors = realloc(reading->errors, room * sizeof *errors);
    reading->errors = errors ? errors : reading->errors;
    if (!at || !readers || !errors)
        return false;
    reading->room = room;
    return true;
}

/* Takes note of a store that could not be read: its numbers as of the last time count. Without such numbers counters
 * would seem to restart. */
static enum kvtel_status note(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error,
                              uint64_t now_ns)
{
    enum kvtel_status judged = judge(dir, entry, error, now_ns);
    bool stale = judged != KVTEL_OK && has_kept(entry);
    dir->stale += stale;
    return stale ? KVTEL_OK : judged;
}

/* Reads the stores of the list from `from` to `to` - 1. Closed files are opened for the read. */
static enum kvtel_status read_some(struct store_dir *dir, struct kvtel_workers *workers, size_t from, size_t to,
                                   uint64_t now_ns)
{
    struct store_reading *reading = &dir->reading;
    enum kvtel_status status = KVTEL_OK;
    size_t count = 0;
    for (size_t i = from; i < to; i++) {
        struct store_entry *entry = &dir->entries[reading->at[i]];
        struct kvtel_error error = { 0 };
        if (store_dir_resume(dir, entry, &error) == KVTEL_OK) {
            reading->at[from + count] = reading->at[i];
            reading->readers[count++] = entry->reader;
            continue;
        }
        enum kvtel_status noted = note(dir, entry, &error, now_ns);
        status = noted == KVTEL_OK ? status : noted;
    }
    kvtel_store_readers_refresh(workers, reading->readers, count, reading->errors);
    for (size_t i = 0; i < count; i++) {
        struct store_entry *entry = &dir->entries[reading->at[from + i]];
        enum kvtel_status noted = note(dir, entry, &reading->errors[i], now_ns);
        status = noted == KVTEL_OK ? status : noted;
        store_dir_park(dir, entry);
    }
    return status;
}

/* Appends to the list the entries whose file is open, or those whose file is closed, behind its first `count`.
 * Returns the list's new length. */
static size_t list_entries(const struct store_dir *dir, bool open, size_t *list, size_t count)
{
    for (size_t i = 0; i < dir->count; i++)
        if (dir->entries[i].state < STORE_RETIRED && !dir->entries[i].lost &&
            kvtel_store_reader_is_open(dir->entries[i].reader) == open)
            list[count++] = i;
    return count;
}

enum kvtel_status store_dir_read(struct store_dir *dir, struct kvtel_workers *workers)
{
    uint64_t now_ns = kvtel_now_ns();
    dir->stale = 0;
    if (!reserve(dir))
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < dir->count; i++)
        dir->stale += dir->entries[i].state < STORE_RETIRED && dir->entries[i].lost;
    size_t open = list_entries(dir, true, dir->reading.at, 0);
    size_t count = list_entries(dir, false, dir->reading.at, open);
    enum kvtel_status status = read_some(dir, workers, 0, open, now_ns);
    for (size_t from = open; from < count && status == KVTEL_OK; from += CLOSED_AT_ONCE)
        status = read_some(dir, workers, from, from + CLOSED_AT_ONCE < count ? from + CLOSED_AT_ONCE : count, now_ns);
    retire_keep_parts(dir, &workers->each[0]);
    return status;
}

/* -- Following -- */

static bool is_followed(const struct store_entry *entry)
{
    return entry->state < STORE_RETIRED && has_kept(entry);
}

size_t store_dir_follow_most(const struct store_dir *dir)
{
    return 1 + dir->count;
}

enum kvtel_status store_dir_follow(struct store_dir *dir, struct kvtel_followed *sources, size_t *count)
{
    enum kvtel_status status = retire_follow(dir, &sources[0]);
    *count = 1;
    for (size_t i = 0; i < dir->count && status == KVTEL_OK; i++) {
        struct store_entry *entry = &dir->entries[i];
        if (!is_followed(entry))
            continue;
        struct kvtel_followed *followed = &sources[(*count)++];
        *followed = (struct kvtel_followed){ .source = kvtel_store_reader_source(entry->reader) };
        status = kvtel_store_reader_kept_view(entry->reader, &followed->view);
    }
    return status;
}

void store_dir_followed(struct store_dir *dir, const struct kvtel_followed *sources)
{
    const struct kvtel_followed *followed = sources + 1; /* behind the totals */
    for (size_t i = 0; i < dir->count; i++) {
        struct store_entry *entry = &dir->entries[i];
        if (!is_followed(entry))
            continue;
        enum kvtel_status status = followed++->status;
        if (status == KVTEL_E_MISMATCH) {
            store_dir_say_mismatch(dir, entry);
        } else if (status == KVTEL_E_LIMIT && !entry->lost) {
            struct kvtel_error error = { 0 };
            (void)kvtel_fail(&error, status, 0, "its amounts cannot be added to those of other stores");
            uint64_t now_ns = kvtel_now_ns();
            store_dir_refuse(dir, entry, &error, now_ns);
            entry->retry_ns = now_ns + FAILING_NS;
        }
    }
}
