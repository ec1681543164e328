/* SPDX-License-Identifier: Apache-2.0 */
/* Acts as the agent of a telemetry ring: maps the file and writes events as NIXL does. */
#ifndef KVTEL_TEST_NIXL_AGENT_H
#define KVTEL_TEST_NIXL_AGENT_H

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nixl/ring.h"

struct agent {
    int fd;
    size_t size;
    struct kvtel_nixl_header *header;
};

static inline _Atomic uint64_t *agent_position(uint64_t *position)
{
    return (_Atomic uint64_t *)position;
}

static inline struct kvtel_nixl_slot *agent_slots(const struct agent *agent)
{
    return (struct kvtel_nixl_slot *)(agent->header + 1);
}

/* Starts an agent, also in a file that is there already: the slots stay as they are. */
static inline bool agent_start(struct agent *agent, const char *path, uint64_t capacity)
{
    *agent = (struct agent){ .size = sizeof(struct kvtel_nixl_header) + capacity * sizeof(struct kvtel_nixl_slot) };
    agent->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (agent->fd < 0 || ftruncate(agent->fd, (off_t)agent->size) != 0)
        return false;
    agent->header = mmap(NULL, agent->size, PROT_READ | PROT_WRITE, MAP_SHARED, agent->fd, 0);
    if (agent->header == MAP_FAILED)
        return false;
    *agent->header = (struct kvtel_nixl_header){ .capacity = capacity, .mask = capacity - 1 };
    agent->header->expected_version = 4;
    atomic_store_explicit((_Atomic int32_t *)&agent->header->version, 4, memory_order_release);
    return true;
}

/* Ends it as a process would: the file stays. */
static inline void agent_end(struct agent *agent)
{
    munmap(agent->header, agent->size);
    close(agent->fd);
}

/* False: the ring is full, the event is dropped. */
static inline bool agent_write(const struct agent *agent, uint32_t type, uint64_t value)
{
    struct kvtel_nixl_header *header = agent->header;
    uint64_t at = atomic_load_explicit(agent_position(&header->write_pos), memory_order_relaxed);
    uint64_t after = (at + 1) & header->mask;
    if (after == atomic_load_explicit(agent_position(&header->read_pos), memory_order_acquire))
        return false;
    agent_slots(agent)[at] = (struct kvtel_nixl_slot){ type, 0xdeadbeef, value };
    atomic_store_explicit(agent_position(&header->write_pos), after, memory_order_release);
    return true;
}

/* The four events of one transfer. Returns how many found room. */
static inline unsigned agent_transfer(const struct agent *agent, bool read, uint64_t us, uint64_t bytes)
{
    return (unsigned)agent_write(agent, KVTEL_NIXL_POST_TIME, us / 2) + agent_write(agent, KVTEL_NIXL_XFER_TIME, us) +
           agent_write(agent, read ? KVTEL_NIXL_RX_BYTES : KVTEL_NIXL_TX_BYTES, bytes) +
           agent_write(agent, read ? KVTEL_NIXL_RX_REQUESTS : KVTEL_NIXL_TX_REQUESTS, 1);
}

#endif
