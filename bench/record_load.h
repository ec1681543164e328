/* SPDX-License-Identifier: Apache-2.0 */
/* What the recording benchmarks share: rows of the table, values, and windows in which all threads really ran. C and C++. */
#ifndef KVTEL_BENCH_RECORD_LOAD_H
#define KVTEL_BENCH_RECORD_LOAD_H

#include "bench.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define RECORD_ROW_ONE "record a NIXL transfer, 1 thread"
#define RECORD_ROW_TWO "record a NIXL transfer, 2 threads"

enum {
    RECORD_VALUES = 64, /* so few that a benchmark measures recording and not its own memory */
    RECORD_WINDOW = 200000,
    RECORD_WINDOWS = 41,
    RECORD_TRIES = 400,
    RECORD_THREADS = 16
};

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
    double ns[RECORD_THREADS]; /* per transfer, in this window */
    int waited[RECORD_THREADS];
    int thread_at;
    double windows[RECORD_WINDOWS];
    int window_count, stop;
};

/* How often and how long the calling thread waited for a processor, so far: the second field. */
static inline uint64_t record_wait_ns(int file)
{
    char text[128];
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    const char *second = strchr(text, ' ');
    return second ? strtoull(second, NULL, 10) : 0;
}

static inline void *record_thread(void *argument)
{
    struct record_run *run = (struct record_run *)argument;
    int me = __atomic_fetch_add(&run->thread_at, 1, __ATOMIC_RELAXED);
    int file = open("/proc/thread-self/schedstat", O_RDONLY);
    for (int i = 0; i < RECORD_TRIES && !run->stop; i++) {
        pthread_barrier_wait(&run->barrier);
        uint64_t waited = record_wait_ns(file);
        double start = bench_now_ns();
        run->window(run->context);
        run->ns[me] = (bench_now_ns() - start) / RECORD_WINDOW;
        run->waited[me] = record_wait_ns(file) != waited;
        if (pthread_barrier_wait(&run->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
            double slowest = 0;
            int counts = 1;
            for (int k = 0; k < run->threads; k++) {
                slowest = run->ns[k] > slowest ? run->ns[k] : slowest;
                counts = counts && !run->waited[k];
            }
            if (counts)
                run->windows[run->window_count++] = slowest;
            run->stop = run->window_count == RECORD_WINDOWS;
        }
        pthread_barrier_wait(&run->barrier);
    }
    if (file >= 0)
        close(file);
    return NULL;
}

/* Nanoseconds per transfer and thread: the median of the windows in which no thread waited for a processor, of each the slowest
 * thread. 0: there were none. */
static inline double record_median_ns(void (*window)(void *context), void *context, int threads)
{
    struct record_run *run = (struct record_run *)calloc(1, sizeof *run);
    pthread_t started[RECORD_THREADS];
    bench_require(run != NULL, "memory");
    run->window = window;
    run->context = context;
    run->threads = threads;
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
