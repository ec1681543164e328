/* SPDX-License-Identifier: Apache-2.0 */
/* The totals of ended stores, beside the stores of running writers.
 *
 * Ended stores are added to the totals in batches. Their numbers are read under the exporter's lock; the new totals are
 * made and written without it, so that no scrape waits for that; then, under the lock, the new totals take the old
 * ones' place and the stores count no more by their files. Only after that the files are removed. */
#ifndef KVTEL_SERVE_RETIRE_H
#define KVTEL_SERVE_RETIRE_H

#include "totals/file.h"

#include <pthread.h>

struct store_dir;

struct retirement {
    struct totals totals; /* changed under the exporter's lock, by one thread, which reads it without */
    struct totals_identity file;
    struct totals_reserve reserve;
    struct kvtel_snapshot *scratch;
    size_t limit;             /* label sets of a family in the totals; 0: no limit */
    size_t batch;             /* stores at one time: fewer after a failure */
    uint64_t next_ns;         /* CLOCK_MONOTONIC: no writing before, so that what ends meanwhile is one batch */
    uint64_t check_ns;        /* and no comparison of the file's content */
    bool unreadable;          /* it was said that the file cannot be read */
    _Atomic uint64_t retired; /* stores added to the totals since the start */
    _Atomic uint64_t damaged; /* times that the file was found damaged, of another version, or gone */
    _Atomic uint64_t folded;  /* label sets added up for want of room */
    _Atomic uint64_t written; /* times that totals were written, and their bytes */
    _Atomic uint64_t written_bytes;
    _Atomic uint64_t failed; /* times that totals could not be written */
};

/* Reads the totals, and removes the files of stores that are in them. Damaged ones get another name, and the rest goes
 * on. The directory's lock is held. `error` says what to do. */
enum kvtel_status retire_open(struct store_dir *dir, struct kvtel_error *error);
/* Frees what is held. A file that somebody changed is written again, if the directory's lock is held. */
void retire_close(struct store_dir *dir);
/* Adds ended stores to the totals, then removes their files. Takes `lock` where it changes what others read.
 * @return ns until it wants to be called again; UINT64_MAX: whenever the directory is looked at */
uint64_t retire_ended(struct store_dir *dir, pthread_mutex_t *lock, uint64_t now_ns);
/* Takes label sets that are not kept out of the totals. `dropped` gets how many. KVTEL_OK; else `error` says why not,
 * and all is as it was. */
enum kvtel_status retire_drop(struct store_dir *dir, totals_keep_fn keep, const void *context, size_t *dropped,
                              struct kvtel_error *error);
/* Adds the totals to a snapshot. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status retire_collect(const struct store_dir *dir, struct kvtel_snapshot *snapshot);

#endif
