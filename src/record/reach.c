/* SPDX-License-Identifier: Apache-2.0 */
/* A store's file while the store is written: making its descriptor usable, and warnings to the user. */
#include "record/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WARNING_SIZE = 4096 + 512 };

bool kvtel_store_is_file(struct kvtel_store *store, int fd)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0 || status.st_dev != store->device || status.st_ino != store->inode)
        return false;
    if (status.st_nlink == 0)
        atomic_store_explicit(&store->header->file_deleted, 1, memory_order_relaxed);
    return true;
}

bool kvtel_store_reach(struct kvtel_store *store)
{
    if (store->fd < 0 || kvtel_store_is_file(store, store->fd))
        return true;
    int fd = store->path ? open(store->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    if (kvtel_store_is_file(store, fd)) {
        store->fd = fd;
        return true;
    }
    if (fd >= 0)
        (void)close(fd);
    errno = EBADF;
    return false;
}

void kvtel_store_warn(struct kvtel_store *store, enum kvtel_store_warning warning, const char *message)
{
    uint32_t bit = 1u << warning;
    if (store->warn && !(atomic_fetch_or_explicit(&store->warned, bit, memory_order_relaxed) & bit))
        store->warn(store->warn_context, message);
}

/* Length of the path without the last slash and the file's name. */
static int dir_length(const struct kvtel_store *store)
{
    const char *slash = store->path ? strrchr(store->path, '/') : NULL;
    return slash ? (int)(slash - store->path) : 0;
}

void kvtel_store_warn_of(struct kvtel_store *store, enum kvtel_store_warning warning, enum kvtel_status status,
                         const char *what)
{
    char message[WARNING_SIZE], cause[WARNING_SIZE / 2];
    int error = errno;
    if (status == KVTEL_E_LIMIT && warning == KVTEL_WARN_LANES)
        (void)snprintf(cause, sizeof(cause), "all %u are taken (max_lanes)", (unsigned)store->header->max_lanes);
    else if (status == KVTEL_E_LIMIT)
        (void)snprintf(cause, sizeof(cause), "max_series (%u) or the room of a lane (lane_bytes) is used up",
                       (unsigned)store->header->max_series);
    else if (status == KVTEL_E_NOMEM && store->path && error == EBADF)
        (void)snprintf(cause, sizeof(cause), "this process closed the descriptor of %s, which cannot be opened again",
                       store->path);
    else if (status == KVTEL_E_NOMEM && store->path && error != ENOMEM)
        (void)snprintf(cause, sizeof(cause), "no memory in %.*s: %s", dir_length(store), store->path, strerror(error));
    else
        (void)snprintf(cause, sizeof(cause), "%s", kvtel_status_text(status));
    (void)snprintf(message, sizeof(message), "%s (%s): what it would record is lost, and counted", what, cause);
    kvtel_store_warn(store, warning, message);
}

void kvtel_store_check_file(struct kvtel_store *store)
{
    char message[WARNING_SIZE];
    if (atomic_load_explicit(&store->header->file_deleted, memory_order_relaxed) == 0)
        return;
    (void)snprintf(
        message, sizeof(message),
        "%s was deleted while this process records into it: an exporter that starts from now on cannot see it",
        store->path ? store->path : "");
    kvtel_store_warn(store, KVTEL_WARN_DELETED, message);
}
