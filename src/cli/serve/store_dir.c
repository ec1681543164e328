/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of stores. */
#include "cli/serve/store_dir.h"

#include "base/error.h"
#include "cli/serve/retire.h"
#include "store/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME ".exporter.lock"
#define STORE_SUFFIX ".kvtel"

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

/* Held as long as the file is open, so that it is free however an exporter ended. */
static enum kvtel_status take_lock(struct store_dir *dir, struct kvtel_error *error)
{
    char path[STORE_DIR_PATH];
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (!store_dir_path(dir, LOCK_NAME, path))
        return kvtel_fail(error, KVTEL_E_IO, 0, "the directory's name is too long");
    dir->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        dir->read_only = true;
        serve_log_printf(dir->log, WEB_LOG_WARN, "%s may only be read: ended stores stay where they are and count from their files",
                         dir->path);
        return KVTEL_OK;
    }
    if (dir->lock < 0)
        return kvtel_fail(error, KVTEL_E_IO, 0, "%.100s: %s", path, strerrordesc_np(errno));
    if (fcntl(dir->lock, F_OFD_SETLK, &lock) != 0)
        return kvtel_fail(error, KVTEL_E_BUSY, 0,
                          "%.100s is in use by another exporter; end it, or give this one another --store.dir", dir->path);
    return KVTEL_OK;
}

static void free_entry(struct store_entry *entry)
{
    kvtel_store_reader_close(entry->reader);
    free(entry->name);
}

void store_dir_close(struct store_dir *dir)
{
    for (size_t i = 0; i < dir->count; i++)
        free_entry(&dir->entries[i]);
    free(dir->entries);
    writers_free(&dir->writers);
    retire_close(dir);
    if (dir->lock >= 0)
        close(dir->lock);
    /* Last: on a busy machine the kernel may take seconds to let go of a watch, and the next exporter need not wait for that. */
    if (dir->inotify >= 0)
        close(dir->inotify);
    free(dir->path);
    *dir = (struct store_dir){ .lock = -1, .inotify = -1 };
}

void store_dir_refuse(struct store_dir *dir, struct store_entry *entry, const struct kvtel_error *error)
{
    entry->state = STORE_REFUSED;
    snprintf(entry->reason, sizeof entry->reason, "%s", error->message);
    const char *const pairs[] = { "store", entry->name, "reason", entry->reason, NULL };
    serve_log_write(dir->log, WEB_LOG_WARN, "a store is left out", pairs);
}

void store_dir_say_mismatch(struct store_dir *dir, struct store_entry *entry)
{
    if (!entry->mismatch)
        serve_log_printf(
            dir->log, WEB_LOG_WARN,
            "store %s: a part of it is left out: a family whose name stands for another definition, or what a lane holds that "
            "no writer leaves behind",
            entry->name);
    entry->mismatch = true;
}

/* Place of a name among the entries, which are sorted. */
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

static void add_rank_label(struct kvtel_store_reader *reader)
{
    struct kvtel_store_info info;
    char rank[16] = "";
    kvtel_store_reader_info(reader, &info);
    if (strcmp(info.connector, STORE_OWN_CONNECTOR) != 0)
        snprintf(rank, sizeof rank, "%u", (unsigned)info.rank);
    kvtel_store_reader_add_label(reader, STORE_RANK_LABEL, rank);
}

/* A store of which another reader is opened later has the same writer. */
static void begin_writer(struct store_dir *dir, struct store_entry *entry)
{
    struct kvtel_store_info info;
    kvtel_store_reader_info(entry->reader, &info);
    if (!entry->began && strcmp(info.connector, STORE_OWN_CONNECTOR) != 0)
        writers_began(&dir->writers, &info);
    entry->began = true;
}

/* Opens the entry's file; refuses it when it is none that can be read. */
static void open_entry(struct store_dir *dir, struct store_entry *entry)
{
    char path[STORE_DIR_PATH];
    struct kvtel_error error = { 0 };
    struct stat status;
    if (!store_dir_path(dir, entry->name, path))
        return;
    if (stat(path, &status) == 0) {
        entry->changed = status.st_mtim;
        entry->size = status.st_size;
    }
    if (kvtel_store_reader_open(path, &entry->reader, &error) != KVTEL_OK) {
        store_dir_refuse(dir, entry, &error);
        return;
    }
    entry->state = STORE_LIVE;
    begin_writer(dir, entry);
    if (dir->by_rank)
        add_rank_label(entry->reader);
    serve_log_printf(dir->log, WEB_LOG_DEBUG, "store %s appeared", entry->name);
}

/* A file that was being copied when it was first seen is whole later. */
static void reconsider(struct store_dir *dir, struct store_entry *entry)
{
    char path[STORE_DIR_PATH];
    struct stat status;
    if (entry->state != STORE_REFUSED || !store_dir_path(dir, entry->name, path) || stat(path, &status) != 0 ||
        (status.st_size == entry->size && status.st_mtim.tv_sec == entry->changed.tv_sec &&
         status.st_mtim.tv_nsec == entry->changed.tv_nsec))
        return;
    kvtel_store_reader_close(entry->reader);
    entry->reader = NULL;
    open_entry(dir, entry);
}

/* NULL without memory. */
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
    free_entry(&dir->entries[at]);
    memmove(dir->entries + at, dir->entries + at + 1, (dir->count - at - 1) * sizeof *dir->entries);
    dir->count--;
}

/* Whether the file of a store that is in the totals is gone. It must not be taken for a new store while it is not. */
bool store_dir_unlink(const struct store_dir *dir, const char *name)
{
    char path[STORE_DIR_PATH];
    struct stat status;
    return !store_dir_path(dir, name, path) || (!dir->read_only && unlink(path) == 0) ||
           (lstat(path, &status) != 0 && errno == ENOENT);
}

enum kvtel_status store_dir_open(struct store_dir *dir, const char *path, bool by_rank, struct serve_log *log,
                                 struct kvtel_error *error)
{
    *dir =
        (struct store_dir){ .path = strdup(path), .by_rank = by_rank, .log = log, .writers.log = log, .lock = -1, .inotify = -1 };
    if (!dir->path) {
        store_dir_close(dir);
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    }
    enum kvtel_status status = KVTEL_OK;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        status = kvtel_fail(error, KVTEL_E_IO, 0, "%.100s: %s", path, strerrordesc_np(errno));
    if (status == KVTEL_OK)
        status = take_lock(dir, error);
    if (status == KVTEL_OK)
        status = retire_open(dir, error);
    if (status != KVTEL_OK) {
        store_dir_close(dir);
        return status;
    }
    dir->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (dir->inotify >= 0 &&
        inotify_add_watch(dir->inotify, path, IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_MOVE_SELF) <
            0) {
        close(dir->inotify);
        dir->inotify = -1;
    }
    return KVTEL_OK;
}

/* What is in the directory against what is known of it. */
static void scan(struct store_dir *dir)
{
    DIR *directory = opendir(dir->path);
    if (!directory)
        return;
    for (size_t i = 0; i < dir->count; i++)
        dir->entries[i].seen = false;
    for (struct dirent *file; (file = readdir(directory));) {
        bool found;
        if (!store_dir_is_store(file->d_name))
            continue;
        size_t at = store_dir_find(dir, file->d_name, &found);
        struct store_entry *entry = found ? &dir->entries[at] : store_dir_add(dir, at, file->d_name);
        if (!entry)
            continue; /* without memory: the next scan tries again */
        entry->seen = true;
        if (!found)
            open_entry(dir, entry);
        else if (entry->state == STORE_RETIRED)
            (void)store_dir_unlink(dir, entry->name);
        else
            reconsider(dir, entry);
    }
    closedir(directory);
    /* A file that someone removed counts on: it is there as long as it is open, until its writer ends and it is retired. */
    for (size_t i = dir->count; i-- > 0;)
        if (!dir->entries[i].seen && dir->entries[i].state >= STORE_RETIRED)
            store_dir_remove(dir, i);
}

/* Whether anything happened in the directory. When it is another one than the one that is watched, it is looked at each time. */
static bool take_events(struct store_dir *dir)
{
    alignas(struct inotify_event) char events[4096];
    bool changed = dir->inotify < 0, gone = false;
    for (ssize_t size; dir->inotify >= 0 && (size = read(dir->inotify, events, sizeof events)) > 0; changed = true) {
        const struct inotify_event *event;
        for (ssize_t at = 0; at < size; at += (ssize_t)(sizeof *event + event->len)) {
            event = (const void *)(events + at);
            gone = gone || event->mask & (IN_IGNORED | IN_MOVE_SELF);
        }
    }
    if (gone) {
        close(dir->inotify);
        dir->inotify = -1;
    }
    return changed;
}

void store_dir_poll(struct store_dir *dir)
{
    bool changed = take_events(dir);
    if (changed || dir->count == 0 || dir->look)
        scan(dir);
    dir->look = false;
}

/* The readers of all stores that are not in the totals, in `readers`, if it is not NULL. Their number. */
static size_t list_readers(const struct store_dir *dir, struct kvtel_store_reader **readers)
{
    size_t count = 0;
    for (size_t i = 0; i < dir->count; i++) {
        if (dir->entries[i].state >= STORE_RETIRED)
            continue;
        if (readers)
            readers[count] = dir->entries[i].reader;
        count++;
    }
    return count;
}

/* Refuses the stores that could not be read. KVTEL_E_NOMEM: it was for want of memory. */
static enum kvtel_status refuse_failed(struct store_dir *dir, const struct kvtel_error *errors)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0, read = 0; i < dir->count; i++) {
        if (dir->entries[i].state >= STORE_RETIRED)
            continue;
        const struct kvtel_error *error = &errors[read++];
        if (error->status == KVTEL_E_NOMEM)
            status = KVTEL_E_NOMEM;
        else if (error->status == KVTEL_E_MISMATCH)
            store_dir_say_mismatch(dir, &dir->entries[i]);
        else if (error->status != KVTEL_OK)
            store_dir_refuse(dir, &dir->entries[i], error);
    }
    return status;
}

enum kvtel_status store_dir_collect(struct store_dir *dir, struct kvtel_snapshot *snapshot)
{
    size_t count = list_readers(dir, NULL);
    struct kvtel_store_reader **readers = malloc((count + 1) * sizeof(struct kvtel_store_reader *));
    struct kvtel_error *errors = malloc((count + 1) * sizeof *errors);
    enum kvtel_status status = readers && errors ? KVTEL_OK : KVTEL_E_NOMEM;
    if (status == KVTEL_OK)
        status = retire_collect(dir, snapshot);
    if (status == KVTEL_OK) {
        (void)list_readers(dir, readers);
        (void)kvtel_snapshot_add_readers(snapshot, readers, count, errors);
        status = refuse_failed(dir, errors);
    }
    free(readers);
    free(errors);
    return status;
}
