/* SPDX-License-Identifier: Apache-2.0 */
/* Stores in files: their directory, how a file is made, and how a reader can tell that the writer is alive. */
#include "record/ending.h"
#include "record/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* The directory that the caller or $KVTEL_STORE_DIR names. NULL: neither names one, or the name is empty. */
static const char *given_dir(const char *dir)
{
    const char *given = dir && *dir ? dir : getenv("KVTEL_STORE_DIR");
    return given && *given ? given : NULL;
}

bool kvtel_store_dir_is_default(const char *dir)
{
    return !given_dir(dir);
}

/* The permissions that $KVTEL_STORE_MODE gives to a store whose options name none. False: it is no such number. */
static bool mode_of_environment(uint32_t *mode)
{
    const char *text = getenv("KVTEL_STORE_MODE");
    if (!text || !*text)
        return true;
    char *end;
    const unsigned long value = strtoul(text, &end, 8);
    if (*text < '0' || *text > '7' || *end || value > 0777)
        return false;
    *mode = (uint32_t)value;
    return true;
}

/* Permission bits of the file. Other users can at most get read permission: with write permission they could
 * truncate the file that this process maps. */
static mode_t file_mode(const struct kvtel_store_options *options)
{
    return 0600 | (options->mode & 0044);
}

size_t kvtel_store_default_dir(const char *dir, char *path, size_t size)
{
    const char *given = given_dir(dir);
    int length = given ? snprintf(path, size, "%s", given)
                       : snprintf(path, size, "/dev/shm/kvtel-%lu", (unsigned long)geteuid());
    return length > 0 && (size_t)length < size ? (size_t)length : 0;
}

/* Makes the directory. Users who may read the file get search permission on the directory. 0 or an errno. */
static int make_dir(const char *path, mode_t readers, bool shared_place)
{
    mode_t mode = 0700 | (readers & 0040 ? 0050 : 0) | (readers & 0004 ? 0005 : 0);
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0 ? 0 : errno;
    struct stat status;
    if (errno != EEXIST || lstat(path, &status) != 0)
        return errno;
    /* In shared memory any user could have made the directory, so that this process writes into a stranger's
     * directory. */
    bool is_ours = S_ISDIR(status.st_mode) && status.st_uid == geteuid() && !(status.st_mode & 0022);
    return !shared_place || is_ours ? 0 : EPERM;
}

/* Locks the file for as long as this open file exists. The kernel releases the lock however the process ends, and
 * containers that share the directory see it. */
static bool lock_file(int fd)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* 0 or an errno. */
static int open_in(const char *dir, const struct kvtel_store_options *options, struct kvtel_store **made)
{
    char temporary[PATH_SIZE], path[PATH_SIZE];
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = (uint64_t)(uintptr_t)&random;
    int length =
        snprintf(temporary, sizeof(temporary), "%s/.%ld-%016llx.new", dir, (long)getpid(), (unsigned long long)random);
    int path_length =
        snprintf(path, sizeof(path), "%s/%ld-%016llx.kvtel", dir, (long)getpid(), (unsigned long long)random);
    if (length < 0 || (size_t)length >= sizeof(temporary) || path_length < 0 || (size_t)path_length >= sizeof(path))
        return ENAMETOOLONG;
    int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    char *kept = fchmod(fd, file_mode(options)) == 0 && lock_file(fd) ? strdup(path) : NULL;
    if (!kept || kvtel_store_make(options, fd, made) != KVTEL_OK) {
        int error = errno;
        free(kept);
        (void)unlink(temporary);
        (void)close(fd);
        return error;
    }
    (*made)->path = kept;
    if (rename(temporary, path) == 0) {
        kvtel_store_begins(*made);
        return 0;
    }
    int error = errno;
    (void)unlink(temporary);
    kvtel_store_close(*made);
    return error;
}

struct kvtel_store *kvtel_store_open(const struct kvtel_store_options *given)
{
    struct kvtel_store_options options = kvtel_store_known_options(given);
    const bool mode_known = options.mode != 0 || mode_of_environment(&options.mode);
    char dir[PATH_SIZE] = "", message[PATH_SIZE + 256];
    bool shared_place = !given_dir(options.dir);
    struct kvtel_store *store = NULL;
    int error = kvtel_store_default_dir(options.dir, dir, sizeof(dir)) > 0 ? 0 : ENAMETOOLONG;
    if (error == 0)
        error = make_dir(dir, file_mode(&options), shared_place);
    if (error == 0)
        error = open_in(dir, &options, &store);
    if (error == 0) {
        if (!mode_known)
            kvtel_store_warn(store, KVTEL_WARN_MODE,
                             "KVTEL_STORE_MODE is not an octal number of permissions, such as 0640: 0600 is used");
        if (options.mode & ~file_mode(&options) & 0777)
            kvtel_store_warn(store, KVTEL_WARN_MODE,
                             "of a store's mode only 0644 is granted: others may read it, and not change it");
        return store;
    }
    if (kvtel_store_make(&options, -1, &store) != KVTEL_OK)
        return NULL;
    (void)snprintf(message, sizeof(message),
                   "no store can be made in %s (%s): what is recorded stays inside this process", dir, strerror(error));
    kvtel_store_warn(store, KVTEL_WARN_HEAP, message);
    return store;
}
