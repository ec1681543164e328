/* SPDX-License-Identifier: Apache-2.0 */
/* The engine: worker processes, and requests that are passed from one to the next. */
#ifndef KVTEL_DEMO_ENGINE_H
#define KVTEL_DEMO_ENGINE_H

#include "demo/worker.h"

#include <kvtel/reader.h>
#include <sys/types.h>

enum { DEMO_PROCESSES = DEMO_WORKERS + 1, /* one more, for the replaced one */ DEMO_FLIGHTS = 4 * DEMO_WORKERS };

struct demo_engine_options {
    double duration, speed, failure_rate;
    uint32_t counts[DEMO_ROLES]; /* workers of each role */
    bool kill;                   /* kill one worker in the middle of the run */
    enum demo_role killed_role;
    const char *token, *dir, *store_dir;
    const struct demo_trace *trace;
};

struct demo_process {
    struct demo_worker worker;
    pid_t pid;     /* 0: it has ended */
    int control;   /* the engine's end */
    uint32_t busy; /* number of unfinished orders */
    bool ready, killed;
    struct demo_ledger *ledger;
    struct kvtel_store_reader *reader; /* NULL: not ready yet */
    char file[256];
};

/* A request in progress. */
struct demo_flight {
    uint64_t id;
    size_t request; /* index in the trace */
    uint64_t round; /* number of earlier rounds of the trace */
    struct demo_process *at, *prefill;
};

struct demo_engine {
    struct demo_engine_options options;
    struct demo_ledger *ledgers; /* DEMO_PROCESSES entries, shared with the workers */
    struct demo_process processes[DEMO_PROCESSES];
    uint32_t process_count;
    struct demo_process *current[DEMO_ROLES][DEMO_WORKERS];
    struct demo_flight flights[DEMO_FLIGHTS];
    uint32_t flight_count;
    int signals;                                      /* readable after Ctrl-C or SIGTERM */
    uint64_t start_ns, next_id, arrived, done, again; /* again: requests started anew, because a worker was killed */
    size_t next_request;
    uint64_t round;
    bool interrupted, over, failed;
};

/* Starts the workers and waits until they are ready. Whatever the result, call demo_engine_stop() afterwards.
 * @param signals a signalfd, borrowed
 * @return false, after printing a message: it failed */
bool demo_engine_start(struct demo_engine *engine, const struct demo_engine_options *options, int signals);
/* Plays the trace until the time is over or a signal arrives. Calls `show` twice a second. False, after printing a
 * message: a worker ended that should not have ended. */
bool demo_engine_run(struct demo_engine *engine, void (*show)(void *context, const struct demo_engine *engine),
                     void *context);
/* Asks the workers to end, and kills those that do not. False, after printing a message: one did not end well by
 * itself. */
bool demo_engine_stop(struct demo_engine *engine);
/* Frees the workers' books and readers. */
void demo_engine_close(struct demo_engine *engine);
/* Whether a worker was killed and replaced. */
static inline bool demo_engine_killed(const struct demo_engine *engine)
{
    return engine->process_count > engine->options.counts[DEMO_PREFILL] + engine->options.counts[DEMO_DECODE];
}
/* Seconds since the first request could arrive. */
double demo_engine_seconds(const struct demo_engine *engine);
/* The name of an engine by its number: all prefill workers are one, each decode worker is one. */
static inline const char *demo_engine_name(uint32_t number)
{
    return number == 0 ? "prefill" : "decode";
}

#endif
