/* SPDX-License-Identifier: Apache-2.0 */
/* A worker process, from fork to exit. */
#include "demo/worker.h"

#include "demo/fail.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

_Noreturn void demo_worker_run(const struct demo_worker *worker)
{
    static const char *const names[DEMO_ROLES] = { "prefill", "decode" };
    char name[64], connector[128];
    struct demo_hands *hands = calloc(1, sizeof *hands);
    /* Ctrl-C is ignored: the engine handles it and tells the worker when to stop. If the engine dies, the worker is
     * killed. */
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(name, sizeof name, "%s %u", names[worker->role], worker->index);
    snprintf(connector, sizeof connector, "kvtel-demo, %s", name);
    prctl(PR_SET_NAME, name);
    bool good = hands != NULL;
    if (good) {
        hands->worker = worker;
        hands->random = worker->seed;
        good = demo_journal_open(&hands->journal, worker->ledger,
                                 KVTEL_STORE_OPTIONS(.model_name = worker->token, .connector = connector,
                                                     .engine = worker->engine, .rank = worker->rank,
                                                     .dir = worker->store_dir)) &&
               demo_blocks_open(&hands->blocks, worker->file, &hands->journal);
        hands->blocks.failure_rate = worker->failure_rate;
        hands->blocks.random = worker->seed ^ UINT64_MAX;
        good = good && (worker->role == DEMO_PREFILL ? demo_prefill_run(hands) : demo_decode_run(hands));
        demo_blocks_close(&hands->blocks);
        demo_journal_close(&hands->journal);
        free(hands);
    }
    _exit(good ? EXIT_GOOD : EXIT_FAILED);
}
