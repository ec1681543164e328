/* SPDX-License-Identifier: Apache-2.0 */
/* The worker processes, the engine's orders, and their replies. */
#ifndef KVTEL_DEMO_WORKER_H
#define KVTEL_DEMO_WORKER_H

#include "demo/peer.h"

enum { DEMO_WORKERS = 32, DEMO_LEASE_MS = 1000 };

enum demo_role { DEMO_PREFILL, DEMO_DECODE, DEMO_ROLES };

/* The identity of a worker. Texts are valid as long as the process. */
struct demo_worker {
    enum demo_role role;
    uint32_t index; /* index among the workers of its role */
    uint32_t engine, rank;
    int control;                /* socket to the engine, one message in each packet; its end tells the worker to stop */
    struct demo_ledger *ledger; /* this worker's ledger */
    const char *token;          /* the run's name, used for the model and the sockets */
    const char *file;           /* path of the file for offloaded blocks */
    const char *store_dir;      /* NULL: the default one */
    double failure_rate;
    uint64_t seed;
};

/* The engine's orders. `block_count` keys in use follow. */
enum demo_order_kind { DEMO_DO_PREFILL = 1, DEMO_DO_DECODE };
struct demo_order {
    uint32_t kind;
    uint32_t prefill, port; /* DEMO_DO_DECODE: the worker with the blocks, and its present port */
    uint64_t request;
    uint32_t output_blocks; /* DEMO_DO_DECODE: number of blocks that the produced tokens fill */
    uint32_t block_count;
    uint64_t keys[DEMO_REQUEST_BLOCKS];
};

/* A worker's replies: the worker is ready, with the path of its store ("": not in a file), or an order is done. */
enum demo_reply_kind { DEMO_READY = 1, DEMO_ORDER_DONE };
struct demo_reply {
    uint32_t kind, zero;
    uint64_t request;
    char path[512];
};

/* Runs the worker. Never returns. */
_Noreturn void demo_worker_run(const struct demo_worker *worker);

/* The parts of a worker. */
struct demo_hands {
    const struct demo_worker *worker;
    struct demo_journal journal;
    struct demo_blocks blocks;
    uint64_t random;
};
/* Process orders until the engine sends no more. False, after printing a message: the worker cannot go on. */
bool demo_prefill_run(struct demo_hands *hands);
bool demo_decode_run(struct demo_hands *hands);
/* Receives the next order. False: the engine sends no more. */
bool demo_hands_receive(const struct demo_hands *hands, struct demo_order *order);
/* Computes the missing blocks. */
void demo_hands_compute(struct demo_hands *hands, const uint64_t *keys, uint32_t count, const uint16_t *slots,
                        const bool *missing);
bool demo_hands_reply(const struct demo_hands *hands, enum demo_reply_kind kind, uint64_t request);

#endif
