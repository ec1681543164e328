/* SPDX-License-Identifier: Apache-2.0 */
/* Many readers into one snapshot. Files are read by several threads and merged by one. */
#include "collect/reader_state.h"
#include "collect/snapshot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Starting a thread costs about as much as reading a few stores. */
enum { STORES_PER_THREAD = 16 };

struct job {
    struct kvtel_store_reader *const *readers;
    struct kvtel_error *errors;
    size_t count;
    struct kvtel_workers *workers;
    atomic_size_t next;
    atomic_size_t worker;
};

static void *work(void *argument)
{
    struct job *job = argument;
    struct kvtel_worker *worker = &job->workers->each[atomic_fetch_add_explicit(&job->worker, 1, memory_order_relaxed)];
    for (size_t i; (i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed)) < job->count;) {
        job->errors[i] = (struct kvtel_error){ .status = KVTEL_OK };
        job->errors[i].status = kvtel_store_reader_refresh(job->readers[i], worker, &job->errors[i]);
    }
    return NULL;
}

static size_t thread_count(size_t readers)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t threads = processors > 0 ? (size_t)processors : 1;
    threads = threads < KVTEL_WORKERS ? threads : KVTEL_WORKERS;
    return threads < readers / STORES_PER_THREAD ? threads : readers / STORES_PER_THREAD;
}

/* If a thread cannot be started, the others do its part. */
void kvtel_store_readers_refresh(struct kvtel_workers *workers, struct kvtel_store_reader *const *readers, size_t count,
                                 struct kvtel_error *errors)
{
    pthread_t started[KVTEL_WORKERS];
    size_t threads = thread_count(count), running = 0;
    struct job job = { .readers = readers, .errors = errors, .count = count, .workers = workers };
    while (running + 1 < threads && pthread_create(&started[running], NULL, work, &job) == 0)
        running++;
    (void)work(&job);
    for (size_t i = 0; i < running; i++)
        pthread_join(started[i], NULL);
}

/* Adds the readers one by one, where there is no memory for their errors. */
static enum kvtel_status add_each(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *const *readers,
                                  size_t count)
{
    enum kvtel_status first = KVTEL_OK;
    for (size_t i = 0; i < count; i++) {
        enum kvtel_status status = kvtel_snapshot_add_reader(snapshot, readers[i], NULL);
        first = first == KVTEL_OK ? status : first;
    }
    return first;
}

enum kvtel_status kvtel_snapshot_add_readers(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *const *readers,
                                             size_t count, struct kvtel_error *errors)
{
    enum kvtel_status first = KVTEL_OK;
    struct kvtel_error *own = errors ? errors : calloc(count + 1, sizeof *own);
    if (!own)
        return add_each(snapshot, readers, count);
    kvtel_store_readers_refresh(kvtel_snapshot_workers(snapshot), readers, count, own);
    for (size_t i = 0; i < count; i++) {
        enum kvtel_status status = own[i].status;
        if (status == KVTEL_OK || status == KVTEL_E_MISMATCH) {
            enum kvtel_status added = kvtel_snapshot_add_kept(snapshot, readers[i]);
            if (added != KVTEL_OK)
                status = kvtel_reader_fail_part(readers[i], added, &own[i]);
        }
        first = first == KVTEL_OK ? status : first;
    }
    if (!errors)
        free(own);
    return first;
}
