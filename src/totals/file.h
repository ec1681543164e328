/* SPDX-License-Identifier: Apache-2.0 */
/* The file of totals: read whole, replaced whole, never mapped. One thread, which holds the directory's lock. */
#ifndef KVTEL_TOTALS_FILE_H
#define KVTEL_TOTALS_FILE_H

#include "totals/totals.h"

#include <sys/stat.h>

#define TOTALS_NAME "totals.kvtel-retired"
enum { TOTALS_PATH = 4096 };

/* Which file it is and as of when. Start from {0}: no file. */
struct totals_identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* A file that has room for the next totals before they are known. Start from {0}. */
struct totals_reserve {
    char path[TOTALS_PATH]; /* "": there is none */
    int fd;
    off_t size; /* room that it has */
};

/* Reads and checks DIR/TOTALS_NAME. Without such a file `totals` holds nothing, and that is success.
 * @return KVTEL_OK; KVTEL_E_TRUNCATED, KVTEL_E_FORMAT: it is damaged, of another version or no file; KVTEL_E_IO,
 * KVTEL_E_NOMEM: it cannot be read now */
enum kvtel_status totals_file_read(const char *dir, struct totals *totals, struct totals_identity *identity,
                                   struct kvtel_error *error);
/* Whether the file is still the one that was read or written. True as well where that cannot be told. */
bool totals_file_is(const char *dir, const struct totals_identity *identity);
/* Puts `content` in place of the file, at once and for good: it is synced to the disk where there is one. The reserve's
 * room is used first.
 * @return KVTEL_OK; KVTEL_E_IO, KVTEL_E_NOMEM: the file is as it was. Where there is no room `error` has ENOSPC or
 * EDQUOT as system_error, and the reserve keeps what it has */
enum kvtel_status totals_file_write(const char *dir, const struct kvtel_buffer *content, struct totals_reserve *reserve,
                                    struct totals_identity *identity, struct kvtel_error *error);
/* Gives the file another name, so that nothing takes it for totals. `name` gets that. KVTEL_OK, KVTEL_E_IO. */
enum kvtel_status totals_file_set_aside(const char *dir, char name[64], struct kvtel_error *error);

/* Sees that the reserve has room for `size` bytes, if the directory has. */
void totals_reserve_fill(const char *dir, struct totals_reserve *reserve, size_t size);
void totals_reserve_free(struct totals_reserve *reserve);
/* Removes reserves that killed processes left behind. */
void totals_remove_leftovers(const char *dir);

/* Gives the memory of pages that hold nothing but 0 back to the file system; what the file says stays the same. Nothing
 * is done when the file is locked, or no regular file. @return bytes given back */
uint64_t totals_punch_zeros(const char *path);

#endif
