/* SPDX-License-Identifier: Apache-2.0 */
/* A reader's view of its file. */
#ifndef KVTEL_COLLECT_READER_H
#define KVTEL_COLLECT_READER_H

#include <kvtel/reader.h>

#include "format/layout.h"
#include "format/view.h"

#include <sys/stat.h>

/* Opens a regular file for reading; anything else is not opened, so that a device or a pipe is not touched.
 * @param dir   AT_FDCWD or a directory that `name` is relative to
 * @param flags O_NOFOLLOW: a symbolic link is an error; 0: it is followed
 * @param status out: of the open file
 * @return the descriptor; -1: `error` (may be NULL) says why */
int kvtel_store_file_open(int dir, const char *name, int flags, struct stat *status, struct kvtel_error *error);
/* kvtel_store_reader_open() of an open file, which it takes over, also when it fails. */
enum kvtel_status kvtel_store_reader_take(int fd, struct kvtel_store_reader **reader, struct kvtel_error *error);
/* Closes the file; what was read of it stays. Until it is open again the reader can only be asked for its info. */
void kvtel_store_reader_park(struct kvtel_store_reader *reader);
/* Opens it again: takes over `fd`, which is the same file. */
void kvtel_store_reader_resume(struct kvtel_store_reader *reader, int fd);
bool kvtel_store_reader_is_open(const struct kvtel_store_reader *reader);

/* Every series that is read from now on has this label too, behind its own; before the first view. The name is
 * borrowed. */
void kvtel_store_reader_add_label(struct kvtel_store_reader *reader, const char *name, const char *value);

/* Brings the reader's copies of the tables up to date. The view is valid until the next call. */
enum kvtel_status kvtel_store_reader_view(struct kvtel_store_reader *reader, struct kvtel_view *view,
                                          struct kvtel_error *error);

/* How the writer ended, as its file says now; KVTEL_ENDING_UNKNOWN when it cannot be read. */
enum kvtel_ending kvtel_store_reader_ending(const struct kvtel_store_reader *reader);

#endif
