/* SPDX-License-Identifier: Apache-2.0 */
/* The list of stores in the directory, sorted by name, and the descriptors of their files. */
#include "serve/store_dir.h"

#include "base/error.h"
#include "collect/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_SUFFIX ".kvtel"

/* Descriptors beyond the limit of those kept open: for stores that have ended. */
enum { ENDED_AT_ONCE = 16 };
/* A refused store is examined again after this time, because stores into mapped memory do not change a time of the
 * file. */
static const uint64_t RETRY_NS = UINT64_C(30000000000);

const char *store_state_name(enum store_state state)
{
    static const char *const names[] = { "live", "ended", "retired", "refused" };
    return names[state];
}

bool store_dir_path(const struct store_dir *dir, const char *name, char out[STORE_DIR_PATH])
{
    int length = snprintf(out, STORE_DIR_PATH, "%s/%s", dir->path, name);
    return length > 0 && length < STORE_DIR_PATH;
}

bool store_dir_is_store(const char *name)
{
    size_t size = strlen(name), suffix = strlen(STORE_SUFFIX);
    return size > suffix && name[0] != '.' && strcmp(name + size - suffix, STORE_SUFFIX) == 0;
}

bool store_dir_is_file(const struct store_entry *entry, const struct stat *status)
{
    return entry->device == status->st_dev && entry->inode == status->st_ino;
}

void store_dir_close_reader(struct store_dir *dir, struct store_entry *entry)
{
    if (entry->reader && kvtel_store_reader_is_open(entry->reader))
        dir->open_count--;
    kvtel_store_reader_close(entry->reader);
    entry->reader = NULL;
    if (entry->rank)
        kvtel_relabel_free(entry->rank);
    free(entry->rank);
    entry->rank = NULL;
}

/* Closes the file if too many are open. A file without a name stays open: it could not be opened again. So does that of
 * this process's own store. */
void store_dir_park(struct store_dir *dir, struct store_entry *entry)
{
    if (!entry->reader || entry->gone || entry->own || !kvtel_store_reader_is_open(entry->reader) ||
        dir->most_open == 0 || dir->open_count <= dir->most_open)
        return;
    kvtel_store_reader_park(entry->reader);
    dir->open_count--;
}

enum kvtel_status store_dir_resume(struct store_dir *dir, struct store_entry *entry, struct kvtel_error *error)
{
    struct stat status;
    if (kvtel_store_reader_is_open(entry->reader))
        return KVTEL_OK;
    int fd = kvtel_store_file_open(dir->fd, entry->name, O_NOFOLLOW, &status, error);
    if (fd < 0)
        return error->status;
    if (!store_dir_is_file(entry, &status)) {
        close(fd);
        return kvtel_fail(error, KVTEL_E_FORMAT, 0, "its file was removed while it was not open: its numbers are lost");
    }
    kvtel_store_reader_resume(entry->reader, fd);
    dir->open_count++;
    return KVTEL_OK;
}

void store_dir_free_entry(struct store_dir *dir, struct store_entry *entry)
{
    store_dir_close_reader(dir, entry);
    free(entry->name);
}

void store_dir_lose(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error)
{
    const char *const pairs[] = { "store", entry->name, "reason", error->message, NULL };
    if (!entry->lost)
        serve_log_write(dir->log, WEB_LOG_ERROR,
                        "a store cannot be read any more: its numbers as of the last time count, later ones are lost",
                        pairs);
    entry->lost = true;
    dir->look = true;
}

/* Place of a name among the sorted entries. */
size_t store_dir_find(const struct store_dir *dir, const char *name, bool *found)
{
    size_t low = 0, high = dir->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(dir->entries[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

/* Inserts an entry. NULL: no memory. */
struct store_entry *store_dir_add(struct store_dir *dir, size_t at, const char *name)
{
    if (dir->count == dir->capacity) {
        size_t capacity = dir->capacity ? dir->capacity * 2 : 16;
        struct store_entry *entries = realloc(dir->entries, capacity * sizeof *entries);
        if (!entries)
            return NULL;
        dir->entries = entries;
        dir->capacity = capacity;
    }
    struct store_entry entry = { .name = strdup(name), .seen = true };
    if (!entry.name)
        return NULL;
    memmove(dir->entries + at + 1, dir->entries + at, (dir->count - at) * sizeof *dir->entries);
    dir->count++;
    dir->entries[at] = entry;
    return &dir->entries[at];
}

void store_dir_remove(struct store_dir *dir, size_t at)
{
    store_dir_free_entry(dir, &dir->entries[at]);
    memmove(dir->entries + at, dir->entries + at + 1, (dir->count - at - 1) * sizeof *dir->entries);
    dir->count--;
}

bool store_dir_unlink(const struct store_dir *dir, const char *name)
{
    struct stat status;
    bool found;
    size_t at = store_dir_find(dir, name, &found);
    if (fstatat(dir->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT || errno == ENAMETOOLONG;
    if (found && dir->entries[at].inode &&
        (dir->entries[at].device != status.st_dev || dir->entries[at].inode != status.st_ino))
        return true; /* the name belongs to another file by now */
    return !dir->read_only && unlinkat(dir->fd, name, 0) == 0;
}

bool store_dir_set_aside(const struct store_dir *dir, const struct store_entry *entry)
{
    struct stat status;
    char name[STORE_DIR_NAME];
    if (entry->gone || fstatat(dir->fd, entry->name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        entry->device != status.st_dev || entry->inode != status.st_ino)
        return store_dir_unlink(dir, entry->name);
    int length = snprintf(name, sizeof name, "%s.damaged", entry->name);
    if (length >= (int)sizeof name || dir->read_only || renameat(dir->fd, entry->name, dir->fd, name) != 0)
        return store_dir_unlink(dir, entry->name);
    serve_log_printf(dir->log, WEB_LOG_WARN,
                     "store %s is damaged: what could be read of it is in the totals, the file is now %s", entry->name,
                     name);
    return true;
}

void store_dir_refuse(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error,
                      uint64_t now_ns)
{
    bool said = strcmp(entry->reason, error->message) == 0;
    entry->state = STORE_REFUSED;
    entry->retry_ns = now_ns + RETRY_NS;
    store_dir_close_reader(dir, entry);
    if (said)
        return;
    snprintf(entry->reason, sizeof entry->reason, "%s", error->message);
    const char *const pairs[] = { "store", entry->name, "reason", entry->reason, NULL };
    serve_log_write(dir->log, WEB_LOG_WARN, "a store is left out", pairs);
}

void store_dir_say_mismatch(struct store_dir *dir, struct store_entry *entry)
{
    if (!entry->mismatch)
        serve_log_printf(dir->log, WEB_LOG_WARN,
                         "store %s: a part of it is left out: a family whose name stands for another definition, or "
                         "what a lane holds that "
                         "no writer leaves behind",
                         entry->name);
    entry->mismatch = true;
}

bool store_dir_has_ended(struct store_dir *dir, struct store_entry *entry)
{
    struct kvtel_error error = { 0 };
    if (entry->lost)
        return entry->settled;
    if (store_dir_resume(dir, entry, &error) != KVTEL_OK)
        return false;
    bool room = dir->most_open == 0 || dir->open_count <= dir->most_open + ENDED_AT_ONCE;
    if (room && kvtel_store_reader_state(entry->reader) == KVTEL_STORE_ENDED)
        return true;
    store_dir_park(dir, entry);
    return false;
}

void store_dir_mark_seconds(struct store_dir *dir)
{
    for (size_t i = 0; i < dir->count; i++) {
        struct store_entry *second = &dir->entries[i];
        for (size_t k = 0; second->second && k < dir->count; k++) {
            const struct store_entry *first = &dir->entries[k];
            if (first->state == STORE_ENDED && first->device == second->device && first->inode == second->inode)
                second->state = STORE_RETIRED;
        }
    }
}

bool store_dir_has_twin(const struct store_dir *dir, const struct store_entry *entry)
{
    struct kvtel_store_info info, other;
    kvtel_store_reader_info(entry->reader, &info);
    for (size_t i = 0; i < dir->count; i++) {
        const struct store_entry *twin = &dir->entries[i];
        if (twin == entry || twin->lost || twin->device != entry->device || twin->inode != entry->inode)
            continue;
        if (twin->second)
            return true;
        if (!twin->reader)
            continue;
        kvtel_store_reader_info(twin->reader, &other);
        if (other.pid == info.pid && other.process_start == info.process_start &&
            other.created_monotonic_ns == info.created_monotonic_ns)
            return true;
    }
    return false;
}
