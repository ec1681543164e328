/* SPDX-License-Identifier: Apache-2.0 */
/* Retiring: the numbers of ended stores are moved into the totals. */
#include "serve/retire_totals.h"

#include "base/error.h"
#include "serve/receiver_sources.h"
#include "serve/store_dir.h"
#include "collect/reader.h"
#include "collect/snapshot.h"

#include <errno.h>
#include <kvtel/recorder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The pause after writing is PAUSE_NS and twice the time that writing took, at most PAUSE_MAX_NS. */
static const uint64_t PAUSE_NS = 200000000u, PAUSE_MAX_NS = 2000000000u;

/* Number of families of the store that the snapshot lacks; SIZE_MAX: the store cannot be read. */
static size_t count_new_families(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *reader,
                                 struct kvtel_error *error)
{
    struct kvtel_view view;
    size_t count = 0;
    if (kvtel_store_reader_view(reader, &view, error) != KVTEL_OK)
        return SIZE_MAX;
    enum kvtel_status status = kvtel_snapshot_takes(snapshot, &view);
    if (status != KVTEL_OK) {
        (void)kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
        return SIZE_MAX;
    }
    for (uint32_t i = 0; i < view.family_count; i++)
        count += !kvtel_snapshot_find(snapshot, view.strings + view.families[i].text_at);
    return count;
}

/* Adds one store to the batch. On failure `error` says why; KVTEL_E_MISMATCH: nothing of the store was added. */
static enum kvtel_status add_store(struct store_dir *dir, struct store_entry *entry, struct kvtel_error *error)
{
    struct kvtel_snapshot *scratch = dir->retirement.scratch;
    if (entry->lost) {
        enum kvtel_status status = kvtel_snapshot_add_kept(scratch, entry->reader);
        return status == KVTEL_OK || status == KVTEL_E_MISMATCH
                   ? KVTEL_OK
                   : kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    }
    if (store_dir_resume(dir, entry, error) != KVTEL_OK) /* a collection may have closed it */
        return error->status;
    size_t families = count_new_families(scratch, entry->reader, error);
    if (families == SIZE_MAX)
        return error->status;
    if (kvtel_snapshot_family_count(scratch) + families > TOTALS_FAMILIES)
        return kvtel_fail(error, KVTEL_E_LIMIT, 0, "with its %zu families there would be more than %d in the totals",
                          families, TOTALS_FAMILIES);
    kvtel_store_reader_forget(entry->reader); /* a killed writer may not have marked its last amount */
    enum kvtel_status status = kvtel_snapshot_add_reader(scratch, entry->reader, error);
    entry->damaged = status == KVTEL_E_MISMATCH;
    return entry->damaged ? KVTEL_OK : status;
}

/* Ends its retirement until the totals are others: its file keeps the numbers that they cannot take. */
static void hold(struct store_dir *dir, struct store_entry *entry)
{
    entry->held = true;
    serve_log_printf(dir->log, WEB_LOG_WARN,
                     "ended store %s stays a file: the totals have another definition of a family of it; drop that one "
                     "with kvtel totals --drop",
                     entry->name);
}

/* Adds ended stores to the totals in the scratch snapshot, and marks them. `names` returns the names of all stores
 * that are included and whose files still exist. Returns the number of stores added. */
static size_t add_ended(struct store_dir *dir, const char **names, size_t *name_count)
{
    size_t count = 0;
    for (size_t i = 0; i < dir->count; i++) {
        struct store_entry *entry = &dir->entries[i];
        struct kvtel_error why = { 0 };
        entry->retiring = false;
        entry->ended = entry->state == STORE_ENDED;
        if (entry->state == STORE_RETIRED)
            names[(*name_count)++] = entry->name;
        if (entry->state != STORE_ENDED || entry->held || (entry->lost && !entry->settled) ||
            count == dir->retirement.batch)
            continue;
        enum kvtel_status status = add_store(dir, entry, &why);
        if (entry->damaged)
            store_dir_say_mismatch(dir, entry);
        if (status == KVTEL_E_MISMATCH) {
            hold(dir, entry);
        } else if (status == KVTEL_OK) {
            names[(*name_count)++] = entry->name;
            entry->retiring = true;
            count++;
        } else if (kvtel_error_is_passing(&why)) {
            continue;
        } else if (status != KVTEL_E_LIMIT && kvtel_store_reader_has_kept(entry->reader)) {
            store_dir_lose(dir, entry, &why);
        } else {
            store_dir_refuse(dir, entry, &why, kvtel_now_ns());
        }
    }
    return count;
}

/* Makes new totals from the scratch snapshot, and writes them to the file. KVTEL_E_IO with `totals` that are not empty:
 * they are in the file, but the disk did not confirm it. The caller frees them. */
static enum kvtel_status write_totals(struct store_dir *dir, const struct totals_contents *contents,
                                      struct totals *totals, struct kvtel_error *error)
{
    struct retirement *retirement = &dir->retirement;
    const struct totals_identity before = retirement->file;
    struct kvtel_buffer content = { 0 };
    uint64_t folded;
    enum kvtel_status status = totals_encode(contents, &retirement->totals, &content, &folded);
    if (status != KVTEL_OK)
        (void)kvtel_fail(error, status, 0, "new totals cannot be made: %s", kvtel_status_text(status));
    if (status == KVTEL_OK) /* decoding also proves that the next start can read the file */
        status = totals_decode(&content, totals, error);
    if (status == KVTEL_OK)
        status = retire_totals_write(dir, &totals->bytes, error);
    if (status != KVTEL_OK && totals_identity_equal(&before, &retirement->file))
        totals_free(totals);
    retirement->folded += status == KVTEL_OK ? folded : 0;
    kvtel_buffer_free(&content);
    return status;
}

/* The totals include the stores of the batch now: replaces the old totals and removes the files. */
static void commit(struct store_dir *dir, pthread_mutex_t *lock, struct totals *totals)
{
    pthread_mutex_lock(lock);
    struct totals old = dir->retirement.totals; /* under the lock: a scrape keeps numbers in them */
    dir->retirement.totals = *totals;
    for (size_t i = 0; i < dir->count; i++) {
        if (!dir->entries[i].retiring)
            continue;
        dir->entries[i].state = STORE_RETIRED;
        dir->retirement.retired++;
    }
    pthread_mutex_unlock(lock);
    totals_free(&old);
    for (size_t i = dir->count; i-- > 0;) {
        struct store_entry *entry = &dir->entries[i];
        if (!entry->retiring)
            continue;
        entry->retiring = false;
        serve_log_printf(dir->log, WEB_LOG_DEBUG, "store %s has ended; its numbers are in the totals", entry->name);
        bool gone =
            entry->lost || entry->damaged ? store_dir_set_aside(dir, entry) : store_dir_unlink(dir, entry->name);
        pthread_mutex_lock(lock);
        if (gone) {
            store_dir_remove(dir, i);
        } else {
            store_dir_close_reader(dir, entry);
        }
        pthread_mutex_unlock(lock);
        if (!gone)
            serve_log_printf(dir->log, WEB_LOG_WARN,
                             "store %s is in the totals, but its file cannot be removed; it is not read any more",
                             entry->name);
    }
}

/* After a failure, fewer stores are tried at a time, so that a store that cannot be added does not hold up the
 * others. A store that fails alone is refused. */
static void take_failure(struct store_dir *dir, pthread_mutex_t *lock, const struct kvtel_error *error, uint64_t now_ns)
{
    struct retirement *retirement = &dir->retirement;
    bool passing = error->status == KVTEL_E_IO || error->status == KVTEL_E_NOMEM;
    if (passing) {
        retirement->next_ns = now_ns + RETIRE_RETRY_NS;
        retire_say(dir, WEB_LOG_ERROR, "ended stores stay as they are and count from their files; retrying in 10 s",
                   error->message);
    }
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < dir->count; i++) {
        if (dir->entries[i].retiring && !passing && retirement->batch == 1)
            store_dir_refuse(dir, &dir->entries[i], error, now_ns);
        dir->entries[i].retiring = false;
    }
    pthread_mutex_unlock(lock);
    retirement->batch = retirement->batch > 1 ? retirement->batch / 2 : 1;
}

/* Retires one batch. False: there was nothing to add. */
static bool retire_batch(struct store_dir *dir, pthread_mutex_t *lock, uint64_t now_ns)
{
    struct retirement *retirement = &dir->retirement;
    struct kvtel_error error = { 0 };
    struct totals totals = { 0 };
    const char **names = malloc((dir->count + 1) * sizeof *names);
    size_t name_count = 0, count = 0;
    kvtel_snapshot_reset(retirement->scratch);
    enum kvtel_status status = names ? totals_add_to(&retirement->totals, retirement->scratch) : KVTEL_E_NOMEM;
    if (status != KVTEL_OK) {
        (void)kvtel_fail(&error, status, 0, "the totals cannot be added to: %s", kvtel_status_text(status));
    } else {
        pthread_mutex_lock(lock);
        count = add_ended(dir, names, &name_count);
        pthread_mutex_unlock(lock);
    }
    const struct totals_contents contents = {
        .snapshot = retirement->scratch,
        .stores = names,
        .store_count = name_count,
        .limit = retirement->limit,
        .separate = RECEIVER_FAMILIES,
        .by_rank = dir->by_rank,
    };
    if (status == KVTEL_OK && count > 0)
        status = write_totals(dir, &contents, &totals, &error);
    free(names);
    if (status != KVTEL_OK) {
        totals_free(&totals); /* where they are in the file, retire_totals_look() takes them from there */
        take_failure(dir, lock, &error, now_ns);
        return true;
    }
    if (count == 0)
        return false;
    commit(dir, lock, &totals);
    retirement->batch = retirement->batch < RETIRE_BATCH ? retirement->batch * 2 : RETIRE_BATCH;
    return true;
}

static void end_writer(struct store_dir *dir, const struct store_entry *entry)
{
    struct kvtel_store_info info;
    kvtel_store_reader_info(entry->reader, &info);
    if (strcmp(info.connector, STORE_OWN_CONNECTOR) != 0)
        writers_ended(&dir->writers, &info, entry->name, kvtel_store_reader_ending(entry->reader) != KVTEL_ENDING_NONE,
                      kvtel_now_ns());
}

static bool mark_ended(struct store_dir *dir)
{
    bool any = false;
    for (size_t i = 0; i < dir->count; i++) {
        struct store_entry *entry = &dir->entries[i];
        if (entry->state == STORE_LIVE && store_dir_has_ended(dir, entry)) {
            entry->state = STORE_ENDED;
            end_writer(dir, entry);
        }
        any = any || (entry->state == STORE_ENDED && !entry->held);
    }
    store_dir_mark_seconds(dir);
    return any;
}

uint64_t retire_ended(struct store_dir *dir, pthread_mutex_t *lock, uint64_t now_ns)
{
    struct retirement *retirement = &dir->retirement;
    pthread_mutex_lock(lock);
    bool ended = mark_ended(dir);
    pthread_mutex_unlock(lock);
    if (dir->read_only || dir->displaced || !retire_totals_look(dir, lock, now_ns))
        return UINT64_MAX;
    if (ended && now_ns >= retirement->next_ns) {
        uint64_t began = kvtel_now_ns();
        retirement->next_ns = 0;
        ended = retire_batch(dir, lock, now_ns);
        if (ended && retirement->next_ns == 0) {
            uint64_t done_ns = kvtel_now_ns(), pause = PAUSE_NS + 2 * (done_ns - began);
            retirement->next_ns = done_ns + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
        }
    }
    retire_totals_reserve(dir);
    return ended && retirement->next_ns > now_ns ? retirement->next_ns - now_ns : UINT64_MAX;
}

enum kvtel_status retire_drop(struct store_dir *dir, totals_keep_fn keep, const void *context, size_t *dropped,
                              struct kvtel_error *error)
{
    struct retirement *retirement = &dir->retirement;
    struct totals totals = { 0 };
    const char **names = malloc((dir->count + 1) * sizeof *names);
    size_t name_count = 0, before = retirement->totals.series_count;
    for (size_t i = 0; names && i < dir->count; i++)
        if (dir->entries[i].state == STORE_RETIRED)
            names[name_count++] = dir->entries[i].name;
    const struct totals_contents contents = {
        .snapshot = retirement->scratch,
        .stores = names,
        .store_count = name_count,
        .by_rank = dir->by_rank,
        .keep = keep,
        .context = context,
    };
    kvtel_snapshot_reset(retirement->scratch);
    enum kvtel_status status =
        names && !dir->read_only ? totals_add_to(&retirement->totals, retirement->scratch) : KVTEL_E_NOMEM;
    if (dir->read_only)
        status = kvtel_fail(error, KVTEL_E_IO, 0, "%.100s may only be read", dir->path);
    else if (status != KVTEL_OK)
        (void)kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    if (status == KVTEL_OK)
        status = write_totals(dir, &contents, &totals, error);
    free(names);
    if (status != KVTEL_OK && totals.bytes.size == 0)
        return status;
    totals_free(&retirement->totals);
    retirement->totals = totals;
    *dropped = before - totals.series_count;
    return KVTEL_OK;
}
