/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that takes signals. */
#include "serve/signals.h"

#include "command/command.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { END_SECONDS = 5 };

/* The signals that the thread takes. SIGUSR1 tells the thread to end. */
static void make_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGUSR1);
}

bool signals_block(struct signals *signals)
{
    static const int ignored[] = { SIGPIPE, SIGUSR2, SIGALRM,   SIGVTALRM, SIGPROF,
                                   SIGIO,   SIGPWR,  SIGSTKFLT, SIGXFSZ,   SIGTTOU };
    sigset_t set;
    *signals = (struct signals){ .event = -1 };
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        signal(number, SIG_IGN);
    make_set(&set);
    signals->blocked = sigprocmask(SIG_BLOCK, &set, NULL) == 0;
    return signals->blocked;
}

void signals_unblock(struct signals *signals)
{
    sigset_t set;
    make_set(&set);
    if (signals->blocked)
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    signals->blocked = false;
}

static void wake(struct signals *signals)
{
    const uint64_t one = 1;
    ssize_t written = write(signals->event, &one, sizeof one); /* the counter of an eventfd cannot fill up here */
    (void)written;
}

/* Waits until the main thread has ended the program in order, and ends the process if that takes too long. */
static void wait_for_end(struct signals *signals, const sigset_t *set)
{
    struct timespec now, wait = { .tv_sec = END_SECONDS };
    clock_gettime(CLOCK_MONOTONIC, &now);
    time_t until = now.tv_sec + END_SECONDS;
    while (!atomic_load(&signals->finished)) {
        (void)sigtimedwait(set, NULL, &wait);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec >= until)
            break;
        wait = (struct timespec){ .tv_sec = until - now.tv_sec };
    }
    if (atomic_load(&signals->finished))
        return;
    serve_log_write(signals->log, WEB_LOG_WARN, "ended without waiting for what still runs", NULL);
    log_writer_stop(signals->log->writer);
    _exit(EXIT_GOOD);
}

static void *take_signals(void *context)
{
    struct signals *signals = context;
    sigset_t set;
    make_set(&set);
    while (!atomic_load(&signals->finished)) {
        int number = sigwaitinfo(&set, NULL);
        if (number == SIGHUP) {
            atomic_store(&signals->look, true);
            wake(signals);
        } else if (number == SIGTERM || number == SIGINT) {
            atomic_store(&signals->ending, number);
            wake(signals);
            wait_for_end(signals, &set);
        }
    }
    return NULL;
}

bool signals_start(struct signals *signals, struct serve_log *log)
{
    signals->log = log;
    signals->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (signals->event < 0)
        return false;
    errno = pthread_create(&signals->thread, NULL, take_signals, signals);
    if (errno == 0)
        return true;
    int failed = errno;
    close(signals->event);
    errno = failed;
    signals->event = -1;
    return false;
}

void signals_stop(struct signals *signals)
{
    if (signals->event < 0)
        return;
    atomic_store(&signals->finished, true);
    pthread_kill(signals->thread, SIGUSR1);
    pthread_join(signals->thread, NULL);
    close(signals->event);
    signals->event = -1;
}
