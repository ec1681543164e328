/* SPDX-License-Identifier: Apache-2.0 */
/* The messages between two workers. Both run the same program on the same machine, so structs are sent as they are. */
#ifndef KVTEL_DEMO_PEER_WIRE_H
#define KVTEL_DEMO_PEER_WIRE_H

#include "demo/blocks.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>

enum { DEMO_MAGIC = 0x6b766474, DEMO_VERSION = 1, DEMO_PEER_SECONDS = 2 };

/* The first message of both sides. Through a Unix socket the lender's greeting carries the file descriptor of its
 * memory. */
struct demo_greeting {
    uint32_t magic, version, block_bytes;
    uint32_t shared; /* the reader copies blocks from the lender's memory */
};
#define DEMO_GREETING(is_shared)                              \
    {                                                         \
        DEMO_MAGIC, DEMO_VERSION, DEMO_BLOCK_BYTES, is_shared \
    }

/* A reader's message. After DEMO_READ, `count` block numbers (uint16_t) follow. */
enum demo_message_kind { DEMO_READ = 1, DEMO_DONE };
struct demo_message {
    uint32_t kind, count;
    uint64_t request;
    uint32_t fault, zero;
};

/* The lender's answer to DEMO_READ. If `granted`, the pieces follow, each with its block unless memory is shared. */
struct demo_answer {
    uint64_t request;
    uint32_t granted, count;
};
struct demo_piece {
    uint64_t key, offset;
    uint32_t crc, zero;
};

/* Sets timeouts, so that a stopped peer does not block this process. */
static inline void demo_wire_set_timeouts(int fd)
{
    const struct timeval limit = { .tv_sec = DEMO_PEER_SECONDS };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static inline bool demo_wire_send(int fd, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t sent = send(fd, (const char *)bytes + done, size - done, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            return false;
        done += sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

static inline bool demo_wire_receive(int fd, void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = recv(fd, (char *)bytes + done, size - done, MSG_WAITALL);
        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

#endif
