/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of stores as a place. */
#include "doctor/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#define SHARED_MEMORY "/dev/shm/"
enum { TMPFS = 0x01021994, RAMFS = 0x858458f6, FIRST_USER = 1000 };
static const uint64_t LEAST_BYTES = 16u << 20;

static void check_lock(struct doctor *doctor, int fd)
{
    const char *dir = doctor->options.store_dir;
    const int locked = doctor_lock_of(fd);
    doctor->in_use = locked == EWOULDBLOCK;
    if (locked == 0)
        doctor_find(doctor, DOCTOR_NOT_IN_USE, "no exporter has locked %s", dir);
    else if (doctor->in_use)
        doctor_find(doctor, DOCTOR_IN_USE, "an exporter has locked %s", dir);
    else
        doctor_find(doctor, DOCTOR_DIRECTORY_NO_LOCKS, "%s cannot be locked: %s", dir, strerrordesc_np(locked));
}

static void check_room(struct doctor *doctor, int fd)
{
    struct statfs system;
    if (fstatfs(fd, &system) != 0)
        return;
    const uint64_t block = (uint64_t)system.f_bsize, free = (uint64_t)system.f_bavail * block,
                   all = (uint64_t)system.f_blocks * block;
    const bool is_short = all > 0 && (free < LEAST_BYTES || (system.f_files > 0 && system.f_ffree == 0));
    doctor_find(doctor, is_short ? DOCTOR_ROOM_SHORT : DOCTOR_ROOM, "%.1f of %.1f MiB are free in %s",
                (double)free / 0x1p20, (double)all / 0x1p20, doctor->options.store_dir);
    if ((uint64_t)system.f_type != TMPFS && (uint32_t)system.f_type != (uint32_t)RAMFS)
        doctor_find(doctor, DOCTOR_DIRECTORY_NOT_IN_MEMORY, "%s is on a file system of type %#lx",
                    doctor->options.store_dir, (unsigned long)system.f_type);
}

static bool is_there(const struct doctor *doctor, const char *path, const char *name)
{
    char whole[DOCTOR_PATH];
    struct stat status;
    (void)snprintf(whole, sizeof whole, "%s%s%s", doctor->options.root, path, name);
    return stat(whole, &status) == 0;
}

/* systemd-logind removes what a user has in shared memory when the last session of the user ends, unless it is a system
 * user, the user lingers, or RemoveIPC=no. */
static void check_logout(struct doctor *doctor, const struct stat *status)
{
    const char *dir = doctor->options.store_dir;
    const struct passwd *user = getpwuid(status->st_uid);
    if (strncmp(dir, SHARED_MEMORY, strlen(SHARED_MEMORY)) != 0 || status->st_uid < FIRST_USER ||
        !is_there(doctor, "/run/systemd/system", "") ||
        (user && is_there(doctor, "/var/lib/systemd/linger/", user->pw_name)) || !doctor_removes_ipc(doctor))
        return;
    doctor_find(doctor, DOCTOR_DIRECTORY_EMPTIED, "%s belongs to user %lu, who does not linger", dir,
                (unsigned long)status->st_uid);
}

static size_t count_stores(const char *path)
{
    DIR *directory = opendir(path);
    size_t count = 0;
    for (const struct dirent *file; directory && (file = readdir(directory));) {
        const size_t size = strlen(file->d_name);
        count += file->d_name[0] != '.' && size > 6 && strcmp(file->d_name + size - 6, ".kvtel") == 0;
    }
    if (directory)
        closedir(directory);
    return count;
}

/* Default directories of other users that have stores. */
static void check_others(struct doctor *doctor)
{
    DIR *memory = opendir(SHARED_MEMORY);
    for (const struct dirent *file; memory && (file = readdir(memory));) {
        char path[sizeof SHARED_MEMORY + sizeof file->d_name];
        struct stat status;
        (void)snprintf(path, sizeof path, SHARED_MEMORY "%s", file->d_name);
        const size_t digits = strncmp(file->d_name, "kvtel-", 6) == 0 ? strspn(file->d_name + 6, "0123456789") : 0;
        if (digits == 0 || file->d_name[6 + digits] || lstat(path, &status) != 0 || !S_ISDIR(status.st_mode) ||
            (status.st_dev == doctor->device && status.st_ino == doctor->inode))
            continue;
        const size_t count = count_stores(path);
        const bool readable = faccessat(AT_FDCWD, path, R_OK | X_OK, AT_EACCESS) == 0;
        if (count > 0 || !readable)
            doctor_find(doctor, DOCTOR_DIRECTORY_OF_OTHERS, "%s, owner %lu: %s", path, (unsigned long)status.st_uid,
                        readable ? "it has stores" : "this user may not look into it");
    }
    if (memory)
        closedir(memory);
}

static bool is_private(const struct stat *status)
{
    return status->st_uid == geteuid() && !(status->st_mode & 0022);
}

/* The directory is there. */
static void check_place(struct doctor *doctor, int fd, const struct stat *status)
{
    const char *dir = doctor->options.store_dir;
    const bool writable = faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0;
    const unsigned mode = status->st_mode & 07777;
    doctor->directory_there = true;
    doctor->device = status->st_dev;
    doctor->inode = status->st_ino;
    if (doctor->options.default_dir && !is_private(status))
        doctor_find(doctor, DOCTOR_DIRECTORY_NOT_PRIVATE, "%s: owner %lu, mode %04o; this user is %lu", dir,
                    (unsigned long)status->st_uid, mode, (unsigned long)geteuid());
    else if (!writable)
        doctor_find(doctor, DOCTOR_DIRECTORY_READ_ONLY, "%s: owner %lu, mode %04o; user %lu may not write there", dir,
                    (unsigned long)status->st_uid, mode, (unsigned long)geteuid());
    else
        doctor_find(doctor, DOCTOR_DIRECTORY, "%s: owner %lu, mode %04o; user %lu may read and write there", dir,
                    (unsigned long)status->st_uid, mode, (unsigned long)geteuid());
    check_lock(doctor, fd);
    check_room(doctor, fd);
    check_logout(doctor, status);
}

void doctor_check_directory(struct doctor *doctor)
{
    const char *dir = doctor->options.store_dir;
    struct stat status;
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (doctor->options.default_dir ? O_NOFOLLOW : 0));
    const int error = errno;
    if (fd >= 0 && fstat(fd, &status) == 0)
        check_place(doctor, fd, &status);
    else if (error == ENOENT)
        doctor_find(doctor, DOCTOR_DIRECTORY_MISSING, "%s does not exist", dir);
    else if (error == ENOTDIR || error == ELOOP)
        doctor_find(doctor, DOCTOR_DIRECTORY_UNUSABLE, "%s is not a directory, but a link or a file", dir);
    else if (doctor->options.default_dir && lstat(dir, &status) == 0 && !is_private(&status))
        doctor_find(doctor, DOCTOR_DIRECTORY_NOT_PRIVATE, "%s: owner %lu, mode %04o; this user is %lu", dir,
                    (unsigned long)status.st_uid, status.st_mode & 07777, (unsigned long)geteuid());
    else
        doctor_find(doctor, DOCTOR_DIRECTORY_UNREADABLE, "%s: %s", dir, strerrordesc_np(error));
    if (fd >= 0)
        close(fd);
    check_others(doctor);
}
