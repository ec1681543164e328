/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the directory with the entries. A store is identified by its file, not by its name. */
#include "serve/store_dir.h"

#include "base/error.h"
#include "collect/reader.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define SAY_NS (10 * SECOND_NS)
/* A store that is in the totals and whose file could not be removed: it is tried again after this time. */
#define REMOVE_NS (10 * SECOND_NS)
/* Age from which an unfinished file may belong to a killed writer. */
enum { LEFTOVER_SECONDS = 60 };

static void note_file(struct store_entry *entry, const struct stat *status)
{
    entry->device = status->st_dev;
    entry->inode = status->st_ino;
    entry->changed = status->st_ctim;
    entry->size = status->st_size;
}

/* -- Entries -- */

/* Adds the rank's label to all that is read of the store. False: no memory. */
static bool add_rank_label(struct store_entry *entry)
{
    struct kvtel_store_info info;
    struct kvtel_relabel *rank = calloc(1, sizeof *rank);
    if (!rank)
        return false;
    kvtel_store_reader_info(entry->reader, &info);
    rank->name = STORE_RANK_LABEL;
    if (strcmp(info.connector, STORE_OWN_CONNECTOR) != 0)
        snprintf(rank->value, sizeof rank->value, "%u", (unsigned)info.rank);
    kvtel_store_reader_set_change(entry->reader, kvtel_relabel_view, rank);
    entry->rank = rank;
    return true;
}

/* Tells `writers` of the writer, once for each store, even if a reader is opened again later. */
static void begin_writer(struct store_dir *dir, struct store_entry *entry)
{
    struct kvtel_store_info info;
    kvtel_store_reader_info(entry->reader, &info);
    if (!entry->began && strcmp(info.connector, STORE_OWN_CONNECTOR) != 0)
        writers_began(&dir->writers, &info);
    entry->began = true;
}

/* Opens the entry's file, or refuses it if it is not a readable store. False: a shortage, try again later. */
static bool open_entry(struct store_dir *dir, struct store_entry *entry, const struct stat *found, uint64_t now_ns)
{
    struct kvtel_error error = { 0 };
    struct stat status = *found;
    store_dir_close_reader(dir, entry);
    int fd = kvtel_store_file_open(dir->fd, entry->name, O_NOFOLLOW, &status, &error);
    note_file(entry, &status);
    enum kvtel_status result = fd < 0 ? error.status : kvtel_store_reader_take(fd, &entry->reader, &error);
    if (error.system_error == ENOENT)
        return false;
    if (result == KVTEL_OK && dir->by_rank && !add_rank_label(entry)) {
        result = kvtel_fail(&error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
        kvtel_store_reader_close(entry->reader);
        entry->reader = NULL;
    }
    if (result != KVTEL_OK && kvtel_error_is_passing(&error)) {
        if (dir->postponed == 0 && now_ns >= dir->said_ns) {
            const char *const pairs[] = { "store", entry->name, "reason", error.message, NULL };
            serve_log_write(dir->log, WEB_LOG_WARN, "a store cannot be opened now; tried again each second", pairs);
            dir->said_ns = now_ns + SAY_NS;
        }
        dir->postponed++;
        return false;
    }
    if (result != KVTEL_OK) {
        store_dir_refuse(dir, entry, &error, now_ns);
        return true;
    }
    entry->state = STORE_LIVE;
    dir->open_count++;
    store_dir_park(dir, entry);
    begin_writer(dir, entry);
    serve_log_printf(dir->log, WEB_LOG_DEBUG, "store %s appeared", entry->name);
    return true;
}

/* Renames an entry. Returns its new place. Without memory the old name stays. */
static size_t rename_entry(struct store_dir *dir, size_t at, const char *name)
{
    bool found;
    char *copy = strdup(name);
    if (!copy)
        return at;
    struct store_entry entry = dir->entries[at];
    memmove(dir->entries + at, dir->entries + at + 1, (dir->count - at - 1) * sizeof entry);
    dir->count--;
    free(entry.name);
    entry.name = copy;
    at = store_dir_find(dir, name, &found);
    memmove(dir->entries + at + 1, dir->entries + at, (dir->count - at) * sizeof entry);
    dir->count++;
    dir->entries[at] = entry;
    return at;
}

/* Logs the consequence of a removed name. */
static void say_gone(struct store_dir *dir, const struct store_entry *entry, bool open, bool live)
{
    if (!open && !entry->lost)
        serve_log_printf(
            dir->log, WEB_LOG_ERROR,
            "the file of store %s was removed while it was not open: its numbers as of the last time count, "
            "later ones are lost",
            entry->name);
    else if (open && live)
        serve_log_printf(dir->log, WEB_LOG_WARN,
                         "the file of store %s was removed while its writer runs; it counts until the writer ends, "
                         "then in the totals",
                         entry->name);
}

/* Handles a store whose name was removed. Its open file counts on; of a file that is not open, the kept numbers do.
 * False: there are none, and the entry was removed. */
static bool lose_name(struct store_dir *dir, size_t at)
{
    struct store_entry *entry = &dir->entries[at];
    char name[STORE_DIR_NAME];
    bool reads = entry->state < STORE_RETIRED, open = reads && kvtel_store_reader_is_open(entry->reader);
    if (!open && !(reads && kvtel_store_reader_has_kept(entry->reader))) {
        if (reads)
            serve_log_printf(dir->log, WEB_LOG_ERROR,
                             "the file of store %s was removed while it was not open: its numbers are lost",
                             entry->name);
        store_dir_remove(dir, at);
        return false;
    }
    bool live = open ? kvtel_store_reader_state(entry->reader) == KVTEL_STORE_LIVE : entry->state == STORE_LIVE;
    dir->deleted += live;
    entry->gone = entry->seen = true;
    say_gone(dir, entry, open, live);
    entry->lost = entry->lost || !open;
    (void)snprintf(name, sizeof name, "%.255s (removed)", entry->name);
    (void)rename_entry(dir, at, name);
    return true;
}

/* Forgets lost stores that were found again under another name. A listing may miss a file that is renamed meanwhile, so
 * that one is settled only a second later. */
static void settle(struct store_dir *dir, uint64_t now_ns)
{
    for (size_t i = dir->count; i-- > 0;) {
        struct store_entry *entry = &dir->entries[i];
        if (!entry->lost || entry->state >= STORE_RETIRED)
            continue;
        if (store_dir_has_twin(dir, entry)) {
            store_dir_remove(dir, i);
            continue;
        }
        if (entry->lost_ns == 0)
            entry->lost_ns = now_ns;
        entry->settled = now_ns - entry->lost_ns >= SECOND_NS;
        dir->look = dir->look || !entry->settled;
    }
}

/* Whether the entry's name still leads to its file. */
static bool has_name(const struct store_dir *dir, const struct store_entry *entry)
{
    struct stat status;
    return !entry->gone && fstatat(dir->fd, entry->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           store_dir_is_file(entry, &status);
}

/* The entry of this file under another name. NULL: none. An entry counts only if its name still exists or its file
 * is open: otherwise the inode number may belong to another file by now. */
static struct store_entry *find_file(struct store_dir *dir, const char *name, const struct stat *status)
{
    for (size_t i = 0; i < dir->count; i++) {
        struct store_entry *entry = &dir->entries[i];
        if (store_dir_is_file(entry, status) && !entry->second && strcmp(entry->name, name) != 0 &&
            ((entry->reader && kvtel_store_reader_is_open(entry->reader)) || has_name(dir, entry)))
            return entry;
    }
    return NULL;
}

static void refuse_second(struct store_dir *dir, struct store_entry *entry, const struct stat *status,
                          const char *first, uint64_t now_ns)
{
    struct kvtel_error error = { 0 };
    note_file(entry, status);
    entry->second = true;
    (void)kvtel_fail(&error, KVTEL_E_BUSY, 0, "it is another name of %.120s, which counts", first);
    store_dir_refuse(dir, entry, &error, now_ns);
}

/* -- Scanning -- */

/* Renames the entry `first` to `name`. */
static void adopt_name(struct store_dir *dir, struct store_entry *first, const char *name)
{
    first->gone = false;
    first->seen = true;
    (void)rename_entry(dir, (size_t)(first - dir->entries), name);
}

/* Handles a file under a new name. */
static void meet(struct store_dir *dir, const char *name, const struct stat *status, uint64_t now_ns)
{
    bool found;
    char first_name[STORE_DIR_NAME] = "";
    struct store_entry *first = S_ISREG(status->st_mode) ? find_file(dir, name, status) : NULL;
    bool retired = first && first->state == STORE_RETIRED;
    if (first && !has_name(dir, first)) {
        adopt_name(dir, first, name);
        return;
    }
    if (first)
        (void)snprintf(first_name, sizeof first_name, "%s", first->name);
    size_t at = store_dir_find(dir, name, &found);
    struct store_entry *entry = store_dir_add(dir, at, name);
    if (!entry) {
        dir->postponed++;
    } else if (retired) {
        note_file(entry, status);
        entry->state = STORE_RETIRED;
        (void)store_dir_unlink(dir, name);
    } else if (first) {
        refuse_second(dir, entry, status, first_name, now_ns);
    } else if (!open_entry(dir, entry, status, now_ns)) {
        store_dir_remove(dir, at);
    }
}

/* Whether to examine a refused file again: it may have been copied meanwhile, or have got another mode, or be the
 * only name of its store by now. */
static bool is_due(const struct store_entry *entry, const struct stat *status, uint64_t now_ns)
{
    return now_ns >= entry->retry_ns || status->st_size != entry->size ||
           status->st_ctim.tv_sec != entry->changed.tv_sec || status->st_ctim.tv_nsec != entry->changed.tv_nsec;
}

/* Handles a file whose name has an entry. */
static void meet_again(struct store_dir *dir, size_t at, const char *name, const struct stat *status, uint64_t now_ns)
{
    struct store_entry *entry = &dir->entries[at];
    entry->seen = true;
    if (entry->state == STORE_RETIRED) {
        if (!entry->inode)
            note_file(entry, status);
        (void)store_dir_unlink(dir, entry->name);
        entry->retry_ns = now_ns + REMOVE_NS;
        return;
    }
    if (entry->state != STORE_REFUSED || !is_due(entry, status, now_ns))
        return;
    struct store_entry *first = S_ISREG(status->st_mode) ? find_file(dir, name, status) : NULL;
    if (first && has_name(dir, first)) {
        refuse_second(dir, entry, status, first->name, now_ns);
        return;
    }
    if (first) {
        store_dir_remove(dir, at);
        adopt_name(dir, first - (first > entry), name);
        return;
    }
    entry->second = false;
    if (!open_entry(dir, entry, status, now_ns))
        entry->retry_ns = 0;
}

static void look_at(struct store_dir *dir, const char *name, uint64_t now_ns)
{
    struct stat status;
    bool found;
    size_t at = store_dir_find(dir, name, &found);
    if (fstatat(dir->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        dir->incomplete |= errno != ENOENT;
        if (found && errno != ENOENT)
            dir->entries[at].seen = true;
        return;
    }
    if (found && dir->entries[at].inode && !store_dir_is_file(&dir->entries[at], &status)) {
        (void)lose_name(dir, at); /* another file has the name now, so this is another store */
        found = false;
    }
    if (found)
        meet_again(dir, at, name, &status, now_ns);
    else
        meet(dir, name, &status, now_ns);
}

/* Removes the unfinished file ".PID-RANDOM.new" of a writer that was killed while it made its store. Such a file is
 * not locked. */
static void remove_leftover(struct store_dir *dir, const char *name)
{
    struct stat status;
    struct timespec now;
    size_t digits = strspn(name + 1, "0123456789"), size = strlen(name);
    clock_gettime(CLOCK_REALTIME, &now);
    if (dir->read_only || digits == 0 || name[1 + digits] != '-' || size < 4 || strcmp(name + size - 4, ".new") != 0 ||
        fstatat(dir->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode) ||
        now.tv_sec - status.st_mtim.tv_sec < LEFTOVER_SECONDS)
        return;
    int fd = kvtel_store_file_open(dir->fd, name, O_NOFOLLOW, &status, NULL);
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    if (fd < 0)
        return;
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK && unlinkat(dir->fd, name, 0) == 0)
        serve_log_printf(dir->log, WEB_LOG_INFO,
                         "%s was left by a writer that was killed while it made its store; removed", name);
    close(fd);
}

/* Examines each store in the directory. False: the listing is incomplete. */
static bool list(struct store_dir *dir, uint64_t now_ns)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (!directory) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (const struct dirent *file; errno = 0, (file = readdir(directory));) {
        if (store_dir_is_store(file->d_name))
            look_at(dir, file->d_name, now_ns);
        else if (file->d_name[0] == '.')
            remove_leftover(dir, file->d_name);
    }
    bool whole = errno == 0;
    closedir(directory);
    return whole;
}

void store_dir_scan(struct store_dir *dir, uint64_t now_ns)
{
    for (size_t i = 0; i < dir->count; i++)
        dir->entries[i].seen = dir->entries[i].gone;
    dir->postponed = 0;
    dir->incomplete = false;
    dir->incomplete |= !list(dir, now_ns);
    for (size_t i = dir->count; i-- > 0 && !dir->incomplete;) {
        if (dir->entries[i].seen)
            continue;
        if (lose_name(dir, i))
            i = dir->count; /* the entries have moved: start again */
    }
    if (!dir->incomplete)
        settle(dir, now_ns);
}
