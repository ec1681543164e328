/* SPDX-License-Identifier: Apache-2.0 */
/* One telemetry ring with other readers, and with an agent that writes at speed. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "support/nixl_ring.h"

/* What a reader that knows nothing of kvtel does. */
static void drain(const struct agent *agent)
{
    agent->header->read_pos = agent->header->write_pos;
}

static void second_consumer(void **state)
{
    (void)state;
    struct agent agent;
    struct kvtel_nixl_ring ring;
    start(&agent, 64);
    open_ring(&ring);
    write_some(&agent, 10);
    assert_int_equal(read_ring(&ring, 0), 10);
    for (unsigned i = 0; i < 100; i++) { /* nothing is lost, and nothing taken from the other one */
        write_some(&agent, 5);
        drain(&agent);
        write_some(&agent, 7);
        assert_int_equal(read_ring(&ring, i), 12);
        assert_int_equal(ring.state, KVTEL_NIXL_CONTENDED);
        assert_int_equal((agent.header->write_pos - agent.header->read_pos) & 63, 7);
        drain(&agent);
        if (agent.header->read_pos == 0) { /* what looks like a restart */
            write_some(&agent, 1);
            drain(&agent);
            read_ring(&ring, i);
            break;
        }
    }
    assert_int_equal(ring.contentions, 1);

    /* It leaves: kvtel consumes again. */
    write_some(&agent, 20);
    read_ring(&ring, 200);
    assert_int_equal(ring.state, KVTEL_NIXL_CONTENDED);
    write_some(&agent, 1);
    assert_int_equal(read_ring(&ring, 200 + KVTEL_NIXL_PATIENCE_NS), 1);
    assert_int_equal(ring.state, KVTEL_NIXL_READ);
    assert_int_equal(agent.header->read_pos, agent.header->write_pos);
    kvtel_nixl_ring_close(&ring);
    agent_end(&agent);
}

static void full_while_contended(void **state)
{
    (void)state;
    struct agent agent;
    struct kvtel_nixl_ring ring;
    start(&agent, 16);
    open_ring(&ring);
    read_ring(&ring, 0);
    write_some(&agent, 5);
    drain(&agent);
    read_ring(&ring, 1);
    write_some(&agent, 15);
    assert_int_equal(read_ring(&ring, 2), 15);
    assert_int_equal(ring.state, KVTEL_NIXL_BLOCKED);
    read_ring(&ring, 3);
    assert_int_equal(ring.fulls, 1);
    read_ring(&ring, 1 + KVTEL_NIXL_PATIENCE_NS);
    assert_int_equal(ring.state, KVTEL_NIXL_READ);
    write_some(&agent, 15);
    assert_int_equal(read_ring(&ring, 2 + KVTEL_NIXL_PATIENCE_NS), 15);
    assert_int_equal(ring.events, 35);
    kvtel_nixl_ring_close(&ring);
    agent_end(&agent);
}

/* One consumes, the other follows; both see everything, and the second takes over when the first is gone. */
static void two_kvtels(void **state)
{
    (void)state;
    struct agent agent;
    struct kvtel_nixl_ring first, second;
    start(&agent, 64);
    open_ring(&first);
    open_ring(&second);
    for (unsigned i = 0; i < 200; i++) {
        write_some(&agent, 13);
        assert_int_equal(read_ring(&first, i), 13);
        write_some(&agent, i % 3);
        assert_int_equal(read_ring(&second, i), i == 0 ? 0 : 13 + i % 3);
        assert_int_equal(second.state, KVTEL_NIXL_CONTENDED);
        assert_int_equal(first.state, KVTEL_NIXL_READ);
        read_ring(&first, i);
        if ((agent.header->write_pos + 13) % 64 == 0) { /* not to 0: that looks like a restart */
            write_some(&agent, 1);
            assert_int_equal(read_ring(&first, i) + read_ring(&second, i), 2);
        }
    }
    kvtel_nixl_ring_close(&first);
    write_some(&agent, 9);
    read_ring(&second, 1000);
    write_some(&agent, 9);
    assert_int_equal(read_ring(&second, 1001), 9);
    assert_int_equal(second.state, KVTEL_NIXL_READ);
    assert_int_equal(agent.header->read_pos, agent.header->write_pos);
    kvtel_nixl_ring_close(&second);
    agent_end(&agent);
}

static void read_only(void **state)
{
    (void)state;
    struct agent agent;
    struct kvtel_nixl_ring ring;
    start(&agent, 16);
    kvtel_nixl_ring_init(&ring);
    assert_true(kvtel_nixl_ring_attach(&ring, open(path, O_RDONLY | O_CLOEXEC), false));
    for (unsigned i = 0; i < 5; i++) {
        write_some(&agent, 3);
        assert_int_equal(read_ring(&ring, i), 3);
        assert_int_equal(ring.state, i < 4 ? KVTEL_NIXL_READ_ONLY : KVTEL_NIXL_BLOCKED);
    }
    assert_false(agent_write(&agent, KVTEL_NIXL_XFER_TIME, 1));
    read_ring(&ring, 6);
    assert_int_equal(ring.fulls, 1);
    assert_int_equal(agent.header->read_pos, 0);
    drain(&agent); /* somebody may */
    write_some(&agent, 4);
    assert_int_equal(read_ring(&ring, 7), 4);
    assert_int_equal(ring.state, KVTEL_NIXL_READ_ONLY);
    agent_end(&agent);
    start(&agent, 16);
    write_some(&agent, 2);
    assert_int_equal(read_ring(&ring, 8), 2);
    assert_int_equal(ring.restarts, 1);
    kvtel_nixl_ring_close(&ring);
    agent_end(&agent);
}

enum { SPEED_EVENTS = 2000000 };

/* As fast as it can; a full ring drops the event, or the agent waits for room. Returns how many were dropped. */
static uint64_t write_at_speed(const struct agent *agent, bool wait)
{
    uint64_t dropped = 0;
    for (uint64_t i = 0; i < SPEED_EVENTS; i++) {
        uint64_t value = i;
        while (!agent_write(agent, (uint32_t)(i % KVTEL_NIXL_EVENT_TYPES), value)) {
            if (!wait) {
                dropped += 1;
                break;
            }
            usleep(200);
        }
    }
    return dropped;
}

/* Each event that the agent kept is taken once, whole and in order. */
static void at_speed(void **state)
{
    bool wait = *state != NULL;
    struct agent agent;
    start(&agent, 4096);
    uint64_t *dropped = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(dropped != MAP_FAILED);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        *dropped = write_at_speed(&agent, wait);
        _exit(0);
    }
    struct kvtel_nixl_ring ring;
    struct kvtel_nixl_event events[256];
    uint64_t got = 0, next = 0, fulls = 0;
    bool ended = false;
    open_ring(&ring);
    for (uint64_t now = 0;; now++) {
        bool last = ended;
        kvtel_nixl_ring_look(&ring, now);
        size_t count;
        while ((count = kvtel_nixl_ring_take(&ring, events, COUNT(events))) > 0) {
            for (size_t i = 0; i < count; i++) {
                assert_true(events[i].value >= next);
                assert_int_equal(events[i].type, events[i].value % KVTEL_NIXL_EVENT_TYPES);
                next = events[i].value + 1;
            }
            got += count;
        }
        fulls = ring.fulls;
        if (last)
            break;
        int status;
        ended = waitpid(child, &status, WNOHANG) == child;
        assert_true(!ended || status == 0);
        usleep(wait ? 100 : 10000);
    }
    assert_int_equal(got + *dropped, SPEED_EVENTS);
    assert_true(wait ? *dropped == 0 : *dropped == 0 || fulls > 0);
    assert_int_equal(ring.events, got);
    assert_int_equal(ring.restarts + ring.contentions, 0);
    kvtel_nixl_ring_close(&ring);
    munmap(dropped, 4096);
    agent_end(&agent);
}

int main(void)
{
    static int yes;
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(second_consumer), TEST(full_while_contended),
        TEST(two_kvtels),      TEST(read_only),
        TEST(at_speed),        { "at_speed_without_loss", at_speed, set_up, tear_down, &yes },
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
