/* SPDX-License-Identifier: Apache-2.0 */
/* Frees the memory of an ended store's pages that contain zeros only. */
#include "totals/file.h"

#include <fcntl.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 16 };

static bool is_zero(const char *page)
{
    static const char zeros[PAGE];
    return memcmp(page, zeros, PAGE) == 0;
}

/* Whether no writer uses the file: its pages must stay, because the writer maps them. A lock for reading is asked for,
 * with which only a writer's lock conflicts: another reader's lock does not keep pages from being freed. */
static bool is_free(int fd, struct stat *status)
{
    struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    return fstat(fd, status) == 0 && S_ISREG(status->st_mode) && fcntl(fd, F_OFD_GETLK, &lock) == 0 &&
           lock.l_type == F_UNLCK;
}

static void punch(int fd, off_t from, off_t to)
{
    if (from < to)
        (void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, to - from);
}

/* Frees the pages of zeros between two page boundaries. */
static void punch_pages(int fd, off_t from, off_t to)
{
    char bytes[PAGES * PAGE];
    off_t zeros = from; /* start of the zeros found so far */
    while (from < to) {
        ssize_t got = pread(fd, bytes, sizeof bytes, from);
        if (got < PAGE)
            break;
        for (ssize_t at = 0; at + PAGE <= got && from < to; at += PAGE, from += PAGE) {
            if (is_zero(bytes + at))
                continue;
            punch(fd, zeros, from);
            zeros = from + PAGE;
        }
    }
    punch(fd, zeros, from);
}

uint64_t totals_punch_zeros(const char *path)
{
    struct stat before, after;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return 0;
    if (!is_free(fd, &before)) {
        close(fd);
        return 0;
    }
    /* Pages that were reserved but never written take memory, although the kernel reports them as a hole. */
    for (off_t at = 0; at < before.st_size;) {
        off_t data = lseek(fd, at, SEEK_DATA);
        data = data < 0 ? before.st_size : data / PAGE * PAGE;
        punch(fd, at, data);
        off_t hole = data < before.st_size ? lseek(fd, data, SEEK_HOLE) : data;
        hole = hole <= data ? before.st_size : hole;
        punch_pages(fd, data, hole);
        at = hole;
    }
    bool known = fstat(fd, &after) == 0 && after.st_blocks < before.st_blocks;
    close(fd);
    return known ? (uint64_t)(before.st_blocks - after.st_blocks) * 512 : 0;
}
