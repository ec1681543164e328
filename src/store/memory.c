/* SPDX-License-Identifier: Apache-2.0 */
/* Address space and memory of stores. */
#include "store/memory.h"
#include "store/layout.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

void *kvtel_memory_map(int fd, uint64_t at, uint64_t size)
{
    void *base;
    if (fd >= 0) {
        base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
    } else {
        base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        /* bins are sparse: a huge page would be memory for nothing */
        if (base != MAP_FAILED)
            (void)madvise(base, size, MADV_NOHUGEPAGE);
    }
    return base == MAP_FAILED ? NULL : base;
}

void kvtel_memory_unmap(void *base, uint64_t size)
{
    if (base)
        (void)munmap(base, size);
}

/* Past the process's limit the kernel would not only refuse but send SIGXFSZ. */
static bool below_file_limit(uint64_t end)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || end <= limit.rlim_cur;
}

uint64_t kvtel_memory_goal(const struct kvtel_extent *extent, uint64_t needed, uint64_t size)
{
    if (needed <= extent->reserved)
        return extent->reserved;
    uint64_t goal = needed + needed / 8;
    goal = (goal + KVTEL_LAYOUT_PAGE - 1) / KVTEL_LAYOUT_PAGE * KVTEL_LAYOUT_PAGE;
    return goal < size ? goal : size;
}

bool kvtel_memory_extend(int fd, void *base, uint64_t at, uint64_t from, uint64_t to)
{
    if (from == to)
        return true;
    if (fd >= 0)
        return below_file_limit(at + to) && posix_fallocate(fd, (off_t)(at + from), (off_t)(to - from)) == 0;
    return mprotect((char *)base + from, to - from, PROT_READ | PROT_WRITE) == 0;
}
