/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the recording benchmarks: rows of the table, values, and windows of time in which all threads run. C and
 * C++. */
#ifndef KVTEL_BENCH_RECORD_LOAD_H
#define KVTEL_BENCH_RECORD_LOAD_H

#include "bench.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum {
    RECORD_VALUES = 64,    /* few, so that a benchmark measures recording and not its own memory */
    RECORD_WINDOW = 50000, /* short, so that on a busy machine some windows are undisturbed */
    RECORD_WINDOWS = 201,
    RECORD_THREADS = 16
};

#define RECORD_ROW_RANDOM "record a NIXL transfer, rows in random order"
#define RECORD_ROW_FILLED "record a NIXL transfer, struct filled before each call"
#define RECORD_LOCAL "tikv prometheus, local()" /* the peer that is ahead of the others */
#define RECORD_TIMES (1 / 0.45)                 /* how many times better than it */

/* The name of the table's row. */
static inline const char *record_row(int threads)
{
    static char row[64];
    snprintf(row, sizeof row, "record a NIXL transfer, %d thread%s", threads, threads > 1 ? "s" : "");
    return row;
}

static inline int record_processors(void)
{
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

#define RECORD_ENOUGH_NS 3e9 /* a peer with contention takes long */

struct record_value {
    double seconds, post_seconds, bytes, descriptors;
};

static inline double record_uniform(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return ((double)(*seed >> 11) + 0.5) * 0x1p-53;
}

static inline double record_normal(uint64_t *seed)
{
    double radius = sqrt(-2 * log(record_uniform(seed)));
    return radius * cos(6.283185307179586 * record_uniform(seed));
}

/* Transfers of about 3 ms and 300 us to post, up to 16 MiB and 512 descriptors. */
static inline void record_fill(struct record_value values[RECORD_VALUES])
{
    uint64_t seed = 1;
    for (int i = 0; i < RECORD_VALUES; i++) {
        values[i].seconds = floor(3e6 * exp(0.5 * record_normal(&seed))) / 1e9;
        values[i].post_seconds = floor(3e5 * exp(0.3 * record_normal(&seed))) / 1e9;
        values[i].bytes = 262144 * (1 + floor(64 * record_uniform(&seed)));
        values[i].descriptors = 1 + floor(512 * record_uniform(&seed));
    }
}

struct record_run {
    void (*window)(void *context); /* records RECORD_WINDOW transfers */
    void *context;
    int threads;
    pthread_barrier_t barrier;
    double start[RECORD_THREADS], end[RECORD_THREADS]; /* of this window */
    int waited[RECORD_THREADS];
    int thread_at;
    double windows[RECORD_WINDOWS];
    double until;
    int window_count, stop;
};

/* Time in ns for which the calling thread has waited for a processor: the second field of the file. */
static inline uint64_t record_wait_ns(int file)
{
    char text[128];
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoull(second, NULL, 10) : 0;
}

/* The slowest thread's time; 0: the threads did not run at the same time, because one waited for a processor, or was
 * late or early. */
static inline double record_window_ns(const struct record_run *run)
{
    double first = run->start[0], last = run->end[0], from = run->start[0], to = run->end[0], slowest = 0;
    for (int i = 0; i < run->threads; i++) {
        if (run->waited[i])
            return 0;
        first = run->start[i] < first ? run->start[i] : first;
        last = run->end[i] > last ? run->end[i] : last;
        from = run->start[i] > from ? run->start[i] : from;
        to = run->end[i] < to ? run->end[i] : to;
        slowest = run->end[i] - run->start[i] > slowest ? run->end[i] - run->start[i] : slowest;
    }
    return to - from > 0.8 * (last - first) ? slowest : 0;
}

static inline void *record_thread(void *argument)
{
    struct record_run *run = (struct record_run *)argument;
    int me = __atomic_fetch_add(&run->thread_at, 1, __ATOMIC_RELAXED);
    int file = open("/proc/thread-self/schedstat", O_RDONLY);
    while (!run->stop) {
        pthread_barrier_wait(&run->barrier);
        uint64_t waited = record_wait_ns(file);
        run->start[me] = bench_now_ns();
        run->window(run->context);
        run->end[me] = bench_now_ns();
        run->waited[me] = record_wait_ns(file) != waited;
        if (pthread_barrier_wait(&run->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            double ns = record_window_ns(run);
            if (ns > 0)
                run->windows[run->window_count++] = ns / RECORD_WINDOW;
            run->stop = run->window_count == RECORD_WINDOWS || bench_now_ns() > run->until;
        }
        pthread_barrier_wait(&run->barrier);
    }
    if (file >= 0)
        close(file);
    return NULL;
}

/* Nanoseconds per transfer and thread: the median of the windows in which all threads ran at the same time and none
 * waited for a processor. 0: there were none. */
static inline double record_median_ns(void (*window)(void *context), void *context, int threads)
{
    struct record_run *run = (struct record_run *)calloc(1, sizeof *run);
    pthread_t started[RECORD_THREADS];
    bench_require(run != NULL, "memory");
    run->window = window;
    run->context = context;
    run->threads = threads;
    run->until = bench_now_ns() + RECORD_ENOUGH_NS;
    pthread_barrier_init(&run->barrier, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++)
        bench_require(pthread_create(&started[i], NULL, record_thread, run) == 0, "a thread");
    for (int i = 0; i < threads; i++)
        pthread_join(started[i], NULL);
    pthread_barrier_destroy(&run->barrier);
    qsort(run->windows, (size_t)run->window_count, sizeof run->windows[0], bench_compare);
    double median = run->window_count > 0 ? run->windows[run->window_count / 2] : 0;
    free(run);
    return median;
}

#endif
