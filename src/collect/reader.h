/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of a store's reader for the other rooms that read stores. One thread at a time for each reader. */
#ifndef KVTEL_COLLECT_READER_H
#define KVTEL_COLLECT_READER_H

#include <kvtel/reader.h>

#include "collect/source.h"
#include "format/layout.h"
#include "format/view.h"

#include <sys/stat.h>

/* Opens a regular file for reading. Anything else is refused before it is opened, so that a device or a pipe is not
 * touched.
 * @param dir    AT_FDCWD, or a directory to which `name` is relative
 * @param flags  O_NOFOLLOW: a symbolic link is an error; 0: a symbolic link is followed
 * @param status out: status of the open file
 * @return       the descriptor; -1: `error` (may be NULL) says why */
int kvtel_store_file_open(int dir, const char *name, int flags, struct stat *status, struct kvtel_error *error);
/* Like kvtel_store_reader_open(), for an open file. The function owns `fd` from now on, also when it fails. */
enum kvtel_status kvtel_store_reader_take(int fd, struct kvtel_store_reader **reader, struct kvtel_error *error);
/* Closes the file but keeps the copies of its tables. Until kvtel_store_reader_resume(), only the reader's info may
 * be asked for. */
void kvtel_store_reader_park(struct kvtel_store_reader *reader);
/* Gives a parked reader a descriptor of the same file. The reader owns `fd`. */
void kvtel_store_reader_resume(struct kvtel_store_reader *reader, int fd);
bool kvtel_store_reader_is_open(const struct kvtel_store_reader *reader);

/* Changes a view before others read it, for example by replacing its tables. KVTEL_OK, KVTEL_E_NOMEM. */
typedef enum kvtel_status (*kvtel_view_fn)(void *context, struct kvtel_view *view);
/* Passes each view of the reader to `change` before it is returned or added to a snapshot. Call it before the first
 * view. `context` must live as long as the reader. */
void kvtel_store_reader_set_change(struct kvtel_store_reader *reader, kvtel_view_fn change, void *context);

/* Brings the reader's copies of the tables up to date and returns a view of them, which is valid until the next
 * call. */
enum kvtel_status kvtel_store_reader_view(struct kvtel_store_reader *reader, struct kvtel_view *view,
                                          struct kvtel_error *error);

/* Brings tables and numbers up to date; what did not move is not read. On failure the numbers of the last time stay.
 * KVTEL_OK; KVTEL_E_MISMATCH: a part is left out; else `error` says why. One thread at a time for each reader. */
enum kvtel_status kvtel_store_reader_refresh(struct kvtel_store_reader *reader, struct kvtel_worker *worker,
                                             struct kvtel_error *error);
/* The same for many readers, in several threads. `errors`: one for each reader, filled as above. */
void kvtel_store_readers_refresh(struct kvtel_workers *workers, struct kvtel_store_reader *const *readers, size_t count,
                                 struct kvtel_error *errors);
/* Makes the next refresh read all of the store, see kvtel_source_forget(). */
void kvtel_store_reader_forget(struct kvtel_store_reader *reader);
/* Whether the store could be read at least once, so that its numbers as of the last time are kept. */
bool kvtel_store_reader_has_kept(const struct kvtel_store_reader *reader);
/* Those numbers. Borrowed from the reader until the next refresh. */
const struct kvtel_source *kvtel_store_reader_source(const struct kvtel_store_reader *reader);
/* A view whose tables describe those numbers; its lanes are not read. Valid until the next call that makes a view.
 * KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_store_reader_kept_view(struct kvtel_store_reader *reader, struct kvtel_view *view);
/* Adds those numbers to a snapshot; the file is not touched, and may be closed. Call it only where they are kept.
 * Returns what kvtel_snapshot_add_source() does. */
enum kvtel_status kvtel_snapshot_add_kept(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *reader);

/* Whether the store has places of open transfers, as of the last view or refresh. */
bool kvtel_store_reader_has_open(const struct kvtel_store_reader *reader);

/* How the writer ended, read from the file now. KVTEL_ENDING_UNKNOWN when the word cannot be read. */
enum kvtel_ending kvtel_store_reader_ending(const struct kvtel_store_reader *reader);

#endif
