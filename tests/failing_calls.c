/* SPDX-License-Identifier: Apache-2.0 */
/* A library to preload into a program under test. $KVTEL_FAIL is "CALL TEXT ERRNO FILE": while FILE exists, CALL
 * (openat, pread, unlinkat, flock) fails with ERRNO for files whose path contains TEXT. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

static bool fails(const char *call, int fd, const char *name)
{
    char wanted[16], text[256], file[512], path[4096] = "", link[64];
    int number;
    const char *said = getenv("KVTEL_FAIL");
    if (!said || sscanf(said, "%15s %255s %d %511s", wanted, text, &number, file) != 4 || strcmp(call, wanted) != 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (!name && readlink(link, path, sizeof path - 1) < 0)
        return false;
    if (!strstr(name ? name : path, text) || access(file, F_OK) != 0)
        return false;
    errno = number;
    return true;
}

SHOWN int openat(int folder, const char *path, int flags, ...)
{
    int (*real)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, "openat");
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    return fails("openat", -1, path) ? -1 : real(folder, path, flags, mode);
}

/* openat() in a program that is built with FORTIFY. */
int __openat_2(int folder, const char *path, int flags);

SHOWN int __openat_2(int folder, const char *path, int flags)
{
    int (*real)(int, const char *, int) = (int (*)(int, const char *, int))dlsym(RTLD_NEXT, "__openat_2");
    return fails("openat", -1, path) ? -1 : real(folder, path, flags);
}

SHOWN ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    ssize_t (*real)(int, void *, size_t, off_t) = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    return fails("pread", fd, NULL) ? -1 : real(fd, bytes, size, at);
}

SHOWN int unlinkat(int folder, const char *path, int flags)
{
    int (*real)(int, const char *, int) = (int (*)(int, const char *, int))dlsym(RTLD_NEXT, "unlinkat");
    return fails("unlinkat", -1, path) ? -1 : real(folder, path, flags);
}

SHOWN int flock(int fd, int operation)
{
    int (*real)(int, int) = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    return fails("flock", fd, NULL) ? -1 : real(fd, operation);
}
