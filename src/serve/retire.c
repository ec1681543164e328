/* SPDX-License-Identifier: Apache-2.0 */
/* Retiring: the numbers of ended stores are moved into the totals. */
#include "serve/retire.h"

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

enum { BATCH = 512, RESERVE = 64 << 10 };
static const uint64_t RETRY_NS = 10000000000u, CHECK_NS = 60000000000u;
/* The pause after writing is PAUSE_NS and twice the time that writing took, at most PAUSE_MAX_NS. */
static const uint64_t PAUSE_NS = 200000000u, PAUSE_MAX_NS = 2000000000u;

static void say(struct store_dir *dir, enum web_log_level level, const char *message, const char *reason)
{
    const char *const pairs[] = { "dir", dir->path, "reason", reason, NULL };
    serve_log_write(dir->log, level, message, pairs);
}

/* Renames a damaged file. False: this failed. */
static bool set_aside(struct store_dir *dir, const char *reason)
{
    char name[64], message[256];
    struct kvtel_error error = { 0 };
    if (totals_file_set_aside(dir->path, name, &error) != KVTEL_OK) {
        if (!dir->retirement.unreadable)
            say(dir, WEB_LOG_ERROR, "the totals of ended stores are damaged, and cannot be set aside", error.message);
        dir->retirement.unreadable = true;
        return false;
    }
    dir->retirement.damaged++;
    snprintf(message, sizeof message,
             "the totals of ended stores, " TOTALS_NAME ", cannot be used; they are set aside as %s", name);
    say(dir, WEB_LOG_ERROR, message, reason);
    return true;
}

/* Whether the totals keep ranks apart and this exporter does not. Such totals are not used: the label might as well
 * be a writer's own, so ranks cannot be summed up. */
static bool is_apart(const struct store_dir *dir, const struct totals *totals)
{
    return totals->by_rank && !dir->by_rank;
}

/* Reserves room for the next totals, while there is some. */
static void fill_reserve(struct store_dir *dir)
{
    size_t size = dir->retirement.totals.bytes.size;
    if (!dir->read_only)
        totals_reserve_fill(dir->path, &dir->retirement.reserve, size + size / 4 + RESERVE);
}

/* Notes stores that the totals include but whose files still exist: the exporter was killed after it wrote the
 * totals, or could not tell that it had written them. Such stores are not read any more, and their files are
 * removed. False: no memory. */
static bool note_included(struct store_dir *dir)
{
    const char *name = dir->retirement.totals.stores;
    for (uint32_t i = 0; i < dir->retirement.totals.store_count; i++, name += strlen(name) + 1) {
        bool found, is_store = store_dir_is_store(name) && !strchr(name, '/');
        size_t at = store_dir_find(dir, name, &found);
        if (!is_store || store_dir_unlink(dir, name)) {
            if (found)
                store_dir_remove(dir, at);
            continue;
        }
        struct store_entry *entry = found ? &dir->entries[at] : store_dir_add(dir, at, name);
        if (!entry)
            return false;
        store_dir_close_reader(dir, entry);
        entry->state = STORE_RETIRED;
    }
    return true;
}

enum kvtel_status retire_open(struct store_dir *dir, struct kvtel_error *error)
{
    struct retirement *retirement = &dir->retirement;
    struct kvtel_error why = { 0 };
    retirement->batch = BATCH;
    retirement->scratch = kvtel_snapshot_create();
    if (!retirement->scratch)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    if (!dir->read_only)
        totals_remove_leftovers(dir->path);
    enum kvtel_status status = totals_file_read(dir->path, &retirement->totals, &retirement->file, &why);
    if ((status == KVTEL_E_FORMAT || status == KVTEL_E_TRUNCATED) && (dir->read_only || set_aside(dir, why.message)))
        status = KVTEL_OK;
    if (status != KVTEL_OK)
        return kvtel_fail(error, status, why.offset, "the totals of ended stores, %.80s/" TOTALS_NAME ": %.80s",
                          dir->path, why.message);
    if (is_apart(dir, &retirement->totals))
        return kvtel_fail(error, KVTEL_E_MISMATCH, 0,
                          "%.60s/" TOTALS_NAME
                          " keeps ranks apart: give --store.rank-label, or move that file away and begin anew",
                          dir->path);
    if ((dir->by_rank && totals_add_label(&retirement->totals, STORE_RANK_LABEL) != KVTEL_OK) || !note_included(dir))
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    fill_reserve(dir);
    return KVTEL_OK;
}

enum kvtel_status retire_collect(const struct store_dir *dir, struct kvtel_snapshot *snapshot)
{
    return totals_add_to(&dir->retirement.totals, snapshot);
}

/* Replaces the file. When the disk is full, memory of ended stores that contains zeros only is freed first. */
static enum kvtel_status write_file(struct store_dir *dir, const struct kvtel_buffer *content,
                                    struct kvtel_error *error)
{
    struct retirement *retirement = &dir->retirement;
    struct kvtel_error why = { 0 };
    enum kvtel_status status = totals_file_write(dir->path, content, &retirement->reserve, &retirement->file, &why);
    if (status != KVTEL_OK && (why.system_error == ENOSPC || why.system_error == EDQUOT)) {
        uint64_t freed = 0;
        char path[STORE_DIR_PATH];
        for (size_t i = 0; i < dir->count && freed < 2 * content->size + RESERVE; i++)
            if (dir->entries[i].ended && store_dir_path(dir, dir->entries[i].name, path))
                freed += totals_punch_zeros(path);
        serve_log_printf(dir->log, WEB_LOG_INFO,
                         "%s is full: %llu bytes of ended stores that hold nothing were given back", dir->path,
                         (unsigned long long)freed);
        why = (struct kvtel_error){ 0 };
        status = totals_file_write(dir->path, content, &retirement->reserve, &retirement->file, &why);
    }
    retirement->written += status == KVTEL_OK;
    retirement->written_bytes += status == KVTEL_OK ? content->size : 0;
    retirement->failed += status != KVTEL_OK;
    if (status != KVTEL_OK && error)
        *error = why;
    return status;
}

/* Replaces the totals in memory. */
static void replace(struct store_dir *dir, pthread_mutex_t *lock, struct totals *totals)
{
    struct totals old = dir->retirement.totals;
    pthread_mutex_lock(lock);
    dir->retirement.totals = *totals;
    pthread_mutex_unlock(lock);
    totals_free(&old);
}

/* Uses totals that somebody put into the directory: a backup, or another exporter that ran in the meantime. False: no
 * memory; the next call tries again. */
static bool adopt(struct store_dir *dir, pthread_mutex_t *lock, struct totals *totals,
                  const struct totals_identity *file)
{
    if (dir->by_rank && totals_add_label(totals, STORE_RANK_LABEL) != KVTEL_OK) {
        totals_free(totals);
        return false;
    }
    say(dir, WEB_LOG_WARN, "the totals of ended stores were replaced; they count from that file now", TOTALS_NAME);
    replace(dir, lock, totals);
    dir->retirement.file = *file;
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < dir->count; i++)
        dir->entries[i].held = false;
    (void)note_included(dir); /* without memory for an entry, the next start finds the file again */
    pthread_mutex_unlock(lock);
    return true;
}

static bool same_content(const struct totals *left, const struct totals *right)
{
    return left->bytes.size == right->bytes.size &&
           (left->bytes.size == 0 || memcmp(left->bytes.bytes, right->bytes.bytes, left->bytes.size) == 0);
}

/* Replaces a file that is damaged, foreign or gone by the totals in memory. */
static bool write_again(struct store_dir *dir, const char *reason, uint64_t now_ns)
{
    struct retirement *retirement = &dir->retirement;
    struct kvtel_error error = { 0 };
    if (reason && !set_aside(dir, reason))
        return false;
    if (!reason && retirement->file.inode != 0) {
        retirement->damaged++;
        say(dir, WEB_LOG_WARN, "the totals of ended stores were removed", TOTALS_NAME);
    }
    retirement->unreadable = false;
    retirement->file = (struct totals_identity){ 0 };
    if (retirement->totals.bytes.size == 0)
        return true;
    if (write_file(dir, &retirement->totals.bytes, &error) == KVTEL_OK) {
        say(dir, WEB_LOG_INFO, "the totals of ended stores were written again; nothing is lost", TOTALS_NAME);
        return true;
    }
    retirement->check_ns = now_ns + RETRY_NS;
    say(dir, WEB_LOG_ERROR, "the totals of ended stores cannot be written", error.message);
    return false;
}

/* Makes sure that the file and the totals in memory are equal: writes the file again, or adopts totals that somebody
 * put there. False: the file cannot be read or written now. */
static bool look_after_file(struct store_dir *dir, pthread_mutex_t *lock, uint64_t now_ns)
{
    struct retirement *retirement = &dir->retirement;
    struct totals totals;
    struct totals_identity file;
    struct kvtel_error error = { 0 };
    if (now_ns < retirement->check_ns && totals_file_is(dir->path, &retirement->file))
        return true;
    retirement->check_ns = now_ns + CHECK_NS;
    enum kvtel_status status = totals_file_read(dir->path, &totals, &file, &error);
    if (status == KVTEL_E_FORMAT || status == KVTEL_E_TRUNCATED)
        return write_again(dir, error.message, now_ns);
    if (status != KVTEL_OK) {
        if (!retirement->unreadable)
            say(dir, WEB_LOG_ERROR, "the totals of ended stores cannot be read now; no store is retired until they can",
                error.message);
        retirement->unreadable = true;
        retirement->check_ns = now_ns;
        return false;
    }
    if (same_content(&totals, &retirement->totals)) {
        retirement->unreadable = false;
        retirement->file = file;
        totals_free(&totals);
        return true;
    }
    if (file.inode == 0)
        return write_again(dir, NULL, now_ns);
    if (is_apart(dir, &totals)) {
        totals_free(&totals);
        return write_again(dir, "it keeps ranks apart", now_ns);
    }
    return adopt(dir, lock, &totals, &file);
}

void retire_close(struct store_dir *dir)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (dir->fd >= 0 && !dir->read_only && !dir->displaced && dir->retirement.file.inode != 0)
        (void)look_after_file(dir, &lock, UINT64_MAX);
    totals_reserve_free(&dir->retirement.reserve);
    totals_free(&dir->retirement.totals);
    kvtel_snapshot_destroy(dir->retirement.scratch);
    dir->retirement.scratch = NULL;
}

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
            store_dir_refuse(dir, entry, &why);
        }
    }
    return count;
}

/* Makes new totals from the scratch snapshot, and writes them to the file. */
static enum kvtel_status write_totals(struct store_dir *dir, const struct totals_contents *contents,
                                      struct totals *totals, struct kvtel_error *error)
{
    struct retirement *retirement = &dir->retirement;
    struct kvtel_buffer content = { 0 };
    uint64_t folded;
    enum kvtel_status status = totals_encode(contents, &retirement->totals, &content, &folded);
    if (status != KVTEL_OK)
        (void)kvtel_fail(error, status, 0, "new totals cannot be made: %s", kvtel_status_text(status));
    if (status == KVTEL_OK) /* decoding also proves that the next start can read the file */
        status = totals_decode(&content, totals, error);
    if (status == KVTEL_OK)
        status = write_file(dir, &totals->bytes, error);
    if (status != KVTEL_OK)
        totals_free(totals);
    retirement->folded += status == KVTEL_OK ? folded : 0;
    kvtel_buffer_free(&content);
    return status;
}

/* The totals include the stores of the batch now: replaces the old totals and removes the files. */
static void commit(struct store_dir *dir, pthread_mutex_t *lock, struct totals *totals)
{
    struct totals old = dir->retirement.totals;
    pthread_mutex_lock(lock);
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
        retirement->next_ns = now_ns + RETRY_NS;
        say(dir, WEB_LOG_ERROR, "ended stores stay as they are and count from their files; retrying in 10 s",
            error->message);
    }
    pthread_mutex_lock(lock);
    for (size_t i = 0; i < dir->count; i++) {
        if (dir->entries[i].retiring && !passing && retirement->batch == 1)
            store_dir_refuse(dir, &dir->entries[i], error);
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
        take_failure(dir, lock, &error, now_ns);
        return true;
    }
    if (count == 0)
        return false;
    commit(dir, lock, &totals);
    retirement->batch = retirement->batch < BATCH ? retirement->batch * 2 : BATCH;
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
    if (dir->read_only || dir->displaced || !look_after_file(dir, lock, now_ns))
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
    fill_reserve(dir);
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
    if (status != KVTEL_OK)
        return status;
    totals_free(&retirement->totals);
    retirement->totals = totals;
    *dropped = before - totals.series_count;
    return KVTEL_OK;
}
