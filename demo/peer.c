/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's side: a decode worker fetches blocks. */
#include "demo/peer.h"

#include "demo/peer_wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

socklen_t demo_peer_address(struct sockaddr_un *address, const char *token, uint32_t prefill)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "%s-prefill-%u", token, prefill);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

void demo_peer_close(struct demo_peer *peer)
{
    if (peer->memory)
        munmap((void *)peer->memory, peer->memory_size);
    if (peer->fd >= 0)
        close(peer->fd);
    *peer = (struct demo_peer){ .path = peer->path, .fd = -1 };
}

static int open_socket(enum demo_path path, const char *token, uint32_t prefill, uint32_t port)
{
    struct sockaddr_un local;
    struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = demo_peer_address(&local, token, prefill);
    bool tcp = path == DEMO_TCP;
    int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    demo_wire_set_timeouts(fd);
    if (tcp)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (connect(fd, tcp ? (struct sockaddr *)&loopback : (struct sockaddr *)&local, tcp ? sizeof loopback : length) !=
        0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Receives the greeting and, if shared, maps the peer's memory. */
static bool receive_greeting(struct demo_peer *peer, struct demo_greeting *greeting)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = { greeting, sizeof *greeting };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got = recvmsg(peer->fd, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC);
    struct cmsghdr *attached = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    int memory = -1;
    if (attached && attached->cmsg_level == SOL_SOCKET && attached->cmsg_type == SCM_RIGHTS)
        memcpy(&memory, CMSG_DATA(attached), sizeof memory);
    bool good = got == (ssize_t)sizeof *greeting;
    struct stat status;
    if (good && peer->path == DEMO_SHARED_MEMORY && memory >= 0 && fstat(memory, &status) == 0) {
        void *mapped = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, memory, 0);
        peer->memory = mapped == MAP_FAILED ? NULL : mapped;
        peer->memory_size = (size_t)status.st_size;
    }
    if (memory >= 0)
        close(memory);
    return good && (peer->memory || peer->path != DEMO_SHARED_MEMORY);
}

bool demo_peer_connect(struct demo_peer *peer, const char *token, uint32_t prefill, uint32_t port,
                       enum demo_fault fault)
{
    if (fault == DEMO_FAULT_HANDSHAKE)
        demo_peer_close(peer);
    if (peer->fd >= 0)
        return true;
    struct demo_greeting greeting = DEMO_GREETING(peer->path == DEMO_SHARED_MEMORY);
    if (fault == DEMO_FAULT_HANDSHAKE)
        greeting.version++;
    peer->fd = open_socket(peer->path, token, prefill, port);
    if (peer->fd >= 0 && demo_wire_send(peer->fd, &greeting, sizeof greeting) && receive_greeting(peer, &greeting) &&
        greeting.magic == DEMO_MAGIC && greeting.version == DEMO_VERSION && greeting.block_bytes == DEMO_BLOCK_BYTES)
        return true;
    demo_peer_close(peer);
    return false;
}

/* Copies the block's bytes into the reader's memory. */
static bool fetch(const struct demo_peer *peer, const struct demo_piece *piece, uint8_t *block)
{
    if (!peer->memory)
        return demo_wire_receive(peer->fd, block, DEMO_BLOCK_BYTES);
    if (peer->memory_size < DEMO_BLOCK_BYTES || piece->offset > peer->memory_size - DEMO_BLOCK_BYTES)
        return false;
    memcpy(block, peer->memory + piece->offset, DEMO_BLOCK_BYTES);
    return true;
}

/* Fetches all blocks in order. After a bad block the others are still checked. */
static bool fetch_all(const struct demo_peer *peer, const struct demo_read *read, struct demo_journal *journal)
{
    bool good = true;
    for (uint32_t i = 0; i < read->count; i++) {
        struct demo_piece piece;
        if (!demo_wire_receive(peer->fd, &piece, sizeof piece) || !fetch(peer, &piece, read->blocks[i]))
            return false;
        bool right = piece.key == read->keys[i] && piece.crc == demo_block_crc(read->blocks[i]);
        demo_journal_block(journal, right, read->fault == DEMO_FAULT_SPOILED);
        good = good && right;
    }
    return good;
}

bool demo_peer_read(struct demo_peer *peer, const struct demo_read *read, struct demo_journal *journal,
                    struct kvtel_transfer *transfer)
{
    struct demo_message message = { DEMO_READ, read->count, read->request, read->fault, 0 };
    struct demo_answer answer;
    uint64_t submitted_ns = kvtel_now_ns();
    bool good = demo_wire_send(peer->fd, &message, sizeof message) &&
                demo_wire_send(peer->fd, read->numbers, read->count * sizeof *read->numbers);
    uint64_t posted_ns = kvtel_now_ns();
    good = good && demo_wire_receive(peer->fd, &answer, sizeof answer);
    uint64_t first_byte_ns = kvtel_now_ns();
    good = good && answer.granted && answer.request == read->request && fetch_all(peer, read, journal);
    uint64_t done_ns = kvtel_now_ns();
    if (!good)
        demo_peer_close(peer);
    *transfer = (struct kvtel_transfer){
        .duration_ns = done_ns - submitted_ns,
        .post_ns = posted_ns - submitted_ns,
        .bytes = (uint64_t)read->count * DEMO_BLOCK_BYTES,
        .descriptors = read->count,
        .submitted_ns = submitted_ns,
        .posted_ns = posted_ns,
        .first_byte_ns = first_byte_ns,
        .done_ns = done_ns,
    };
    return good;
}

bool demo_peer_notify(struct demo_peer *peer, uint64_t request, enum demo_fault fault)
{
    struct demo_message message = { DEMO_DONE, 0, request, DEMO_FAULT_NONE, 0 };
    if (fault == DEMO_FAULT_NOTIFICATION)
        shutdown(peer->fd, SHUT_WR);
    bool good = demo_wire_send(peer->fd, &message, sizeof message);
    if (!good)
        demo_peer_close(peer);
    return good;
}
