/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of stores as a place. The lock is on the directory itself rather than on a file in it, because such
 * a file could be removed by a cleaner; systemd-tmpfiles does not touch a locked directory. */
#include "serve/store_place.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A cleaner may hold the lock for a moment, so locking is tried several times. */
enum { LOCK_TRIES = 10, LOCK_PAUSE_NS = 50000000 };
static const uint64_t ABSENT_NS = 3000000000u;

/* Refuses a default directory that belongs to another user. Any user can make a directory of this name in shared
 * memory. Writers refuse such a directory, too, so its stores would be the other user's. */
static enum kvtel_status check_owner(const struct store_dir *dir, const struct stat *status, struct kvtel_error *error)
{
    if (!dir->shared_place || (status->st_uid == geteuid() && !(status->st_mode & 0022)))
        return KVTEL_OK;
    return kvtel_fail(
        error, KVTEL_E_IO, 0,
        "%.60s is not this user's alone (owner %lu, mode %03o), so that no writer uses it: remove it, or set "
        "KVTEL_STORE_DIR for all",
        dir->path, (unsigned long)status->st_uid, (unsigned)status->st_mode & 0777);
}

static enum kvtel_status lock(struct store_dir *dir, int fd, struct kvtel_error *error)
{
    const struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
    int tries = dir->fd < 0 ? LOCK_TRIES : 1; /* only the first call waits: a running exporter must not stand still */
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK && errno != EACCES)
            return kvtel_fail(
                error, KVTEL_E_IO, 0,
                "%.80s cannot be locked (%s): its file system has no locks, which stores need too; use one in memory",
                dir->path, strerrordesc_np(errno));
        if (--tries <= 0)
            return kvtel_fail(error, KVTEL_E_BUSY, 0,
                              "%.80s is in use by another exporter; end it, or give this one another --store.dir",
                              dir->path);
        nanosleep(&pause, NULL);
    }
    return KVTEL_OK;
}

static bool is_read_only(const struct store_dir *dir)
{
    return faccessat(AT_FDCWD, dir->path, W_OK | X_OK, AT_EACCESS) != 0 &&
           (errno == EACCES || errno == EROFS || errno == EPERM);
}

/* Opens the directory to which the path leads; a missing one is made. -1: `error` says why. */
static int open_place(const struct store_dir *dir, struct stat *status, struct kvtel_error *error)
{
    if (mkdir(dir->path, 0700) != 0 && errno != EEXIST) {
        kvtel_fail(error, KVTEL_E_IO, 0, "%.100s: %s", dir->path, strerrordesc_np(errno));
        return -1;
    }
    int fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (dir->shared_place ? O_NOFOLLOW : 0));
    if (fd < 0 || fstat(fd, status) != 0) {
        kvtel_fail(error, KVTEL_E_IO, 0, "%.100s: %s", dir->path,
                   errno == ENOTDIR || errno == ELOOP ? "it is not a directory, but a link or a file"
                                                      : strerrordesc_np(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static void watch(struct store_dir *dir)
{
    const uint32_t events = IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB |
                            IN_MOVE_SELF | IN_DELETE_SELF;
    if (dir->inotify >= 0)
        close(dir->inotify);
    dir->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (dir->inotify >= 0 && inotify_add_watch(dir->inotify, dir->path, events) < 0) {
        close(dir->inotify);
        dir->inotify = -1;
    }
}

enum kvtel_status store_place_open(struct store_dir *dir, struct kvtel_error *error)
{
    struct stat status;
    int fd = open_place(dir, &status, error);
    if (fd < 0)
        return KVTEL_E_IO;
    bool read_only = is_read_only(dir);
    enum kvtel_status result = check_owner(dir, &status, error);
    if (result == KVTEL_OK && !read_only)
        result = lock(dir, fd, error);
    if (result != KVTEL_OK) {
        close(fd);
        return result;
    }
    if (dir->fd >= 0)
        close(dir->fd);
    dir->fd = fd;
    dir->device = status.st_dev;
    dir->inode = status.st_ino;
    dir->read_only = read_only;
    if (read_only)
        serve_log_printf(dir->log, WEB_LOG_WARN,
                         "%s may only be read: ended stores stay where they are and count from their files", dir->path);
    watch(dir);
    return KVTEL_OK;
}

void store_place_close(struct store_dir *dir)
{
    if (dir->fd >= 0)
        close(dir->fd);
    /* Close the watch last: on a busy machine the kernel takes seconds for it, and the next exporter need not wait
     * for that. */
    if (dir->inotify >= 0)
        close(dir->inotify);
    dir->fd = dir->inotify = -1;
}

/* Whether the path does not exist, for too short a time to make a directory: somebody may be replacing it. Until
 * then nothing is written. */
static bool is_absent(struct store_dir *dir, bool there, uint64_t now_ns)
{
    if (there)
        dir->absent_ns = 0;
    else if (dir->absent_ns == 0)
        dir->absent_ns = now_ns;
    return !there && now_ns - dir->absent_ns < ABSENT_NS;
}

bool store_place_moved(struct store_dir *dir, uint64_t now_ns)
{
    struct stat status;
    struct kvtel_error error = { 0 };
    bool there = stat(dir->path, &status) == 0;
    if (there ? status.st_dev == dir->device && status.st_ino == dir->inode : errno != ENOENT && errno != ENOTDIR) {
        dir->displaced = dir->said_displaced = false;
        return false;
    }
    dir->displaced = true;
    if (is_absent(dir, there, now_ns))
        return false;
    if (store_place_open(dir, &error) == KVTEL_OK) {
        serve_log_printf(
            dir->log, WEB_LOG_WARN,
            "%s was removed or replaced while in use; the directory that is there now is used. Stores that were in it "
            "count until their writers end",
            dir->path);
        dir->displaced = dir->said_displaced = false;
        return true;
    }
    const char *const pairs[] = { "dir", dir->path, "reason", error.message, NULL };
    if (!dir->said_displaced)
        serve_log_write(dir->log, WEB_LOG_ERROR,
                        "the directory was removed or replaced, and cannot be used as it is now", pairs);
    dir->said_displaced = true;
    return false;
}

bool store_place_changed(struct store_dir *dir)
{
    alignas(struct inotify_event) char events[4096];
    bool changed = dir->inotify < 0;
    while (dir->inotify >= 0 && read(dir->inotify, events, sizeof events) > 0)
        changed = true;
    return changed;
}
