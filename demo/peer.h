/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks on their way between two workers: the decode worker reads them from the prefill worker, over a Unix or TCP
 * socket, or out of the memory that the prefill worker handed over with the Unix socket. */
#ifndef KVTEL_DEMO_PEER_H
#define KVTEL_DEMO_PEER_H

#include "demo/blocks.h"

#include <sys/socket.h>
#include <sys/un.h>

enum demo_path { DEMO_SHARED_MEMORY, DEMO_UNIX, DEMO_TCP, DEMO_PATHS };

/* What goes wrong on purpose. */
enum demo_fault {
    DEMO_FAULT_NONE,
    DEMO_FAULT_HANDSHAKE,    /* the peer refuses the reader's version */
    DEMO_FAULT_CLOSE,        /* the peer closes the connection in the middle */
    DEMO_FAULT_SPOILED,      /* a block is not what it should be */
    DEMO_FAULT_NOTIFICATION, /* the reader cannot say that it has read */
    DEMO_FAULTS
};

/* The abstract address of the Unix socket of a prefill worker. @return its length */
socklen_t demo_peer_address(struct sockaddr_un *address, const char *token, uint32_t prefill);

/* The reader's side: one connection. fd -1: none. */
struct demo_peer {
    enum demo_path path;
    int fd;
    const uint8_t *memory; /* the peer's, DEMO_SHARED_MEMORY only */
    size_t memory_size;
};

/* Connects and shakes hands, unless that was done. False: it failed, there is no connection. */
bool demo_peer_connect(struct demo_peer *peer, const char *token, uint32_t prefill, uint32_t port,
                       enum demo_fault fault);
void demo_peer_close(struct demo_peer *peer);

/* Which blocks of which request, and where to. Block i of `count` is number numbers[i] of the request. */
struct demo_read {
    uint64_t request;
    uint32_t count;
    const uint16_t *numbers;
    const uint64_t *keys;
    uint8_t *const *blocks;
    enum demo_fault fault;
};
/* Reads and checks them. `transfer` gets what there is to record. False: it failed, and the connection is closed. */
bool demo_peer_read(struct demo_peer *peer, const struct demo_read *read, struct demo_journal *journal,
                    struct kvtel_transfer *transfer);
/* Tells the peer that the request's blocks were read. False: it could not be told, and the connection is closed. */
bool demo_peer_notify(struct demo_peer *peer, uint64_t request, enum demo_fault fault);

/* The prefill worker's side: what a reader may ask for. */
struct demo_lease {
    uint64_t request;
    uint64_t until_ns;
    uint32_t count;
    uint16_t *slots;
};
struct demo_lender {
    const struct demo_blocks *blocks;
    void *context;
    /* The lease of a request; NULL when there is none (any more). */
    const struct demo_lease *(*find)(void *context, uint64_t request);
    /* The request's blocks were read. */
    void (*notified)(void *context, uint64_t request);
};
/* Shakes hands with a reader that has just connected. `with_memory`: it came through the Unix socket. False: close it.
 */
bool demo_lender_greet(const struct demo_lender *lender, int fd, bool with_memory, bool *shares_memory);
/* Serves what a reader says next. False: it has gone or is to be closed. */
bool demo_lender_serve(const struct demo_lender *lender, int fd, bool shares_memory);

#endif
