/* SPDX-License-Identifier: Apache-2.0 */
/* Address space and memory of stores. */
#include "record/memory.h"
#include "format/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Up to here memory is reserved page by page: a lane of one recorder holds nothing spare. */
enum { SPARE_FROM = 1 << 18 };

void *kvtel_memory_map(int fd, uint64_t at, uint64_t size)
{
    void *base;
    if (fd >= 0) {
        base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
    } else {
        base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    }
    if (base == MAP_FAILED)
        return NULL;
    (void)madvise(base, size, MADV_NOHUGEPAGE); /* bins are sparse: a huge page would waste memory */
    return base;
}

void kvtel_memory_unmap(void *base, uint64_t size)
{
    if (base)
        (void)munmap(base, size);
}

/* Whether the process may extend a file to this size. Above the limit the kernel would send SIGXFSZ besides
 * refusing. */
static bool below_file_limit(uint64_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || end <= limit.rlim_cur;
}

uint64_t kvtel_memory_goal(const struct kvtel_extent *extent, uint64_t needed, uint64_t size)
{
    if (needed <= extent->reserved)
        return extent->reserved;
    uint64_t goal = needed + (needed > SPARE_FROM ? (needed - SPARE_FROM) / 8 : 0);
    goal = (goal + KVTEL_LAYOUT_PAGE - 1) / KVTEL_LAYOUT_PAGE * KVTEL_LAYOUT_PAGE;
    return goal < size ? goal : size;
}

/* Allocates blocks of the file. 0 or an errno. On a signal tmpfs frees what it had allocated and starts again, so a
 * timer could keep the call from ever finishing: after the first EINTR signals are blocked. */
static int allocate(int fd, uint64_t at, uint64_t size)
{
    int error = posix_fallocate(fd, (off_t)at, (off_t)size);
    if (error != EINTR)
        return error;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while ((error = posix_fallocate(fd, (off_t)at, (off_t)size)) == EINTR)
        continue;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* On a file system that prefers huge pages (tmpfs with huge=always) posix_fallocate() allocates huge pages. Touching
 * memory for which small pages were requested allocates small ones. */
static bool touch_small_pages(int fd, char *from, uint64_t end, uint64_t size)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || status.st_blksize < 1 << 20)
        return false;
    if ((uint64_t)status.st_size < end && ftruncate(fd, (off_t)end) != 0)
        return false;
    return madvise(from, size, MADV_POPULATE_WRITE) == 0;
}

bool kvtel_memory_extend(int fd, void *base, uint64_t at, uint64_t from, uint64_t to)
{
    if (from == to)
        return true;
    if (fd >= 0) {
        int error = EFBIG;
        if (below_file_limit(at + to))
            error =
                touch_small_pages(fd, (char *)base + from, at + to, to - from) ? 0 : allocate(fd, at + from, to - from);
        if (error != 0)
            errno = error;
        return error == 0;
    }
    return mprotect((char *)base + from, to - from, PROT_READ | PROT_WRITE) == 0;
}
