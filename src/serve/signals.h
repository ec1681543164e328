/* SPDX-License-Identifier: Apache-2.0 */
/* Signals, which a thread of their own takes, so that SIGTERM ends the process whatever the main loop waits for. */
#ifndef KVTEL_SERVE_SIGNALS_H
#define KVTEL_SERVE_SIGNALS_H

#include "serve/log.h"

#include <stdatomic.h>

struct signals {
    pthread_t thread;
    struct serve_log *log;
    int event;            /* readable when one came */
    atomic_int ending;    /* SIGTERM or SIGINT; 0: not yet */
    atomic_bool look;     /* SIGHUP */
    atomic_bool finished; /* the thread is to end */
    bool blocked;         /* signals are, and are to be given back */
};

/* Blocks SIGHUP, SIGINT and SIGTERM in the calling thread and in those that it starts from now on, and ignores others
 * that would end the process without any fault of its own. False, with errno: that failed. */
bool signals_block(struct signals *signals);
/* Lets them do what they do by default again. */
void signals_unblock(struct signals *signals);

/* Starts the thread. From the first SIGTERM or SIGINT on the process has five seconds to call signals_stop(); then it
 * is ended as it is, which costs nothing that was counted. `log` is borrowed. False, with errno: it did not start. */
bool signals_start(struct signals *signals, struct serve_log *log);
void signals_stop(struct signals *signals);

#endif
