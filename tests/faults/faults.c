/* SPDX-License-Identifier: Apache-2.0 */
/* A library to preload that makes system calls of kvtel fail: LD_PRELOAD=libkvtel_faults.so KVTEL_FAULTS=FILE
 * program.
 *
 * FILE contains struct faults. Each process with the library maps it, so a test can turn faults on and off while the
 * processes run (tests/e2e/faults.py). A call fails if it comes from kvtel's own code (the program, or a library
 * with "kvtel" in its name), its bit in `calls` is set, and it is the `every`-th such call. Calls of other libraries
 * always reach the kernel. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The order is that of CALLS in tests/e2e/faults.py. */
enum call {
    CALL_PREAD,
    CALL_OPEN,
    CALL_FSTAT,
    CALL_RENAME,
    CALL_FALLOCATE,
    CALL_MMAP,
    CALL_FCNTL,
    CALL_FTRUNCATE,
    CALL_CLOSE,
    CALL_WRITE,
    CALL_THREAD,
    CALL_INOTIFY,
    CALL_UNLINK,
    CALL_FSYNC,
    CALL_COUNT
};

struct faults {
    _Atomic uint32_t calls; /* a bit for each call that fails */
    _Atomic uint32_t every; /* 1: each call; n: the n-th, 2n-th ... */
    _Atomic int32_t error;  /* errno; 0: fewer bytes than asked (pread, write) */
    _Atomic uint32_t once;  /* 1: nothing more fails after the first fault */
    _Atomic uint64_t seen[CALL_COUNT], failed[CALL_COUNT];
};

static struct faults *faults;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("KVTEL_FAULTS");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *mapped = (void *)syscall(SYS_mmap, NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (mapped != MAP_FAILED)
        faults = mapped;
}

/* Whether the code at this address is kvtel's. */
static bool is_kvtel(const void *address)
{
    Dl_info info;
    if (!dladdr(address, &info) || !info.dli_fname)
        return false;
    if (strstr(info.dli_fname, "kvtel_faults"))
        return false;
    if (strstr(info.dli_fname, "kvtel"))
        return true;
    return strstr(info.dli_fname, "store_writer") != NULL;
}

/* Whether this call fails; then errno is set. `short_count`: it may also be one that moves fewer bytes. */
static bool fails(enum call call, const void *caller, bool *short_count)
{
    if (!faults || !(atomic_load_explicit(&faults->calls, memory_order_relaxed) & 1u << call) || !is_kvtel(caller))
        return false;
    uint64_t number = atomic_fetch_add_explicit(&faults->seen[call], 1, memory_order_relaxed) + 1;
    uint32_t every = atomic_load_explicit(&faults->every, memory_order_relaxed);
    int error = atomic_load_explicit(&faults->error, memory_order_relaxed);
    if (every == 0 || number % every != 0 || (error == 0 && !short_count))
        return false;
    uint64_t before = atomic_fetch_add_explicit(&faults->failed[call], 1, memory_order_relaxed);
    if (before > 0 && atomic_load_explicit(&faults->once, memory_order_relaxed))
        return false;
    if (error == 0) {
        *short_count = true;
        return false;
    }
    errno = error;
    return true;
}

#define REAL(name)                 \
    static __typeof__(&name) real; \
    if (!real)                     \
    real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)
#define CALLER __builtin_return_address(0)

/* Half of what was asked for, at least one byte. */
static size_t fewer(size_t size, bool short_count)
{
    return short_count && size > 1 ? size / 2 : size;
}

ssize_t pread(int fd, void *bytes, size_t size, off_t at)
{
    REAL(pread);
    bool short_count = false;
    return fails(CALL_PREAD, CALLER, &short_count) ? -1 : real(fd, bytes, fewer(size, short_count), at);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t at)
{
    REAL(pread64);
    bool short_count = false;
    return fails(CALL_PREAD, CALLER, &short_count) ? -1 : real(fd, bytes, fewer(size, short_count), at);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    REAL(write);
    bool short_count = false;
    return fails(CALL_WRITE, CALLER, &short_count) ? -1 : real(fd, bytes, fewer(size, short_count));
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    REAL(pwrite);
    bool short_count = false;
    return fails(CALL_WRITE, CALLER, &short_count) ? -1 : real(fd, bytes, fewer(size, short_count), at);
}

static int mode_of(int flags, va_list arguments)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, int) : 0;
}

int open(const char *path, int flags, ...)
{
    REAL(open);
    va_list arguments;
    va_start(arguments, flags);
    int mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails(CALL_OPEN, CALLER, NULL) ? -1 : real(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
    REAL(openat);
    va_list arguments;
    va_start(arguments, flags);
    int mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails(CALL_OPEN, CALLER, NULL) ? -1 : real(dir, path, flags, mode);
}

/* What open(), openat() and pread() become in a program built with FORTIFY. */
int __open_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
ssize_t __pread_chk(int fd, void *bytes, size_t size, off_t at, size_t room);

int __open_2(const char *path, int flags)
{
    REAL(__open_2);
    return fails(CALL_OPEN, CALLER, NULL) ? -1 : real(path, flags);
}

int __openat_2(int dir, const char *path, int flags)
{
    REAL(__openat_2);
    return fails(CALL_OPEN, CALLER, NULL) ? -1 : real(dir, path, flags);
}

ssize_t __pread_chk(int fd, void *bytes, size_t size, off_t at, size_t room)
{
    REAL(__pread_chk);
    bool short_count = false;
    return fails(CALL_PREAD, CALLER, &short_count) ? -1 : real(fd, bytes, fewer(size, short_count), at, room);
}

int fstat(int fd, struct stat *status)
{
    REAL(fstat);
    return fails(CALL_FSTAT, CALLER, NULL) ? -1 : real(fd, status);
}

int fstatat(int dir, const char *path, struct stat *status, int flags)
{
    REAL(fstatat);
    return fails(CALL_FSTAT, CALLER, NULL) ? -1 : real(dir, path, status, flags);
}

int stat(const char *path, struct stat *status)
{
    REAL(stat);
    return fails(CALL_FSTAT, CALLER, NULL) ? -1 : real(path, status);
}

int rename(const char *from, const char *to)
{
    REAL(rename);
    return fails(CALL_RENAME, CALLER, NULL) ? -1 : real(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    REAL(renameat);
    return fails(CALL_RENAME, CALLER, NULL) ? -1 : real(from_dir, from, to_dir, to);
}

int posix_fallocate(int fd, off_t at, off_t size) /* returns the error */
{
    REAL(posix_fallocate);
    return fails(CALL_FALLOCATE, CALLER, NULL) ? errno : real(fd, at, size);
}

int fallocate(int fd, int mode, off_t at, off_t size)
{
    REAL(fallocate);
    return fails(CALL_FALLOCATE, CALLER, NULL) ? -1 : real(fd, mode, at, size);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
    REAL(mmap);
    return fails(CALL_MMAP, CALLER, NULL) ? MAP_FAILED : real(address, size, protection, flags, fd, at);
}

int fcntl(int fd, int command, ...)
{
    REAL(fcntl);
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fails(CALL_FCNTL, CALLER, NULL) ? -1 : real(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
    REAL(fcntl64);
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fails(CALL_FCNTL, CALLER, NULL) ? -1 : real(fd, command, argument);
}

int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    return fails(CALL_FTRUNCATE, CALLER, NULL) ? -1 : real(fd, size);
}

int close(int fd) /* the descriptor is free however it ends, as on Linux */
{
    REAL(close);
    bool failed = fails(CALL_CLOSE, CALLER, NULL);
    int error = errno;
    int result = real(fd);
    if (!failed)
        return result;
    errno = error;
    return -1;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    REAL(pthread_create);
    return fails(CALL_THREAD, CALLER, NULL) ? errno : real(thread, attributes, run, argument);
}

int inotify_init1(int flags)
{
    REAL(inotify_init1);
    return fails(CALL_INOTIFY, CALLER, NULL) ? -1 : real(flags);
}

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    REAL(inotify_add_watch);
    return fails(CALL_INOTIFY, CALLER, NULL) ? -1 : real(fd, path, mask);
}

int unlink(const char *path)
{
    REAL(unlink);
    return fails(CALL_UNLINK, CALLER, NULL) ? -1 : real(path);
}

int unlinkat(int dir, const char *path, int flags)
{
    REAL(unlinkat);
    return fails(CALL_UNLINK, CALLER, NULL) ? -1 : real(dir, path, flags);
}

int fsync(int fd)
{
    REAL(fsync);
    return fails(CALL_FSYNC, CALLER, NULL) ? -1 : real(fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return fails(CALL_FSYNC, CALLER, NULL) ? -1 : real(fd);
}
