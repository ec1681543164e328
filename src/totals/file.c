/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and replacing the file of totals. */
#include "totals/file.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#define RESERVE_BEGIN ".totals-"
#define RESERVE_END ".next"

static const off_t MOST = (off_t)1 << 31;

static enum kvtel_status make_path(const char *dir, const char *name, char path[TOTALS_PATH], struct kvtel_error *error)
{
    int length = snprintf(path, TOTALS_PATH, "%s/%s", dir, name);
    return length > 0 && length < TOTALS_PATH ? KVTEL_OK
                                              : kvtel_fail(error, KVTEL_E_IO, 0, "the directory's name is too long");
}

static struct totals_identity identity_of(const struct stat *status)
{
    return (struct totals_identity){ status->st_dev, status->st_ino, status->st_size, status->st_mtim };
}

bool totals_identity_equal(const struct totals_identity *left, const struct totals_identity *right)
{
    return left->device == right->device && left->inode == right->inode && left->size == right->size &&
           left->changed.tv_sec == right->changed.tv_sec && left->changed.tv_nsec == right->changed.tv_nsec;
}

bool totals_file_is(const char *dir, const struct totals_identity *identity)
{
    char path[TOTALS_PATH];
    struct stat status;
    if (make_path(dir, TOTALS_NAME, path, NULL) != KVTEL_OK)
        return true;
    if (lstat(path, &status) != 0)
        return errno != ENOENT || identity->inode == 0;
    const struct totals_identity found = identity_of(&status);
    return totals_identity_equal(&found, identity);
}

/* Reads the file up to the size that it had when it was opened. */
static enum kvtel_status read_all(int fd, off_t size, off_t most, struct kvtel_buffer *bytes, struct kvtel_error *error)
{
    if (size > most)
        return kvtel_fail(error, KVTEL_E_FORMAT, 0, "%lld bytes are too many", (long long)size);
    if (kvtel_buffer_reserve(bytes, (size_t)size + 1) != KVTEL_OK)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    while (bytes->size < (size_t)size) {
        ssize_t got = pread(fd, bytes->bytes + bytes->size, (size_t)size - bytes->size, (off_t)bytes->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return kvtel_fail_system(error, errno, bytes->size, "reading failed");
        if (got == 0)
            break; /* the file was truncated in the meantime */
        bytes->size += (size_t)got;
    }
    return KVTEL_OK;
}

enum kvtel_status totals_file_read_bytes(const char *dir, const char *name, off_t most, struct kvtel_buffer *bytes,
                                         struct totals_identity *identity, struct kvtel_error *error)
{
    char path[TOTALS_PATH];
    struct stat file;
    *identity = (struct totals_identity){ 0 };
    enum kvtel_status status = make_path(dir, name, path, error);
    if (status != KVTEL_OK)
        return status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return KVTEL_OK;
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? kvtel_fail(error, KVTEL_E_FORMAT, 0, "it is not a regular file")
                                                : kvtel_fail_system(error, errno, 0, "it cannot be opened");
    if (fstat(fd, &file) != 0)
        status = kvtel_fail_system(error, errno, 0, "it cannot be looked at");
    else if (!S_ISREG(file.st_mode))
        status = kvtel_fail(error, KVTEL_E_FORMAT, 0, "it is not a regular file");
    if (status == KVTEL_OK)
        status = read_all(fd, file.st_size, most, bytes, error);
    close(fd);
    if (status == KVTEL_OK)
        *identity = identity_of(&file);
    return status;
}

enum kvtel_status totals_file_read(const char *dir, struct totals *totals, struct totals_identity *identity,
                                   struct kvtel_error *error)
{
    struct kvtel_buffer bytes = { 0 };
    struct totals_identity file;
    *totals = (struct totals){ 0 };
    *identity = (struct totals_identity){ 0 };
    enum kvtel_status status = totals_file_read_bytes(dir, TOTALS_NAME, MOST, &bytes, &file, error);
    if (status == KVTEL_OK && file.inode != 0)
        status = totals_decode(&bytes, totals, error);
    if (status == KVTEL_OK)
        *identity = file;
    kvtel_buffer_free(&bytes);
    return status;
}

static bool is_made(const struct totals_reserve *reserve)
{
    return reserve->path[0] != '\0';
}

static void forget_reserve(struct totals_reserve *reserve)
{
    close(reserve->fd);
    reserve->path[0] = '\0';
    reserve->size = 0;
}

/* Makes a file under a new random name. False: errno says why. */
static bool make_file(const char *dir, struct totals_reserve *reserve)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = (uint64_t)time(NULL);
    int length = snprintf(reserve->path, sizeof reserve->path, "%s/" RESERVE_BEGIN "%ld-%016llx" RESERVE_END, dir,
                          (long)getpid(), (unsigned long long)number);
    errno = ENAMETOOLONG;
    reserve->size = 0;
    reserve->fd = length > 0 && (size_t)length < sizeof reserve->path
                      ? open(reserve->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)
                      : -1;
    if (reserve->fd < 0)
        reserve->path[0] = '\0';
    return reserve->fd >= 0;
}

void totals_reserve_free(struct totals_reserve *reserve)
{
    if (!is_made(reserve))
        return;
    (void)unlink(reserve->path);
    forget_reserve(reserve);
}

void totals_reserve_fill(const char *dir, struct totals_reserve *reserve, size_t size)
{
    struct stat status;
    if (is_made(reserve) && lstat(reserve->path, &status) != 0 && errno == ENOENT)
        forget_reserve(reserve); /* somebody removed the file or the directory */
    if (!is_made(reserve) && !make_file(dir, reserve))
        return;
    if (reserve->size >= (off_t)size)
        return;
    /* Not posix_fallocate(): on a file system that cannot reserve, it would write zeros. */
    if (fallocate(reserve->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) == 0)
        reserve->size = (off_t)size;
}

static bool is_disk(int fd)
{
    struct statfs system;
    return fstatfs(fd, &system) != 0 || (system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC);
}

/* Writes a piece at a place, and moves that on. 0 or an errno. */
static int write_piece(int fd, const struct iovec *piece, off_t *at)
{
    for (size_t done = 0; done < piece->iov_len;) {
        ssize_t put = pwrite(fd, (const char *)piece->iov_base + done, piece->iov_len - done, *at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put == 0 ? EIO : errno;
        done += (size_t)put;
        *at += put;
    }
    return 0;
}

/* 0 or an errno. */
static int write_all(int fd, const struct iovec *pieces, size_t count)
{
    off_t at = 0;
    int error = 0;
    for (size_t i = 0; i < count && error == 0; i++)
        error = write_piece(fd, &pieces[i], &at);
    /* also frees the blocks reserved past the end */
    if (error == 0 && ftruncate(fd, at) != 0)
        error = errno;
    if (error != 0)
        return error;
    return is_disk(fd) && fsync(fd) != 0 ? errno : 0;
}

/* Syncs the directory, so that the new name is on the disk, too. A file system that cannot do this returns EINVAL,
 * which is not an error here. 0 or an errno. */
static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = is_disk(fd) && fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    close(fd);
    return error;
}

/* 0 or an errno. */
static int write_once(const char *dir, const char *path, const struct iovec *pieces, size_t count,
                      struct totals_reserve *reserve, struct totals_identity *identity)
{
    struct stat status;
    if (!is_made(reserve) && !make_file(dir, reserve))
        return errno;
    int error = write_all(reserve->fd, pieces, count);
    if (error == 0 && fstat(reserve->fd, &status) != 0)
        error = errno;
    if (error == 0 && rename(reserve->path, path) != 0)
        error = errno;
    if (error != 0) {
        if (error != ENOSPC && error != EDQUOT) /* when the disk is full, the reserve keeps its blocks */
            totals_reserve_free(reserve);
        return error;
    }
    *identity = identity_of(&status);
    forget_reserve(reserve);
    return sync_dir(dir);
}

enum kvtel_status totals_file_replace(const char *dir, const char *name, const char *what, const struct iovec *pieces,
                                      size_t count, struct totals_reserve *reserve, struct totals_identity *identity,
                                      struct kvtel_error *error)
{
    char path[TOTALS_PATH];
    size_t size = 0;
    enum kvtel_status status = make_path(dir, name, path, error);
    if (status != KVTEL_OK)
        return status;
    int failure = write_once(dir, path, pieces, count, reserve, identity);
    if (failure == ENOENT) /* somebody removed the reserve: try once more with a new one */
        failure = write_once(dir, path, pieces, count, reserve, identity);
    if (failure == 0)
        return KVTEL_OK;
    for (size_t i = 0; i < count; i++)
        size += pieces[i].iov_len;
    return kvtel_fail_system(error, failure, size, what);
}

enum kvtel_status totals_file_write(const char *dir, const struct kvtel_buffer *content, struct totals_reserve *reserve,
                                    struct totals_identity *identity, struct kvtel_error *error)
{
    const struct iovec all = { .iov_base = content->bytes, .iov_len = content->size };
    return totals_file_replace(dir, TOTALS_NAME, "totals cannot be written", &all, 1, reserve, identity, error);
}

enum kvtel_status totals_file_set_aside(const char *dir, char name[64], struct kvtel_error *error)
{
    char path[TOTALS_PATH], other[TOTALS_PATH], when[32] = "";
    uint32_t number = 0;
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        (void)strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &utc);
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
        /* random numbers are not available early after boot; the name only has to be new */
        number = (uint32_t)getpid();
    (void)snprintf(name, 64, "totals.damaged-%s-%08x", when, (unsigned)number);
    enum kvtel_status status = make_path(dir, TOTALS_NAME, path, error);
    if (status == KVTEL_OK)
        status = make_path(dir, name, other, error);
    if (status == KVTEL_OK && rename(path, other) != 0)
        status = kvtel_fail_system(error, errno, 0, "it cannot be renamed");
    return status;
}

void totals_remove_leftovers(const char *dir)
{
    size_t begin = strlen(RESERVE_BEGIN), end = strlen(RESERVE_END);
    DIR *directory = opendir(dir);
    for (struct dirent *file; directory && (file = readdir(directory));) {
        size_t size = strlen(file->d_name);
        if (size > begin + end && strncmp(file->d_name, RESERVE_BEGIN, begin) == 0 &&
            strcmp(file->d_name + size - end, RESERVE_END) == 0)
            (void)unlinkat(dirfd(directory), file->d_name, 0);
    }
    if (directory)
        closedir(directory);
}
