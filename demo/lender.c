/* SPDX-License-Identifier: Apache-2.0 */
/* The lender's side: a prefill worker provides the blocks of requests under lease. */
#include "demo/peer.h"
#include "demo/peer_wire.h"

#include <string.h>

/* Sends the lender's greeting; through a Unix socket, with the file descriptor of its memory. */
static bool send_greeting(const struct demo_lender *lender, int fd, bool with_memory)
{
    struct demo_greeting greeting = DEMO_GREETING(with_memory);
    struct iovec part = { &greeting, sizeof greeting };
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .bytes = { 0 } };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (with_memory) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *attached = CMSG_FIRSTHDR(&message);
        attached->cmsg_level = SOL_SOCKET;
        attached->cmsg_type = SCM_RIGHTS;
        attached->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(attached), &lender->blocks->memory_fd, sizeof(int));
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof greeting;
}

bool demo_lender_greet(const struct demo_lender *lender, int fd, bool with_memory, bool *shares_memory)
{
    struct demo_greeting greeting;
    demo_wire_set_timeouts(fd);
    if (!demo_wire_receive(fd, &greeting, sizeof greeting) || greeting.magic != DEMO_MAGIC ||
        greeting.version != DEMO_VERSION || greeting.block_bytes != DEMO_BLOCK_BYTES ||
        (greeting.shared && !with_memory))
        return false;
    *shares_memory = greeting.shared != 0;
    return send_greeting(lender, fd, *shares_memory);
}

/* Sends one block. A spoiled block is, in shared memory, the place of another block, and otherwise has a changed
 * byte. */
static bool send_piece(const struct demo_lender *lender, int fd, uint16_t slot, bool shares_memory, bool spoiled)
{
    const struct demo_slot *held = &lender->blocks->slots[slot];
    const uint8_t *block = demo_blocks_at(lender->blocks, slot);
    size_t place = (size_t)(spoiled ? (slot + 1) % DEMO_SLOTS : slot) * DEMO_BLOCK_BYTES;
    struct demo_piece piece = { .key = held->key, .offset = place, .crc = held->crc };
    if (!demo_wire_send(fd, &piece, sizeof piece))
        return false;
    if (shares_memory)
        return true;
    uint8_t copy[DEMO_BLOCK_BYTES];
    if (spoiled) {
        memcpy(copy, block, sizeof copy);
        copy[0] ^= 1;
    }
    return demo_wire_send(fd, spoiled ? copy : block, DEMO_BLOCK_BYTES);
}

static bool serve_read(const struct demo_lender *lender, int fd, bool shares_memory, const struct demo_message *message)
{
    uint16_t numbers[DEMO_REQUEST_BLOCKS];
    if (message->count == 0 || message->count > DEMO_REQUEST_BLOCKS ||
        !demo_wire_receive(fd, numbers, message->count * sizeof *numbers))
        return false;
    const struct demo_lease *lease = lender->find(lender->context, message->request);
    bool granted = lease != NULL;
    for (uint32_t i = 0; i < message->count && granted; i++)
        granted = numbers[i] < lease->count;
    struct demo_answer answer = { message->request, granted, message->count };
    if (!demo_wire_send(fd, &answer, sizeof answer))
        return false;
    for (uint32_t i = 0; i < message->count && granted; i++) {
        if (message->fault == DEMO_FAULT_CLOSE && i >= message->count / 2)
            return false;
        if (!send_piece(lender, fd, lease->slots[numbers[i]], shares_memory,
                        message->fault == DEMO_FAULT_SPOILED && i == 0))
            return false;
    }
    return true;
}

bool demo_lender_serve(const struct demo_lender *lender, int fd, bool shares_memory)
{
    struct demo_message message;
    if (!demo_wire_receive(fd, &message, sizeof message))
        return false;
    switch (message.kind) {
    case DEMO_READ:
        return serve_read(lender, fd, shares_memory, &message);
    case DEMO_DONE:
        lender->notified(lender->context, message.request);
        return true;
    default:
        return false;
    }
}
