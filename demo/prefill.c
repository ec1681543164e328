/* SPDX-License-Identifier: Apache-2.0 */
/* Prefill: computes the blocks of requests and keeps each under lease until a decode worker has read it. */
#include "demo/worker.h"

#include "demo/fail.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LEASES = 256,
    READERS = DEMO_WORKERS * DEMO_PATHS + 8, /* limit of connections; some of them are about to be closed */
    CONTROL = 0,                             /* indexes in the poll set */
    LISTEN_UNIX,
    LISTEN_TCP,
    FIRST_READER
};

struct prefill {
    struct demo_hands *hands;
    struct demo_lease leases[LEASES]; /* the oldest first */
    uint32_t lease_count;
    struct pollfd polled[FIRST_READER + READERS];
    bool shares_memory[FIRST_READER + READERS];
    nfds_t polled_count;
};

/* Ends a lease, whatever the reason. */
static void end_lease(struct prefill *prefill, uint32_t i)
{
    struct demo_lease *lease = &prefill->leases[i];
    demo_blocks_release(&prefill->hands->blocks, lease->slots, lease->count);
    free(lease->slots);
    memmove(lease, lease + 1, (prefill->lease_count - i - 1) * sizeof *lease);
    prefill->lease_count--;
}

/* Frees the blocks of the oldest request, because no worker has fetched them in time. */
static void expire(struct prefill *prefill)
{
    demo_journal_failure(&prefill->hands->journal, KVTEL_FAILED_EXPIRED);
    end_lease(prefill, 0);
}

static const struct demo_lease *find_lease(void *context, uint64_t request)
{
    const struct prefill *prefill = context;
    for (uint32_t i = 0; i < prefill->lease_count; i++)
        if (prefill->leases[i].request == request)
            return &prefill->leases[i];
    return NULL;
}

static void take_notification(void *context, uint64_t request)
{
    struct prefill *prefill = context;
    const struct demo_lease *lease = find_lease(prefill, request);
    if (lease)
        end_lease(prefill, (uint32_t)(lease - prefill->leases));
    else
        demo_journal_failure(&prefill->hands->journal, KVTEL_FAILED_LATE);
}

/* Processes the order of a request: finds or computes its blocks and puts them under lease. Without room, leases end
 * early. */
static bool do_prefill(struct prefill *prefill, const struct demo_order *order)
{
    struct demo_blocks *blocks = &prefill->hands->blocks;
    bool missing[DEMO_REQUEST_BLOCKS];
    uint16_t *slots = malloc((order->block_count + 1) * sizeof *slots);
    if (!slots)
        return false;
    while (prefill->lease_count == LEASES ||
           !demo_blocks_take(blocks, order->keys, order->block_count, slots, missing)) {
        if (prefill->lease_count == 0) {
            free(slots);
            return false;
        }
        expire(prefill);
    }
    demo_hands_compute(prefill->hands, order->keys, order->block_count, slots, missing);
    prefill->leases[prefill->lease_count++] = (struct demo_lease){
        .request = order->request,
        .until_ns = kvtel_now_ns() + DEMO_LEASE_MS * UINT64_C(1000000),
        .count = order->block_count,
        .slots = slots,
    };
    return demo_hands_reply(prefill->hands, DEMO_ORDER_DONE, order->request);
}

static void add_polled(struct prefill *prefill, int fd)
{
    prefill->polled[prefill->polled_count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

static bool listen_for_readers(struct prefill *prefill)
{
    const struct demo_worker *worker = prefill->hands->worker;
    struct sockaddr_un local;
    socklen_t length = demo_peer_address(&local, worker->token, worker->index);
    struct sockaddr_in loopback = { .sin_family = AF_INET };
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fds[] = { socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    add_polled(prefill, worker->control);
    add_polled(prefill, fds[0]);
    add_polled(prefill, fds[1]);
    if (fds[0] < 0 || fds[1] < 0 || bind(fds[0], (struct sockaddr *)&local, length) != 0 ||
        listen(fds[0], DEMO_WORKERS) != 0 || bind(fds[1], (struct sockaddr *)&loopback, sizeof loopback) != 0 ||
        listen(fds[1], DEMO_WORKERS) != 0) {
        demo_fail("prefill worker %u cannot listen on this machine: %s", worker->index, strerror(errno));
        return false;
    }
    length = sizeof loopback;
    if (getsockname(fds[1], (struct sockaddr *)&loopback, &length) != 0)
        return false;
    atomic_store_explicit(&worker->ledger->port, ntohs(loopback.sin_port),
                          memory_order_relaxed); /* sent on after the reply */
    return true;
}

static void accept_reader(struct prefill *prefill, const struct demo_lender *lender, nfds_t from)
{
    int fd = accept4(prefill->polled[from].fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (from == LISTEN_TCP)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    if (prefill->polled_count == FIRST_READER + READERS ||
        !demo_lender_greet(lender, fd, from == LISTEN_UNIX, &prefill->shares_memory[prefill->polled_count])) {
        close(fd);
        return;
    }
    add_polled(prefill, fd);
}

static void serve_readers(struct prefill *prefill, const struct demo_lender *lender)
{
    for (nfds_t i = FIRST_READER; i < prefill->polled_count; i++) {
        if (!prefill->polled[i].revents || demo_lender_serve(lender, prefill->polled[i].fd, prefill->shares_memory[i]))
            continue;
        close(prefill->polled[i].fd);
        nfds_t last = --prefill->polled_count;
        prefill->polled[i] = prefill->polled[last];
        prefill->shares_memory[i] = prefill->shares_memory[last];
        i--;
    }
}

/* Milliseconds until the oldest lease expires; -1: there is none. */
static int until_expiry(const struct prefill *prefill)
{
    uint64_t now = kvtel_now_ns();
    if (prefill->lease_count == 0)
        return -1;
    return prefill->leases[0].until_ns <= now ? 0 : (int)((prefill->leases[0].until_ns - now) / 1000000 + 1);
}

/* Serves until the engine sends no more orders; then true. */
static bool run(struct prefill *prefill, const struct demo_lender *lender)
{
    struct demo_order order;
    for (;;) {
        if (poll(prefill->polled, prefill->polled_count, until_expiry(prefill)) < 0) {
            if (errno != EINTR)
                return false;
            continue;
        }
        serve_readers(prefill, lender);
        for (nfds_t from = LISTEN_UNIX; from <= LISTEN_TCP; from++)
            if (prefill->polled[from].revents)
                accept_reader(prefill, lender, from);
        while (prefill->lease_count > 0 && prefill->leases[0].until_ns <= kvtel_now_ns())
            expire(prefill);
        if (!prefill->polled[CONTROL].revents)
            continue;
        if (!demo_hands_receive(prefill->hands, &order))
            return true;
        if (!do_prefill(prefill, &order))
            return false;
    }
}

bool demo_prefill_run(struct demo_hands *hands)
{
    struct prefill *prefill = calloc(1, sizeof *prefill);
    if (!prefill)
        return false;
    prefill->hands = hands;
    const struct demo_lender lender = { &hands->blocks, prefill, find_lease, take_notification };
    bool good = listen_for_readers(prefill) && demo_hands_reply(hands, DEMO_READY, 0) && run(prefill, &lender);
    while (prefill->lease_count > 0)
        end_lease(prefill, 0);
    for (nfds_t i = FIRST_READER - 2; i < prefill->polled_count; i++)
        if (prefill->polled[i].fd >= 0)
            close(prefill->polled[i].fd);
    free(prefill);
    return good;
}
