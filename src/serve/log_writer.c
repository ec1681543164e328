/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes the log.
 *
 * Before it writes at most PIPE_BUF bytes, the thread asks poll(2) whether the file is writable: a pipe that is
 * writable takes that many. A line may take a second; after a dropped line, those behind it are tried once each.
 * write(2) may block nevertheless (another process fills the pipe in between, a terminal takes a part). Then lines
 * are queued up to a limit, and further lines are dropped. */
#include "serve/log_writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { QUEUE_BYTES = 256 << 10, PATIENCE_MS = 1000, FAREWELL_MS = 500 };

struct queued_line {
    struct queued_line *next;
    size_t size;
    char bytes[];
};

struct log_writer {
    int fd;
    pthread_t thread;
    pthread_mutex_t lock; /* guards the queue, `stopping` and `ended` */
    pthread_cond_t changed;
    struct queued_line *first, **end;
    size_t bytes;
    bool stopping;
    bool ended;               /* the thread returns */
    bool torn;                /* the last line was written in part; for the thread only */
    atomic_bool stuck;        /* the last line was dropped */
    atomic_bool leaving;      /* the process ends: lines that cannot be written at once are dropped */
    _Atomic uint64_t dropped; /* relaxed: orders nothing */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void count_dropped(struct log_writer *writer)
{
    atomic_fetch_add_explicit(&writer->dropped, 1, memory_order_relaxed);
}

/* Waits until the file is writable. False: it was not before `deadline`. */
static bool wait_for_room(struct log_writer *writer, int64_t deadline)
{
    for (;;) {
        struct pollfd event = { .fd = writer->fd, .events = POLLOUT };
        int64_t left = atomic_load(&writer->leaving) ? 0 : deadline - now_ms();
        int ready = poll(&event, 1, left > 100 ? 100 : left > 0 ? (int)left : 0);
        if (ready > 0 || (ready < 0 && errno != EINTR && errno != EAGAIN))
            return true; /* an error is reported by write() */
        if (left <= 0)
            return false;
    }
}

/* Returns the number of bytes written. */
static size_t write_bytes(struct log_writer *writer, const char *bytes, size_t size)
{
    size_t done = 0;
    int64_t deadline = now_ms() + (atomic_load(&writer->stuck) ? 0 : PATIENCE_MS);
    while (done < size && wait_for_room(writer, deadline)) {
        size_t part = size - done < PIPE_BUF ? size - done : PIPE_BUF;
        ssize_t written = write(writer->fd, bytes + done, part);
        if (written > 0)
            done += (size_t)written;
        else if (written == 0 || (errno != EINTR && errno != EAGAIN))
            break;
        else if (now_ms() >= deadline)
            break;
    }
    return done;
}

static void write_line(struct log_writer *writer, const struct queued_line *line)
{
    /* A line written in part gets its end first, so that the next line stands by itself. */
    bool begun = !writer->torn || write_bytes(writer, "\n", 1) == 1;
    size_t done = begun ? write_bytes(writer, line->bytes, line->size) : 0;
    writer->torn = begun ? done > 0 && done < line->size : writer->torn;
    if (done < line->size)
        count_dropped(writer);
    atomic_store(&writer->stuck, done < line->size);
}

static void *write_lines(void *context)
{
    struct log_writer *writer = context;
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (!writer->first && !writer->stopping)
            pthread_cond_wait(&writer->changed, &writer->lock);
        struct queued_line *line = writer->first;
        if (!line)
            break;
        pthread_mutex_unlock(&writer->lock);
        write_line(writer, line);
        pthread_mutex_lock(&writer->lock);
        writer->first = line->next;
        writer->bytes -= line->size;
        if (!writer->first)
            writer->end = &writer->first;
        free(line);
    }
    writer->ended = true;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

struct log_writer *log_writer_start(int fd)
{
    struct log_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return NULL;
    *writer = (struct log_writer){ .fd = fd, .end = &writer->first };
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread inherits the mask, so that it does not take signals */
    int failed = pthread_create(&writer->thread, NULL, write_lines, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        return writer;
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
    return NULL;
}

bool log_writer_put(struct log_writer *writer, const char *bytes, size_t size)
{
    struct queued_line *line = malloc(sizeof *line + size);
    if (line) {
        line->next = NULL;
        line->size = size;
        memcpy(line->bytes, bytes, size);
        pthread_mutex_lock(&writer->lock);
        /* The line being written counts, too. A line longer than the limit is accepted when the queue is empty. */
        bool fits = !writer->first || writer->bytes + size <= QUEUE_BYTES;
        if (fits) {
            *writer->end = line;
            writer->end = &line->next;
            writer->bytes += size;
            pthread_cond_signal(&writer->changed);
        }
        pthread_mutex_unlock(&writer->lock);
        if (fits)
            return true;
        free(line);
    }
    count_dropped(writer);
    return false;
}

uint64_t log_writer_dropped(const struct log_writer *writer)
{
    return atomic_load_explicit(&writer->dropped, memory_order_relaxed);
}

bool log_writer_flows(const struct log_writer *writer)
{
    return !atomic_load(&writer->stuck);
}

/* Whether the thread ends within `ms` milliseconds. Not by pthread_clockjoin_np(), which ThreadSanitizer does not
 * know. */
static bool ends_within(struct log_writer *writer, int ms)
{
    struct timespec until;
    int failed = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&writer->lock);
    while (!writer->ended && failed == 0)
        failed = pthread_cond_clockwait(&writer->changed, &writer->lock, CLOCK_MONOTONIC, &until);
    bool ended = writer->ended;
    pthread_mutex_unlock(&writer->lock);
    return ended && pthread_join(writer->thread, NULL) == 0;
}

void log_writer_stop(struct log_writer *writer)
{
    if (!writer)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    if (!ends_within(writer, FAREWELL_MS)) {
        atomic_store(&writer->leaving, true);
        if (!ends_within(writer, FAREWELL_MS))
            return; /* the thread is blocked in write(2) and uses this memory until the process ends */
    }
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}
