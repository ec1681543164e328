/* SPDX-License-Identifier: Apache-2.0 */
/* Many readers into one snapshot. Files are read by several threads and merged by one. */
#include "base/error.h"
#include "collect/reader.h"
#include "collect/snapshot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Starting a thread costs about as much as reading a few stores. */
enum { STORES_PER_THREAD = 16 };

struct item {
    struct kvtel_store_reader *reader;
    struct kvtel_view view;
    struct kvtel_addition addition;
    enum kvtel_status status;
};

struct job {
    struct item *items;
    size_t count;
    struct kvtel_snapshot *snapshot;
    void (*step)(struct item *item, struct kvtel_worker *worker);
    atomic_size_t next;
    atomic_size_t worker;
};

static void step_open(struct item *item, struct kvtel_worker *worker)
{
    (void)worker;
    item->status = kvtel_store_reader_view(item->reader, &item->view, NULL);
}

static void step_collect(struct item *item, struct kvtel_worker *worker)
{
    item->status = kvtel_collect(&item->view, &worker->arena, &worker->scratch, item->addition.collected);
}

static void *work(void *argument)
{
    struct job *job = argument;
    struct kvtel_worker *worker =
        kvtel_snapshot_worker(job->snapshot, atomic_fetch_add_explicit(&job->worker, 1, memory_order_relaxed));
    for (size_t i; (i = atomic_fetch_add_explicit(&job->next, 1, memory_order_relaxed)) < job->count;)
        job->step(&job->items[i], worker);
    return NULL;
}

/* Does one step with all items. If a thread cannot be started, the others do its part. False: the step failed for
 * some items. */
static bool run(struct job *job, void (*step)(struct item *, struct kvtel_worker *), size_t threads)
{
    pthread_t started[KVTEL_WORKERS];
    size_t count = 0;
    job->step = step;
    atomic_store_explicit(&job->next, 0, memory_order_relaxed);
    atomic_store_explicit(&job->worker, 0, memory_order_relaxed);
    while (count + 1 < threads && pthread_create(&started[count], NULL, work, job) == 0)
        count++;
    (void)work(job);
    for (size_t i = 0; i < count; i++)
        pthread_join(started[i], NULL);
    bool good = true;
    for (size_t i = 0; i < job->count; i++)
        good = good && (job->items[i].status == KVTEL_OK || job->items[i].status == KVTEL_E_MISMATCH);
    return good;
}

static bool prepare_all(struct job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        if (kvtel_snapshot_prepare(job->snapshot, &job->items[i].addition) != KVTEL_OK)
            return false;
    }
    return true;
}

static bool begin_all(struct job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        job->items[i].addition.view = &job->items[i].view;
        if (kvtel_snapshot_begin(job->snapshot, &job->items[i].addition) != KVTEL_OK)
            return false;
    }
    return true;
}

/* Adds the readers one by one. This is slower, but each error is reported for its own reader. */
static enum kvtel_status add_each(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *const *readers,
                                  size_t count, struct kvtel_error *errors)
{
    enum kvtel_status first = KVTEL_OK;
    for (size_t i = 0; i < count; i++) {
        struct kvtel_error error = { .status = KVTEL_OK };
        enum kvtel_status status = kvtel_snapshot_add_reader(snapshot, readers[i], &error);
        if (errors)
            errors[i] = error;
        first = first == KVTEL_OK ? status : first;
    }
    return first;
}

static size_t thread_count(size_t readers)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t threads = processors > 0 ? (size_t)processors : 1;
    threads = threads < KVTEL_WORKERS ? threads : KVTEL_WORKERS;
    return threads < readers / STORES_PER_THREAD ? threads : readers / STORES_PER_THREAD;
}

enum kvtel_status kvtel_snapshot_add_readers(struct kvtel_snapshot *snapshot, struct kvtel_store_reader *const *readers,
                                             size_t count, struct kvtel_error *errors)
{
    size_t threads = thread_count(count);
    struct job job = { .items = threads > 1 ? calloc(count, sizeof(struct item)) : NULL,
                       .count = count,
                       .snapshot = snapshot };
    for (size_t i = 0; job.items && i < count; i++)
        job.items[i].reader = readers[i];
    bool read = job.items && run(&job, step_open, threads) && begin_all(&job) && run(&job, step_collect, threads) &&
                prepare_all(&job);
    if (!read) {
        kvtel_snapshot_take_back(snapshot);
        free(job.items);
        return add_each(snapshot, readers, count, errors);
    }
    enum kvtel_status first = KVTEL_OK;
    for (size_t i = 0; i < count; i++) {
        enum kvtel_status status = kvtel_snapshot_commit(snapshot, &job.items[i].addition);
        status = status == KVTEL_OK ? job.items[i].status : status;
        if (errors)
            (void)kvtel_fail(&errors[i], status, 0, "%s", kvtel_status_text(status));
        first = first == KVTEL_OK ? status : first;
    }
    free(job.items);
    return first;
}
