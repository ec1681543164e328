/* SPDX-License-Identifier: Apache-2.0 */
/* Functions for both roles of a worker: receive orders, reply, compute blocks. */
#include "demo/worker.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

bool demo_hands_receive(const struct demo_hands *hands, struct demo_order *order)
{
    ssize_t got;
    do
        got = recv(hands->worker->control, order, sizeof *order, 0);
    while (got < 0 && errno == EINTR);
    return got >= (ssize_t)offsetof(struct demo_order, keys) && order->block_count <= DEMO_REQUEST_BLOCKS &&
           (size_t)got >= offsetof(struct demo_order, keys) + order->block_count * sizeof *order->keys;
}

bool demo_hands_reply(const struct demo_hands *hands, enum demo_reply_kind kind, uint64_t request)
{
    struct demo_reply reply = { .kind = kind, .request = request };
    const char *path = kind == DEMO_READY ? kvtel_store_path(hands->journal.store) : NULL;
    if (path && strlen(path) < sizeof reply.path)
        strcpy(reply.path, path);
    return send(hands->worker->control, &reply, sizeof reply, MSG_NOSIGNAL) == (ssize_t)sizeof reply;
}

void demo_hands_compute(struct demo_hands *hands, const uint64_t *keys, uint32_t count, const uint16_t *slots,
                        const bool *missing)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!missing[i])
            continue;
        demo_block_fill(demo_blocks_at(&hands->blocks, slots[i]), keys[i]);
        demo_blocks_filled(&hands->blocks, slots[i]);
    }
}
