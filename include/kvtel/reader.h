/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Reading a store's file from another process, live or left behind.
 *
 * A reader never maps the file, never blocks or slows its writer, and trusts no byte of it: a file that is cut short,
 * that has another version or byte order, or that is not a store is an error with a reason. Linux only.
 *
 * A shortage of the machine (descriptors, memory, a read that fails) is an error that is not the file's fault:
 * kvtel_error_is_passing() is true for it.
 *
 * libkvtel_record does not have its functions.
 */
#ifndef KVTEL_READER_H
#define KVTEL_READER_H

#include <kvtel/snapshot.h>

KVTEL_BEGIN_DECLS

/** Opaque. Single owner. */
struct kvtel_store_reader;

/** Whether a store can still change. */
enum kvtel_store_state {
    KVTEL_STORE_LIVE, /**< its writer, or a child that the writer forked, is running */
    KVTEL_STORE_ENDED /**< no process writes into it any more: numbers that are read from now on are final */
};

/** Opens a store's file.
 * @param error  may be NULL; its offset is a place in the file
 * @param reader out, owned: kvtel_store_reader_close()
 * @return KVTEL_OK; KVTEL_E_IO (cannot be opened or read), KVTEL_E_TRUNCATED, KVTEL_E_FORMAT (no store, or of another
 * version or byte order), KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_store_reader_open(const char *path, struct kvtel_store_reader **reader,
                                                    struct kvtel_error *error);
/** NULL is fine. */
KVTEL_API void kvtel_store_reader_close(struct kvtel_store_reader *reader);

/** Whether the writer still runs: it holds a lock on the file. Ask before the last snapshot of a store, not after it.
 */
KVTEL_API enum kvtel_store_state kvtel_store_reader_state(const struct kvtel_store_reader *reader);
/** The writer of the store and the store's numbers about itself, as of the latest snapshot. */
KVTEL_API void kvtel_store_reader_info(const struct kvtel_store_reader *reader, struct kvtel_store_info *info);

/** Adds the store as it is now to a snapshot, as kvtel_snapshot_add() does. The snapshot is unchanged on failure.
 * @param error may be NULL
 * @return KVTEL_OK, KVTEL_E_MISMATCH (a family whose name, or the name of a sample of it, stands for something else was
 * left out, or what a lane holds that no writer leaves behind; the rest is added), KVTEL_E_TRUNCATED, KVTEL_E_FORMAT
 * (records that no writer leaves behind), KVTEL_E_LIMIT (amounts that cannot be added up), KVTEL_E_IO, KVTEL_E_NOMEM */
KVTEL_API enum kvtel_status kvtel_snapshot_add_reader(struct kvtel_snapshot *snapshot,
                                                      struct kvtel_store_reader *reader, struct kvtel_error *error);

/** Adds many stores, reading their files in several threads where there are processors for them. A store that cannot be
 * added is left out, the others are added.
 * @param errors  count of them, or NULL: each gets the status of its reader, and a reason where that is a failure to
 * read
 * @return KVTEL_OK, or the first failure */
KVTEL_API enum kvtel_status kvtel_snapshot_add_readers(struct kvtel_snapshot *snapshot,
                                                       struct kvtel_store_reader *const *readers, size_t count,
                                                       struct kvtel_error *errors);

KVTEL_END_DECLS
#endif
