/* SPDX-License-Identifier: Apache-2.0 */
/* Ended stores into the totals. */
#include "cli/serve/retire.h"

#include "base/error.h"
#include "store/reader.h"
#include "store/totals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOTALS_NAME "totals.kvtel-retired"
#define TOTALS_KIND "totals"
#define TOTALS_BY_RANK "totals by rank"

static const uint64_t RETRY_NS = 10000000000u;

/* Names of stores that are in the totals; each is a series. NULL when there are none. */
static const struct kvtel_snapshot_family *included_family(struct store_dir *dir)
{
    kvtel_snapshot_reset(dir->scratch);
    if (!dir->totals || kvtel_snapshot_add_reader(dir->scratch, dir->totals, NULL) != KVTEL_OK)
        return NULL;
    return kvtel_snapshot_find(dir->scratch, KVTEL_TOTALS_FAMILY);
}

static enum kvtel_status open_totals(struct store_dir *dir, struct kvtel_error *error)
{
    char path[STORE_DIR_PATH];
    struct kvtel_store_reader *reader;
    if (!store_dir_path(dir, TOTALS_NAME, path))
        return kvtel_fail(error, KVTEL_E_IO, 0, "the directory's name is too long");
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return KVTEL_OK;
    struct kvtel_error why = { 0 };
    enum kvtel_status status = kvtel_store_reader_open(path, &reader, &why);
    if (status != KVTEL_OK)
        return kvtel_fail(error, status, why.offset, "the totals of ended stores, %.100s: %.100s", path, why.message);
    if (dir->by_rank)
        kvtel_store_reader_add_label(reader, STORE_RANK_LABEL, ""); /* to those from before there was one */
    kvtel_store_reader_close(dir->totals);
    dir->totals = reader;
    return KVTEL_OK;
}

/* What was kept apart is not added up afterwards: the label could as well be a writer's own. */
static enum kvtel_status check_totals(const struct store_dir *dir, struct kvtel_error *error)
{
    struct kvtel_store_info info;
    if (!dir->totals || dir->by_rank)
        return KVTEL_OK;
    kvtel_store_reader_info(dir->totals, &info);
    if (strcmp(info.connector, TOTALS_BY_RANK) != 0)
        return KVTEL_OK;
    return kvtel_fail(error, KVTEL_E_MISMATCH, 0,
                      "%.60s/" TOTALS_NAME " keeps ranks apart: give --store.rank-label, or move that file away and begin anew",
                      dir->path);
}

/* An exporter that was killed after writing totals left files behind that are counted in them. False without memory. */
static bool note_included(struct store_dir *dir)
{
    bool found;
    const struct kvtel_snapshot_family *included = included_family(dir);
    for (size_t i = 0; included && i < included->series_count; i++) {
        const char *name = included->series[i].values[0];
        if (!store_dir_is_store(name) || strchr(name, '/') || store_dir_unlink(dir, name))
            continue;
        size_t at = store_dir_find(dir, name, &found);
        struct store_entry *entry = found ? &dir->entries[at] : store_dir_add(dir, at, name);
        if (!entry)
            return false;
        entry->state = STORE_RETIRED;
    }
    return true;
}

enum kvtel_status retire_open(struct store_dir *dir, struct kvtel_error *error)
{
    enum kvtel_status status = open_totals(dir, error);
    if (status == KVTEL_OK)
        status = check_totals(dir, error);
    if (status == KVTEL_OK && !note_included(dir))
        status = kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    return status;
}

/* Puts the stores that have ended on top of the totals in the scratch snapshot. Names of all stores that are in it and whose files
 * are there go to `names`; returns how many. */
static size_t add_ended(struct store_dir *dir, const char **names, struct kvtel_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < dir->count && error->status == KVTEL_OK; i++) {
        struct store_entry *entry = &dir->entries[i];
        struct kvtel_error why = { 0 };
        enum kvtel_status status = entry->state == STORE_RETIRED ? KVTEL_OK : KVTEL_E_ARGUMENT;
        if (entry->state == STORE_ENDED)
            status = kvtel_snapshot_add_reader(dir->scratch, entry->reader, &why);
        if (status == KVTEL_E_MISMATCH)
            store_dir_say_mismatch(dir, entry);
        if (status == KVTEL_OK || status == KVTEL_E_MISMATCH)
            names[count++] = entry->name;
        else if (status == KVTEL_E_NOMEM)
            *error = why;
        else if (entry->state == STORE_ENDED)
            store_dir_refuse(dir, entry, &why);
    }
    return count;
}

/* Final numbers of all stores that have ended, on top of the totals so far. False: nothing was changed; try later. */
static bool write_totals(struct store_dir *dir)
{
    struct kvtel_error error = { 0 };
    const char **names = malloc((dir->count + 1) * sizeof *names);
    kvtel_snapshot_reset(dir->scratch);
    enum kvtel_status status = names ? KVTEL_OK : kvtel_fail(&error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    if (status == KVTEL_OK && dir->totals)
        status = kvtel_snapshot_add_reader(dir->scratch, dir->totals, &error);
    size_t count = status == KVTEL_OK ? add_ended(dir, names, &error) : 0;
    if (error.status == KVTEL_OK)
        (void)kvtel_totals_write(dir->path, TOTALS_NAME, dir->by_rank ? TOTALS_BY_RANK : TOTALS_KIND, dir->scratch, names, count,
                                 &error);
    free(names);
    if (error.status == KVTEL_OK)
        (void)open_totals(dir, &error);
    if (error.status == KVTEL_OK)
        return true;
    const char *const pairs[] = { "dir", dir->path, "reason", error.message, NULL };
    serve_log_write(dir->log, WEB_LOG_ERROR, "ended stores stay as they are and count from their files; retrying in 10 s", pairs);
    return false;
}

/* Forgets a store that is in the totals, or keeps its name in mind when its file cannot be removed. */
static void forget(struct store_dir *dir, size_t at)
{
    struct store_entry *entry = &dir->entries[at];
    serve_log_printf(dir->log, WEB_LOG_DEBUG, "store %s has ended; its numbers are in the totals", entry->name);
    dir->retired++;
    if (store_dir_unlink(dir, entry->name)) {
        store_dir_remove(dir, at);
        return;
    }
    kvtel_store_reader_close(entry->reader);
    entry->reader = NULL;
    entry->state = STORE_RETIRED;
    serve_log_printf(dir->log, WEB_LOG_WARN, "store %s is in the totals, but its file cannot be removed; it is not read any more",
                     entry->name);
}

/* Adds ended stores to the totals, then removes their files. */
void retire_ended(struct store_dir *dir, uint64_t now_ns)
{
    size_t ended = 0;
    for (size_t i = 0; i < dir->count; i++) {
        struct store_entry *entry = &dir->entries[i];
        if (entry->state == STORE_LIVE && kvtel_store_reader_state(entry->reader) == KVTEL_STORE_ENDED)
            entry->state = STORE_ENDED;
        ended += entry->state == STORE_ENDED;
    }
    if (ended == 0 || now_ns < dir->retry_after || dir->read_only)
        return;
    if (!write_totals(dir)) {
        dir->retry_after = now_ns + RETRY_NS;
        return;
    }
    for (size_t i = dir->count; i-- > 0;)
        if (dir->entries[i].state == STORE_ENDED)
            forget(dir, i);
}
