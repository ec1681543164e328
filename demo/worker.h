/* SPDX-License-Identifier: Apache-2.0 */
/* The worker processes: what the engine tells them, and what they answer. */
#ifndef KVTEL_DEMO_WORKER_H
#define KVTEL_DEMO_WORKER_H

#include "demo/peer.h"

enum { DEMO_WORKERS = 32, DEMO_LEASE_MS = 1000 };

enum demo_role { DEMO_PREFILL, DEMO_DECODE, DEMO_ROLES };

/* Who a worker is. Texts live as long as the process. */
struct demo_worker {
    enum demo_role role;
    uint32_t index; /* among those of its role */
    uint32_t engine, rank;
    int control;                /* socket to the engine, one message a packet; its end means: stop */
    struct demo_ledger *ledger; /* its own */
    const char *token;          /* names this run: the model, the sockets */
    const char *file;           /* of offloaded blocks */
    const char *store_dir;      /* NULL: the default one */
    double failure_rate;
    uint64_t seed;
};

/* The engine's orders. Keys of blocks in use follow `block_count`. */
enum demo_order_kind { DEMO_DO_PREFILL = 1, DEMO_DO_DECODE };
struct demo_order {
    uint32_t kind;
    uint32_t prefill, port; /* DEMO_DO_DECODE: the worker that has the blocks, and where it listens now */
    uint64_t request;
    uint32_t output_blocks; /* DEMO_DO_DECODE: how many blocks the tokens made fill */
    uint32_t block_count;
    uint64_t keys[DEMO_REQUEST_BLOCKS];
};

/* A worker's answers: it is ready, with the path of its store ("" when it has no file), or the order for a request is
 * done. */
enum demo_reply_kind { DEMO_READY = 1, DEMO_ORDER_DONE };
struct demo_reply {
    uint32_t kind, zero;
    uint64_t request;
    char path[512];
};

/* The process from here on: never returns. */
_Noreturn void demo_worker_run(const struct demo_worker *worker);

/* Parts of it. */
struct demo_hands {
    const struct demo_worker *worker;
    struct demo_journal journal;
    struct demo_blocks blocks;
    uint64_t random;
};
/* Do orders until the engine wants no more. False, with a message, when the worker cannot go on. */
bool demo_prefill_run(struct demo_hands *hands);
bool demo_decode_run(struct demo_hands *hands);
/* The next order. False: there is none, the engine wants no more. */
bool demo_hands_receive(const struct demo_hands *hands, struct demo_order *order);
/* Computes the blocks that are missing. */
void demo_hands_compute(struct demo_hands *hands, const uint64_t *keys, uint32_t count, const uint16_t *slots,
                        const bool *missing);
bool demo_hands_reply(const struct demo_hands *hands, enum demo_reply_kind kind, uint64_t request);

#endif
