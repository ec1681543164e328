/* SPDX-License-Identifier: Apache-2.0 */
/* The totals of ended stores in memory, and their file: which of the two is right, and what others do to the file. */
#include "serve/retire_totals.h"

#include "base/error.h"
#include "serve/store_dir.h"
#include "collect/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RESERVE = 64 << 10 };
static const uint64_t CHECK_NS = 60000000000u;

void retire_say(struct store_dir *dir, enum web_log_level level, const char *message, const char *reason)
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
            retire_say(dir, WEB_LOG_ERROR, "the totals of ended stores are damaged, and cannot be set aside",
                       error.message);
        dir->retirement.unreadable = true;
        return false;
    }
    dir->retirement.damaged++;
    snprintf(message, sizeof message,
             "the totals of ended stores, " TOTALS_NAME ", cannot be used; they are set aside as %s", name);
    retire_say(dir, WEB_LOG_ERROR, message, reason);
    return true;
}

/* Whether the totals keep ranks apart and this exporter does not. Such totals are not used: the label might as well
 * be a writer's own, so ranks cannot be summed up. */
static bool is_apart(const struct store_dir *dir, const struct totals *totals)
{
    return totals->by_rank && !dir->by_rank;
}

void retire_totals_reserve(struct store_dir *dir)
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
    retirement->batch = RETIRE_BATCH;
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
    retire_totals_reserve(dir);
    return KVTEL_OK;
}

enum kvtel_status retire_follow(struct store_dir *dir, struct kvtel_followed *followed)
{
    return totals_follow(&dir->retirement.totals, followed);
}

void retire_keep_parts(struct store_dir *dir, struct kvtel_worker *worker)
{
    struct totals *totals = &dir->retirement.totals;
    struct kvtel_followed followed;
    if (totals->source.has_parts != kvtel_worker_wants_parts(worker) && totals_follow(totals, &followed) == KVTEL_OK)
        kvtel_source_keep_parts(&totals->source, &followed.view, worker, false);
}

enum kvtel_status retire_totals_write(struct store_dir *dir, const struct kvtel_buffer *content,
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
    pthread_mutex_lock(lock);
    struct totals old = dir->retirement.totals; /* under the lock: a scrape keeps numbers in them */
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
    retire_say(dir, WEB_LOG_WARN, "the totals of ended stores were replaced; they count from that file now",
               TOTALS_NAME);
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
        retire_say(dir, WEB_LOG_WARN, "the totals of ended stores were removed", TOTALS_NAME);
    }
    retirement->unreadable = false;
    retirement->file = (struct totals_identity){ 0 };
    if (retirement->totals.bytes.size == 0)
        return true;
    if (retire_totals_write(dir, &retirement->totals.bytes, &error) == KVTEL_OK) {
        retire_say(dir, WEB_LOG_INFO, "the totals of ended stores were written again; nothing is lost", TOTALS_NAME);
        return true;
    }
    retirement->check_ns = now_ns + RETIRE_RETRY_NS;
    retire_say(dir, WEB_LOG_ERROR, "the totals of ended stores cannot be written", error.message);
    return false;
}

bool retire_totals_look(struct store_dir *dir, pthread_mutex_t *lock, uint64_t now_ns)
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
            retire_say(dir, WEB_LOG_ERROR,
                       "the totals of ended stores cannot be read now; no store is retired until they can",
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
        (void)retire_totals_look(dir, &lock, UINT64_MAX);
    totals_reserve_free(&dir->retirement.reserve);
    totals_free(&dir->retirement.totals);
    kvtel_snapshot_destroy(dir->retirement.scratch);
    dir->retirement.scratch = NULL;
}
