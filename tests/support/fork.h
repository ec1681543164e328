/* SPDX-License-Identifier: Apache-2.0 */
/* What a test of forks needs of the kernel and of the C library. Include it after cmocka.h. */
#ifndef KVTEL_TEST_FORK_H
#define KVTEL_TEST_FORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/sanitizer.h"

/* Whether MADV_WIPEONFORK succeeds, and yet a child of this process finds what the parent wrote. So does qemu-user. */
static inline bool fork_only_says_that_it_wipes(void)
{
    const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    volatile char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    page[0] = 1;
    bool taken = madvise((void *)(uintptr_t)page, size, MADV_WIPEONFORK) == 0;
    pid_t child = fork();
    if (child == 0)
        _exit(page[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(munmap((void *)(uintptr_t)page, size), 0);
    return taken && status != 0;
}

static inline void skip_unless_fork_wipes(void)
{
    if (fork_only_says_that_it_wipes()) {
        print_message("skipped: MADV_WIPEONFORK does nothing here, as under qemu-user\n");
        skip();
    }
}

/* For a test whose child of a fork allocates memory while the parent has other threads: the allocators of ASan and TSan
 * do not release their locks in the child, so a lock that another thread held stays locked there for ever. glibc
 * releases its own. */
static inline void skip_where_children_cannot_allocate(void)
{
    if (UNDER_ASAN || UNDER_TSAN) {
        print_message("skipped: a sanitizer's allocator cannot be used in a child of a process with threads\n");
        skip();
    }
}

#endif
