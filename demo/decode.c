/* SPDX-License-Identifier: Apache-2.0 */
/* Decode: fetches the blocks of requests from prefill workers, computes blocks that it could not fetch, and makes
 * the tokens. */
#include "demo/worker.h"

#include "demo/fail.h"
#include "demo/random.h"

/* Decode's connections to one prefill worker. */
struct peers {
    uint32_t port; /* a changed port means that the worker was replaced */
    struct demo_peer paths[DEMO_PATHS];
};

static struct demo_peer *find_peer(struct peers *peers, const struct demo_order *order)
{
    struct peers *of = &peers[order->prefill];
    for (int path = 0; path < DEMO_PATHS && of->port != order->port; path++)
        demo_peer_close(&of->paths[path]);
    of->port = order->port;
    return &of->paths[order->request % DEMO_PATHS];
}

static enum demo_fault choose_fault(struct demo_hands *hands)
{
    if (demo_random_unit(&hands->random) >= hands->worker->failure_rate)
        return DEMO_FAULT_NONE;
    return DEMO_FAULT_NONE + 1 + (enum demo_fault)(demo_random(&hands->random) % (DEMO_FAULTS - 1));
}

/* Fetches missing blocks and tells the lender. Blocks that could not be fetched stay missing. */
static void pull(struct demo_hands *hands, struct peers *peers, const struct demo_order *order, const uint16_t *slots,
                 bool *missing)
{
    uint16_t numbers[DEMO_REQUEST_BLOCKS];
    uint64_t keys[DEMO_REQUEST_BLOCKS];
    uint8_t *blocks[DEMO_REQUEST_BLOCKS];
    enum demo_fault fault = choose_fault(hands);
    struct demo_read read = { order->request, 0, numbers, keys, blocks, fault };
    for (uint32_t i = 0; i < order->block_count; i++) {
        if (!missing[i])
            continue;
        numbers[read.count] = (uint16_t)i;
        keys[read.count] = order->keys[i];
        blocks[read.count++] = demo_blocks_at(&hands->blocks, slots[i]);
    }
    struct demo_peer *peer = find_peer(peers, order);
    if (!demo_peer_connect(peer, hands->worker->token, order->prefill, order->port, fault)) {
        demo_journal_failure(&hands->journal, KVTEL_FAILED_HANDSHAKE);
        return;
    }
    struct kvtel_transfer transfer;
    if (read.count > 0 && !demo_peer_read(peer, &read, &hands->journal, &transfer)) {
        demo_journal_failure(&hands->journal, KVTEL_FAILED_TRANSFER);
        return;
    }
    if (read.count > 0)
        demo_journal_transfer(&hands->journal, DEMO_TRANSFER, &transfer);
    for (uint32_t i = 0; i < read.count; i++) {
        missing[numbers[i]] = false;
        demo_blocks_filled(&hands->blocks, slots[numbers[i]]);
    }
    if (!demo_peer_notify(peer, order->request, fault))
        demo_journal_failure(&hands->journal, KVTEL_FAILED_NOTIFICATION);
}

/* Makes the blocks of the tokens that a request produced; no other request uses them. */
static bool decode_tokens(struct demo_hands *hands, const struct demo_order *order)
{
    for (uint32_t i = 0; i < order->output_blocks; i++) {
        uint64_t key = demo_mix((order->request << 16 | i) ^ UINT64_MAX);
        uint16_t slot;
        bool missing;
        if (!demo_blocks_take(&hands->blocks, &key, 1, &slot, &missing))
            return false;
        demo_hands_compute(hands, &key, 1, &slot, &missing);
        demo_blocks_release(&hands->blocks, &slot, 1);
    }
    return true;
}

bool demo_decode_run(struct demo_hands *hands)
{
    struct peers peers[DEMO_WORKERS] = { 0 };
    struct demo_order order;
    uint16_t slots[DEMO_REQUEST_BLOCKS];
    bool missing[DEMO_REQUEST_BLOCKS];
    for (int i = 0; i < DEMO_WORKERS; i++)
        for (enum demo_path path = 0; path < DEMO_PATHS; path++)
            peers[i].paths[path] = (struct demo_peer){ .path = path, .fd = -1 };
    if (!demo_hands_reply(hands, DEMO_READY, 0))
        return false;
    while (demo_hands_receive(hands, &order)) {
        if (order.prefill >= DEMO_WORKERS ||
            !demo_blocks_take(&hands->blocks, order.keys, order.block_count, slots, missing))
            return false;
        pull(hands, peers, &order, slots, missing);
        demo_hands_compute(hands, order.keys, order.block_count, slots, missing);
        bool good = decode_tokens(hands, &order);
        demo_blocks_release(&hands->blocks, slots, order.block_count);
        if (!good || !demo_hands_reply(hands, DEMO_ORDER_DONE, order.request))
            return false;
    }
    for (int i = 0; i < DEMO_WORKERS; i++)
        for (int path = 0; path < DEMO_PATHS; path++)
            demo_peer_close(&peers[i].paths[path]);
    return true;
}
