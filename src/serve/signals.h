/* SPDX-License-Identifier: Apache-2.0 */
/* Signals are taken by a thread of their own, so that SIGTERM ends the process whatever the main loop waits for. */
#ifndef KVTEL_SERVE_SIGNALS_H
#define KVTEL_SERVE_SIGNALS_H

#include "serve/log.h"

#include <stdatomic.h>

struct signals {
    pthread_t thread;
    struct serve_log *log;
    int event;            /* eventfd, readable after a signal */
    atomic_int ending;    /* SIGTERM or SIGINT; 0: not yet */
    atomic_bool look;     /* SIGHUP */
    atomic_bool finished; /* tells the thread to end */
    bool blocked;         /* signals are blocked and must be unblocked at the end */
};

/* Blocks SIGHUP, SIGINT and SIGTERM in the calling thread and in threads that it starts later. Ignores other signals
 * that would end the process without a fault of its own. False: this failed, see errno. */
bool signals_block(struct signals *signals);
/* Lets them end the process again. One that came meanwhile does so at once. */
void signals_unblock(struct signals *signals);

/* Starts the thread. After the first SIGTERM or SIGINT the process has five seconds to call signals_stop(). Then the
 * thread ends the process; no counts are lost by that. `log` is borrowed. False: the thread cannot be started, see
 * errno. */
bool signals_start(struct signals *signals, struct serve_log *log);
void signals_stop(struct signals *signals);

#endif
