/* SPDX-License-Identifier: Apache-2.0 */
/* The totals of ended stores, which are kept beside the stores of running writers.
 *
 * Ended stores are added to the totals in batches:
 * 1. their numbers are read under the exporter's lock;
 * 2. the new totals are made and written without the lock, so that scrapes do not wait;
 * 3. under the lock, the new totals replace the old ones, and the stores' files no longer count;
 * 4. the files are removed. */
#ifndef KVTEL_SERVE_RETIRE_H
#define KVTEL_SERVE_RETIRE_H

#include "totals/file.h"

#include <pthread.h>

struct store_dir;

enum { RETIRE_BATCH = 512 }; /* stores added at a time, at most */

struct retirement {
    struct totals totals; /* written under the exporter's lock by one thread, which reads them without the lock */
    struct totals_identity file;
    struct totals_reserve reserve;
    struct kvtel_snapshot *scratch;
    size_t limit;             /* limit of label sets of a family in the totals; 0: no limit */
    size_t batch;             /* stores added at a time; fewer after a failure */
    uint64_t next_ns;         /* CLOCK_MONOTONIC: next time to write; stores that end before are one batch */
    uint64_t check_ns;        /* CLOCK_MONOTONIC: next time to compare the file's content */
    bool unreadable;          /* it was logged that the file cannot be read */
    _Atomic uint64_t retired; /* stores added to the totals since the start */
    _Atomic uint64_t damaged; /* number of times that the file was found damaged, of another version, or gone */
    _Atomic uint64_t folded;  /* label sets summed up because of the limit */
    _Atomic uint64_t written; /* number of times that totals were written, and their bytes */
    _Atomic uint64_t written_bytes;
    _Atomic uint64_t failed; /* number of times that totals could not be written */
};

/* Reads the totals and removes the files of stores that are included. A damaged file is renamed, and the exporter
 * starts without totals. The directory's lock is held. On failure `error` says what to do. */
enum kvtel_status retire_open(struct store_dir *dir, struct kvtel_error *error);
/* Frees the totals. If somebody changed the file it is written again first, provided that this exporter may write
 * into the directory. */
void retire_close(struct store_dir *dir);
/* Adds ended stores to the totals, then removes their files. Takes `lock` around changes of data that other threads
 * read.
 * @return ns until the next call is due; UINT64_MAX: call it after the next store_dir_poll() */
uint64_t retire_ended(struct store_dir *dir, pthread_mutex_t *lock, uint64_t now_ns);
/* Removes label sets from the totals that `keep` rejects. `dropped` returns their number.
 * @return KVTEL_OK: done; if `error` has a message, the disk did not confirm it, so that a power failure may bring the
 * label sets back. Else `error` says why, and nothing is changed. */
enum kvtel_status retire_drop(struct store_dir *dir, totals_keep_fn keep, const void *context, size_t *dropped,
                              struct kvtel_error *error);
/* The totals as a source that a snapshot follows, valid until they are replaced. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status retire_follow(struct store_dir *dir, struct kvtel_followed *followed);
/* Brings the sums that the totals keep for native buckets to what is wanted, see kvtel_source_keep_parts(). */
void retire_keep_parts(struct store_dir *dir, struct kvtel_worker *worker);

#endif
