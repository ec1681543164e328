/* SPDX-License-Identifier: Apache-2.0 */
/* Transfer of blocks between two workers. The decode worker reads them from the prefill worker: over a Unix or TCP
 * socket, or from the memory that the prefill worker shared through the Unix socket. */
#ifndef KVTEL_DEMO_PEER_H
#define KVTEL_DEMO_PEER_H

#include "demo/blocks.h"

#include <sys/socket.h>
#include <sys/un.h>

enum demo_path { DEMO_SHARED_MEMORY, DEMO_UNIX, DEMO_TCP, DEMO_PATHS };

/* Faults made on purpose. */
enum demo_fault {
    DEMO_FAULT_NONE,
    DEMO_FAULT_HANDSHAKE,    /* the peer refuses the reader's version */
    DEMO_FAULT_CLOSE,        /* the peer closes the connection in the middle */
    DEMO_FAULT_SPOILED,      /* a block's content is wrong */
    DEMO_FAULT_NOTIFICATION, /* the reader cannot send its notification */
    DEMO_FAULTS
};

/* The abstract address of the Unix socket of a prefill worker. @return its length */
socklen_t demo_peer_address(struct sockaddr_un *address, const char *token, uint32_t prefill);

/* The reader's side: one connection. fd -1: not connected. */
struct demo_peer {
    enum demo_path path;
    int fd;
    const uint8_t *memory; /* the peer's, DEMO_SHARED_MEMORY only */
    size_t memory_size;
};

/* Connects and exchanges greetings, unless connected. False: this failed, and there is no connection. */
bool demo_peer_connect(struct demo_peer *peer, const char *token, uint32_t prefill, uint32_t port,
                       enum demo_fault fault);
void demo_peer_close(struct demo_peer *peer);

/* The blocks to read and their destination. Block i of `count` is the request's block numbers[i]. */
struct demo_read {
    uint64_t request;
    uint32_t count;
    const uint16_t *numbers;
    const uint64_t *keys;
    uint8_t *const *blocks;
    enum demo_fault fault;
};
/* Reads and checks the blocks. `transfer` returns the values to record. False: the read failed, and the connection
 * is closed. */
bool demo_peer_read(struct demo_peer *peer, const struct demo_read *read, struct demo_journal *journal,
                    struct kvtel_transfer *transfer);
/* Notifies the peer that the request's blocks were read. False: this failed, and the connection is closed. */
bool demo_peer_notify(struct demo_peer *peer, uint64_t request, enum demo_fault fault);

/* The prefill worker's side: blocks that a reader may request. */
struct demo_lease {
    uint64_t request;
    uint64_t until_ns;
    uint32_t count;
    uint16_t *slots;
};
struct demo_lender {
    const struct demo_blocks *blocks;
    void *context;
    /* Returns the lease of a request; NULL: there is none, or it has expired. */
    const struct demo_lease *(*find)(void *context, uint64_t request);
    /* Called when the request's blocks were read. */
    void (*notified)(void *context, uint64_t request);
};
/* Exchanges greetings with a reader that has just connected. `with_memory`: through the Unix socket. False: close
 * the connection. */
bool demo_lender_greet(const struct demo_lender *lender, int fd, bool with_memory, bool *shares_memory);
/* Serves the reader's next message. False: the reader has gone, or is to be disconnected. */
bool demo_lender_serve(const struct demo_lender *lender, int fd, bool shares_memory);

#endif
