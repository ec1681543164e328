/* SPDX-License-Identifier: Apache-2.0 */
/* The ring of the current test and what is taken from it. A test has its own copy. Include after cmocka.h. */
#ifndef KVTEL_TEST_NIXL_RING_H
#define KVTEL_TEST_NIXL_RING_H

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nixl/ring.h"
#include "support/nixl_agent.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static char path[64]; /* of the ring of the current test */

/* What was taken from a ring: count and sum of each type. */
struct taken {
    uint64_t count[KVTEL_NIXL_EVENT_TYPES + 1], sum[KVTEL_NIXL_EVENT_TYPES + 1], all;
};

static inline int set_up(void **state)
{
    (void)state;
    strcpy(path, "/tmp/kvtel_ring_XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static inline int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static inline void open_ring(struct kvtel_nixl_ring *ring)
{
    kvtel_nixl_ring_init(ring);
    assert_true(kvtel_nixl_ring_open(ring, AT_FDCWD, path));
}

static inline uint64_t take_all(struct kvtel_nixl_ring *ring, struct taken *taken)
{
    struct kvtel_nixl_event events[100];
    uint64_t all = 0;
    size_t count;
    while ((count = kvtel_nixl_ring_take(ring, events, COUNT(events))) > 0) {
        for (size_t i = 0; i < count && taken; i++) {
            taken->count[events[i].type]++;
            taken->sum[events[i].type] += events[i].value;
        }
        all += count;
    }
    if (taken)
        taken->all += all;
    return all;
}

static inline uint64_t read_ring(struct kvtel_nixl_ring *ring, uint64_t now_ns)
{
    uint64_t found = kvtel_nixl_ring_look(ring, now_ns);
    assert_int_equal(take_all(ring, NULL), found);
    return found;
}

static inline void start(struct agent *agent, uint64_t capacity)
{
    assert_true(agent_start(agent, path, capacity));
}

static inline void write_some(const struct agent *agent, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        assert_true(agent_write(agent, KVTEL_NIXL_XFER_TIME, i));
}

#endif
