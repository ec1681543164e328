/* SPDX-License-Identifier: Apache-2.0 */
/* A library to preload that makes system calls and allocations of kvtel fail:
 * LD_PRELOAD=libkvtel_faults.so KVTEL_FAULTS=FILE program.
 *
 * FILE holds struct faults. Every process that has the library maps FILE, so a test turns faults on and off while the
 * processes run (tests/e2e/faults.py). A call fails when all of this is true:
 *   - the caller is kvtel's code (or, of an allocation, jansson's): calls of other libraries always go through;
 *   - its bit is set in `calls`;
 *   - `process` is 0 or this process;
 *   - `text` is empty or a part of the path that the call names, or of the path of its descriptor's file;
 *   - it is the `every`-th such call. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "support/sanitizer.h"

/* The order is that of CALLS in tests/e2e/faults.py. */
enum call {
    CALL_PREAD,
    CALL_READ,
    CALL_OPEN,
    CALL_STAT,
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
    CALL_FLOCK,
    CALL_RANDOM,
    CALL_STATFS,
    CALL_SEEK,
    CALL_MODE,
    CALL_ACCEPT,
    CALL_RECEIVE,
    CALL_SEND,
    CALL_POLL,
    CALL_ALLOCATE,
    CALL_COUNT
};

struct faults {
    _Atomic uint64_t calls;  /* a bit for each call that fails */
    _Atomic uint32_t every;  /* 1: each call; n: the n-th, 2n-th ... */
    _Atomic int32_t error;   /* errno; 0: fewer bytes than asked (pread, read, write, recv, send) */
    _Atomic uint32_t once;   /* 1: nothing more fails after the first fault */
    _Atomic int32_t process; /* 0: every process */
    char text[256];
    _Atomic uint64_t seen[CALL_COUNT], failed[CALL_COUNT];
};

/* The order above, and the size of the file: faults.py looks for this text in the library, so that one that was built
 * before a change is not used with the file of after. */
__attribute__((used)) static const char agreed[] =
    "faults: pread read open stat rename fallocate mmap fcntl ftruncate close write pthread_create inotify unlink "
    "fsync flock getrandom statfs lseek chmod accept recv send epoll malloc; 680 bytes";
_Static_assert(sizeof(struct faults) == 680 && CALL_COUNT == 25, "faults.py and `agreed` say the same");

/* What a call is about: a path, a descriptor, or neither. */
struct subject {
    const char *path;
    int fd;
};
#define PATH(path) ((struct subject){ path, -1 })
#define FD(fd) ((struct subject){ NULL, fd })
#define NOTHING ((struct subject){ NULL, -1 })
#define CALLER __builtin_return_address(0)

static struct faults *faults;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("KVTEL_FAULTS");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    /* 0L: of an int the compiler need not pass the upper half */
    void *mapped = (void *)syscall(SYS_mmap, NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L);
    syscall(SYS_close, fd);
    if (mapped != MAP_FAILED)
        faults = mapped;
}

/* Whether the code at this address is kvtel's, or a library's that allocates for kvtel. */
static bool is_kvtel(enum call call, const void *address)
{
    Dl_info info;
    if (!dladdr(address, &info) || !info.dli_fname)
        return false;
    const char *slash = strrchr(info.dli_fname, '/'), *name = slash ? slash + 1 : info.dli_fname;
    return strstr(name, "kvtel") || strcmp(name, "store_writer") == 0 ||
           (call == CALL_ALLOCATE && strstr(name, "jansson"));
}

static bool is_about(struct subject subject, const char *text)
{
    char link[64], path[4096];
    if (!*text || subject.path)
        return !*text || strstr(subject.path, text);
    if (subject.fd < 0)
        return false;
    snprintf(link, sizeof link, "/proc/self/fd/%d", subject.fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size < 0 ? 0 : size] = '\0';
    return strstr(path, text);
}

/* Whether this call fails; then errno is set. `fewer`, when it is not NULL: the call may also move fewer bytes. */
__attribute__((noinline)) static bool fails(enum call call, const void *caller, struct subject subject, bool *fewer)
{
    if (!faults || !(atomic_load_explicit(&faults->calls, memory_order_relaxed) & UINT64_C(1) << call))
        return false;
    int kept = errno;
    int process = atomic_load_explicit(&faults->process, memory_order_relaxed);
    bool ours = (process == 0 || process == getpid()) && is_kvtel(call, caller) && is_about(subject, faults->text);
    errno = kept;
    if (!ours)
        return false;
    uint64_t number = atomic_fetch_add_explicit(&faults->seen[call], 1, memory_order_relaxed) + 1;
    uint32_t every = atomic_load_explicit(&faults->every, memory_order_relaxed);
    int error = atomic_load_explicit(&faults->error, memory_order_relaxed);
    if (every == 0 || number % every != 0 || (error == 0 && !fewer) ||
        (atomic_load_explicit(&faults->once, memory_order_relaxed) && number != every))
        return false;
    atomic_fetch_add_explicit(&faults->failed[call], 1, memory_order_relaxed);
    if (error == 0) {
        *fewer = true;
        return false;
    }
    errno = error;
    return true;
}

#define REAL(name)                 \
    static __typeof__(&name) real; \
    if (!real)                     \
    real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* A function that gives `failure` in place of what the C library's gives. */
#define FUNCTION(type, failure, call, subject, name, parameters, arguments)     \
    type name parameters;                                                       \
    type name parameters                                                        \
    {                                                                           \
        REAL(name);                                                             \
        return fails(call, CALLER, subject, NULL) ? (failure) : real arguments; \
    }

/* A function that moves `size` bytes of a descriptor's, or fewer: half, and at least one. */
#define MOVING(call, name, parameters, arguments)   \
    ssize_t name parameters;                        \
    ssize_t name parameters                         \
    {                                               \
        REAL(name);                                 \
        bool fewer = false;                         \
        if (fails(call, CALLER, FD(fd), &fewer))    \
            return -1;                              \
        size = fewer && size > 1 ? size / 2 : size; \
        return real arguments;                      \
    }

/* A function with a mode at the end, if it makes a file. */
#define OPENING(name, parameters, ...)                                                           \
    int name parameters                                                                          \
    {                                                                                            \
        REAL(name);                                                                              \
        va_list more;                                                                            \
        va_start(more, flags);                                                                   \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0;                      \
        va_end(more);                                                                            \
        return fails(CALL_OPEN, CALLER, PATH(path), NULL) ? -1 : real(__VA_ARGS__, flags, mode); \
    }

#define CONTROLLING(name)                                                                  \
    int name(int fd, int command, ...)                                                     \
    {                                                                                      \
        REAL(name);                                                                        \
        va_list more;                                                                      \
        va_start(more, command);                                                           \
        void *argument = va_arg(more, void *);                                             \
        va_end(more);                                                                      \
        return fails(CALL_FCNTL, CALLER, FD(fd), NULL) ? -1 : real(fd, command, argument); \
    }

/* The names with _chk and _2 are what a program built with FORTIFY calls. */
MOVING(CALL_PREAD, pread, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at))
MOVING(CALL_PREAD, pread64, (int fd, void *bytes, size_t size, off64_t at), (fd, bytes, size, at))
MOVING(CALL_PREAD, __pread_chk, (int fd, void *bytes, size_t size, off_t at, size_t room), (fd, bytes, size, at, room))
MOVING(CALL_PREAD, __pread64_chk, (int fd, void *bytes, size_t size, off64_t at, size_t room),
       (fd, bytes, size, at, room))
MOVING(CALL_READ, read, (int fd, void *bytes, size_t size), (fd, bytes, size))
MOVING(CALL_READ, __read_chk, (int fd, void *bytes, size_t size, size_t room), (fd, bytes, size, room))
MOVING(CALL_WRITE, write, (int fd, const void *bytes, size_t size), (fd, bytes, size))
MOVING(CALL_WRITE, pwrite, (int fd, const void *bytes, size_t size, off_t at), (fd, bytes, size, at))
MOVING(CALL_WRITE, pwrite64, (int fd, const void *bytes, size_t size, off64_t at), (fd, bytes, size, at))
MOVING(CALL_RECEIVE, recv, (int fd, void *bytes, size_t size, int flags), (fd, bytes, size, flags))
MOVING(CALL_RECEIVE, __recv_chk, (int fd, void *bytes, size_t size, size_t room, int flags),
       (fd, bytes, size, room, flags))
MOVING(CALL_SEND, send, (int fd, const void *bytes, size_t size, int flags), (fd, bytes, size, flags))

OPENING(open, (const char *path, int flags, ...), path)
OPENING(open64, (const char *path, int flags, ...), path)
OPENING(openat, (int dir, const char *path, int flags, ...), dir, path)
OPENING(openat64, (int dir, const char *path, int flags, ...), dir, path)
FUNCTION(int, -1, CALL_OPEN, PATH(path), __open_2, (const char *path, int flags), (path, flags))
FUNCTION(int, -1, CALL_OPEN, PATH(path), __open64_2, (const char *path, int flags), (path, flags))
FUNCTION(int, -1, CALL_OPEN, PATH(path), __openat_2, (int dir, const char *path, int flags), (dir, path, flags))
FUNCTION(int, -1, CALL_OPEN, PATH(path), __openat64_2, (int dir, const char *path, int flags), (dir, path, flags))
FUNCTION(DIR *, NULL, CALL_OPEN, PATH(path), opendir, (const char *path), (path))
FUNCTION(DIR *, NULL, CALL_OPEN, FD(fd), fdopendir, (int fd), (fd))
FUNCTION(FILE *, NULL, CALL_OPEN, PATH(path), fopen, (const char *path, const char *mode), (path, mode))
CONTROLLING(fcntl)
CONTROLLING(fcntl64)

FUNCTION(int, -1, CALL_STAT, FD(fd), fstat, (int fd, struct stat *status), (fd, status))
FUNCTION(int, -1, CALL_STAT, PATH(path), fstatat, (int dir, const char *path, struct stat *status, int flags),
         (dir, path, status, flags))
FUNCTION(int, -1, CALL_STAT, PATH(path), stat, (const char *path, struct stat *status), (path, status))
FUNCTION(int, -1, CALL_STAT, PATH(path), lstat, (const char *path, struct stat *status), (path, status))
FUNCTION(int, -1, CALL_RENAME, PATH(from), rename, (const char *from, const char *to), (from, to))
FUNCTION(int, -1, CALL_RENAME, PATH(from), renameat, (int from_dir, const char *from, int to_dir, const char *to),
         (from_dir, from, to_dir, to))
FUNCTION(int, errno, CALL_FALLOCATE, FD(fd), posix_fallocate, (int fd, off_t at, off_t size), (fd, at, size))
FUNCTION(int, -1, CALL_FALLOCATE, FD(fd), fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
FUNCTION(void *, MAP_FAILED, CALL_MMAP, FD(fd), mmap,
         (void *address, size_t size, int protection, int flags, int fd, off_t at),
         (address, size, protection, flags, fd, at))
FUNCTION(int, -1, CALL_MMAP, NOTHING, mprotect, (void *address, size_t size, int protection),
         (address, size, protection))
FUNCTION(int, -1, CALL_MMAP, NOTHING, madvise, (void *address, size_t size, int advice), (address, size, advice))
FUNCTION(int, -1, CALL_FTRUNCATE, FD(fd), ftruncate, (int fd, off_t size), (fd, size))
FUNCTION(int, errno, CALL_THREAD, NOTHING, pthread_create,
         (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument),
         (thread, attributes, run, argument))
FUNCTION(int, errno, CALL_THREAD, NOTHING, pthread_key_create, (pthread_key_t * key, void (*end)(void *)), (key, end))
FUNCTION(int, errno, CALL_THREAD, NOTHING, pthread_setspecific, (pthread_key_t key, const void *value), (key, value))
FUNCTION(int, -1, CALL_INOTIFY, NOTHING, inotify_init1, (int flags), (flags))
FUNCTION(int, -1, CALL_INOTIFY, PATH(path), inotify_add_watch, (int fd, const char *path, uint32_t mask),
         (fd, path, mask))
FUNCTION(int, -1, CALL_UNLINK, PATH(path), unlink, (const char *path), (path))
FUNCTION(int, -1, CALL_UNLINK, PATH(path), unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
FUNCTION(int, -1, CALL_FSYNC, FD(fd), fsync, (int fd), (fd))
FUNCTION(int, -1, CALL_FSYNC, FD(fd), fdatasync, (int fd), (fd))
FUNCTION(int, -1, CALL_FLOCK, FD(fd), flock, (int fd, int operation), (fd, operation))
FUNCTION(ssize_t, -1, CALL_RANDOM, NOTHING, getrandom, (void *bytes, size_t size, unsigned flags), (bytes, size, flags))
FUNCTION(int, -1, CALL_STATFS, FD(fd), fstatfs, (int fd, struct statfs *system), (fd, system))
FUNCTION(int, -1, CALL_STATFS, PATH(path), statfs, (const char *path, struct statfs *system), (path, system))
FUNCTION(off_t, -1, CALL_SEEK, FD(fd), lseek, (int fd, off_t at, int from), (fd, at, from))
FUNCTION(int, -1, CALL_MODE, PATH(path), mkdir, (const char *path, mode_t mode), (path, mode))
FUNCTION(int, -1, CALL_MODE, PATH(path), chmod, (const char *path, mode_t mode), (path, mode))
FUNCTION(int, -1, CALL_MODE, FD(fd), fchmod, (int fd, mode_t mode), (fd, mode))
FUNCTION(int, -1, CALL_ACCEPT, FD(fd), accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags),
         (fd, address, size, flags))
FUNCTION(int, -1, CALL_POLL, NOTHING, epoll_create1, (int flags), (flags))
FUNCTION(int, -1, CALL_POLL, NOTHING, epoll_ctl, (int fd, int operation, int other, struct epoll_event *event),
         (fd, operation, other, event))
FUNCTION(int, -1, CALL_POLL, NOTHING, epoll_wait, (int fd, struct epoll_event *events, int most, int timeout),
         (fd, events, most, timeout))
FUNCTION(int, -1, CALL_POLL, NOTHING, eventfd, (unsigned start, int flags), (start, flags))
FUNCTION(int, -1, CALL_POLL, NOTHING, signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))

int close(int fd) /* the descriptor is free however the call ends, as on Linux */
{
    REAL(close);
    bool failed = fails(CALL_CLOSE, CALLER, FD(fd), NULL);
    int error = errno, result = real(fd);
    if (!failed)
        return result;
    errno = error;
    return -1;
}

/* A sanitizer has an allocator of its own. */
#if !UNDER_ASAN && !UNDER_TSAN
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
#define ALLOCATION_FAILS fails(CALL_ALLOCATE, CALLER, NOTHING, NULL)

void *malloc(size_t size)
{
    return ALLOCATION_FAILS ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return ALLOCATION_FAILS ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return ALLOCATION_FAILS ? NULL : __libc_realloc(memory, size);
}

void *reallocarray(void *memory, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        errno = ENOMEM;
    else if (!ALLOCATION_FAILS)
        return __libc_realloc(memory, bytes);
    return NULL;
}

FUNCTION(char *, NULL, CALL_ALLOCATE, NOTHING, strdup, (const char *text), (text))

int vasprintf(char **out, const char *format, va_list arguments)
{
    REAL(vasprintf);
    return ALLOCATION_FAILS ? -1 : real(out, format, arguments);
}

int __vasprintf_chk(char **out, int flag, const char *format, va_list arguments);
int __vasprintf_chk(char **out, int flag, const char *format, va_list arguments)
{
    REAL(__vasprintf_chk);
    return ALLOCATION_FAILS ? -1 : real(out, flag, format, arguments);
}

int __asprintf_chk(char **out, int flag, const char *format, ...);
int __asprintf_chk(char **out, int flag, const char *format, ...)
{
    va_list arguments;
    if (ALLOCATION_FAILS)
        return -1;
    va_start(arguments, format);
    int result = vasprintf(out, format, arguments);
    (void)flag;
    va_end(arguments);
    return result;
}
#endif
