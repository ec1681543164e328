/* SPDX-License-Identifier: Apache-2.0 */
/* The file of totals, and others that are kept in the same way: read as a whole, replaced as a whole, never mapped. All
 * functions are for the one thread that holds the directory's lock. */
#ifndef KVTEL_TOTALS_FILE_H
#define KVTEL_TOTALS_FILE_H

#include "totals/totals.h"

#include <sys/stat.h>
#include <sys/uio.h>

#define TOTALS_NAME "totals.kvtel-retired"
enum { TOTALS_PATH = 4096 };

/* Identifies a file and its state. Start from {0}: no file. */
struct totals_identity {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/* A file whose blocks are reserved in advance, so that the next totals can be written when the disk is full. Start
 * from {0}. */
struct totals_reserve {
    char path[TOTALS_PATH]; /* "": no file was made */
    int fd;
    off_t size; /* bytes reserved */
};

/* Reads and checks DIR/TOTALS_NAME. A missing file is success, and `totals` is empty.
 * @return KVTEL_OK; KVTEL_E_TRUNCATED, KVTEL_E_FORMAT: the file is damaged, of another version, or not a regular
 * file; KVTEL_E_IO, KVTEL_E_NOMEM: the file cannot be read now */
enum kvtel_status totals_file_read(const char *dir, struct totals *totals, struct totals_identity *identity,
                                   struct kvtel_error *error);
/* Appends the content of DIR/NAME to `bytes`. Statuses as above; a missing file is success, and `identity` is {0}. A
 * file above `most` bytes is KVTEL_E_FORMAT. */
enum kvtel_status totals_file_read_bytes(const char *dir, const char *name, off_t most, struct kvtel_buffer *bytes,
                                         struct totals_identity *identity, struct kvtel_error *error);
/* Whether the file is still the one that was read or written. Also true when this cannot be determined. */
bool totals_file_is(const char *dir, const struct totals_identity *identity);
/* Replaces the file atomically by `content` and syncs it if it is on a disk. The blocks of the reserve are used
 * first.
 * @return KVTEL_OK; KVTEL_E_IO: the file is unchanged, or it is the new one but its name may not be on the disk yet;
 * `identity` is that of the file which is there. When the disk is full, `error` contains ENOSPC or EDQUOT as
 * system_error, and the reserve keeps its blocks */
enum kvtel_status totals_file_write(const char *dir, const struct kvtel_buffer *content, struct totals_reserve *reserve,
                                    struct totals_identity *identity, struct kvtel_error *error);
/* The same for DIR/NAME, from several pieces. `what` is what the message calls the file. */
enum kvtel_status totals_file_replace(const char *dir, const char *name, const char *what, const struct iovec *pieces,
                                      size_t count, struct totals_reserve *reserve, struct totals_identity *identity,
                                      struct kvtel_error *error);
/* Renames a damaged file, so that no exporter reads it as totals. `name` returns the new name. KVTEL_OK, KVTEL_E_IO. */
enum kvtel_status totals_file_set_aside(const char *dir, char name[64], struct kvtel_error *error);

/* Whether both are the same file in the same state. */
bool totals_identity_equal(const struct totals_identity *left, const struct totals_identity *right);

/* Tries to reserve `size` bytes. If the directory's file system is full, the reserve stays smaller. */
void totals_reserve_fill(const char *dir, struct totals_reserve *reserve, size_t size);
void totals_reserve_free(struct totals_reserve *reserve);
/* Removes reserves of processes that were killed. */
void totals_remove_leftovers(const char *dir);

/* Frees the memory of pages that contain zeros only. Reading the file gives the same bytes as before. Nothing is
 * done when the file is locked or not a regular file. @return number of bytes freed */
uint64_t totals_punch_zeros(const char *path);

#endif
