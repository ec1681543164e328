/* SPDX-License-Identifier: Apache-2.0 */
/* One telemetry ring: files of real agents, wrong headers, restarts, other readers, and an agent that writes at full
 * speed. */
#include "nixl/ring.h"

#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "support/nixl_ring.h"

static size_t read_file(const char *name, unsigned char *bytes, size_t room)
{
    FILE *file = fopen(name, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, room, file);
    fclose(file);
    return size;
}

static void write_file(const unsigned char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void add_wanted(struct taken *wanted, const char *name, uint64_t count, uint64_t sum)
{
    unsigned type = 0;
    while (type < KVTEL_NIXL_EVENT_TYPES && strcmp(kvtel_nixl_event_name(type), name) != 0)
        type++;
    assert_in_range(type, 0, KVTEL_NIXL_EVENT_TYPES - 1);
    wanted->count[type] += count;
    wanted->sum[type] += sum;
    wanted->all += count;
}

/* What the .json beside a ring says is in it. */
static struct taken read_wanted(const json_t *json)
{
    struct taken wanted = { .all = 0 };
    const char *name;
    json_t *value;
    size_t i;
    json_object_foreach(json_object_get(json, "count_and_sum"), name, value)
        add_wanted(&wanted, name, (uint64_t)json_integer_value(json_array_get(value, 0)),
                   (uint64_t)json_integer_value(json_array_get(value, 1)));
    json_array_foreach(json_object_get(json, "events_category_type_value"), i, value)
        add_wanted(&wanted, kvtel_nixl_event_name((unsigned)json_integer_value(json_array_get(value, 1))), 1,
                   (uint64_t)json_integer_value(json_array_get(value, 2)));
    json_array_foreach(json_object_get(json, "events_ts_category_name_value"), i, value)
        add_wanted(&wanted, json_string_value(json_array_get(value, 2)), 1,
                   (uint64_t)json_integer_value(json_array_get(value, 3)));
    return wanted;
}

static void check_fixture(const char *json_path)
{
    static unsigned char before[1 << 16], after[1 << 16];
    char ring_path[512];
    snprintf(ring_path, sizeof(ring_path), "%.*s.ring", (int)(strlen(json_path) - strlen(".json")), json_path);
    json_t *json = json_load_file(json_path, 0, NULL);
    assert_non_null(json);
    struct taken wanted = read_wanted(json), taken = { .all = 0 };
    size_t size = read_file(ring_path, before, sizeof(before));
    write_file(before, size);

    struct kvtel_nixl_ring ring;
    open_ring(&ring);
    uint64_t found = kvtel_nixl_ring_look(&ring, 0);
    assert_int_equal(take_all(&ring, &taken), found);
    assert_memory_equal(&taken, &wanted, sizeof(taken));
    assert_int_equal(kvtel_nixl_ring_look(&ring, 1), 0);
    bool refused = json_integer_value(json_object_get(json_object_get(json, "header"), "version")) == 0;
    assert_int_equal(ring.state, refused ? KVTEL_NIXL_UNFINISHED : KVTEL_NIXL_READ);
    kvtel_nixl_ring_close(&ring);

    /* The read position is at the write position, nothing else has changed. */
    memcpy(before + 8, before, 8);
    assert_int_equal(read_file(path, after, sizeof(after)), size);
    assert_memory_equal(after, before, size);
    json_decref(json);
}

static void real_rings(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(KVTEL_TEST_DATA "/engines/nixl-rings/*.json", 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 21);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_fixture(found.gl_pathv[i]);
    globfree(&found);
}

static const struct {
    const char *name;
    struct kvtel_nixl_header header;
    size_t size;
    enum kvtel_nixl_state state;
} headers[] = {
    { "good", { 1, 0, 4, 4, 4, 3 }, 104, KVTEL_NIXL_READ },
    { "empty file", { 0 }, 0, KVTEL_NIXL_NOT_A_RING },
    { "short header", { 1, 0, 4, 4, 4, 3 }, 39, KVTEL_NIXL_NOT_A_RING },
    { "just made", { 0 }, 104, KVTEL_NIXL_UNFINISHED },
    { "version not yet stored", { 0, 0, 0, 4, 4, 3 }, 104, KVTEL_NIXL_UNFINISHED },
    { "later version", { 1, 0, 5, 5, 4, 3 }, 104, KVTEL_NIXL_UNSUPPORTED },
    { "two versions", { 1, 0, 4, 3, 4, 3 }, 104, KVTEL_NIXL_NOT_A_RING },
    { "negative version", { 1, 0, -4, -4, 4, 3 }, 104, KVTEL_NIXL_NOT_A_RING },
    { "random version", { 1, 0, 0x41414141, 0x41414141, 4, 3 }, 104, KVTEL_NIXL_NOT_A_RING },
    { "capacity 0", { 0, 0, 4, 4, 0, UINT64_MAX }, 40, KVTEL_NIXL_NOT_A_RING },
    { "capacity 1", { 0, 0, 4, 4, 1, 0 }, 56, KVTEL_NIXL_NOT_A_RING },
    { "capacity 3", { 1, 0, 4, 4, 3, 2 }, 88, KVTEL_NIXL_NOT_A_RING },
    { "capacity 2^63", { 1, 0, 4, 4, 1ull << 63, (1ull << 63) - 1 }, 40, KVTEL_NIXL_NOT_A_RING },
    { "capacity 2^60", { 1, 0, 4, 4, 1ull << 60, (1ull << 60) - 1 }, 40, KVTEL_NIXL_NOT_A_RING },
    { "other mask", { 1, 0, 4, 4, 4, 7 }, 104, KVTEL_NIXL_NOT_A_RING },
    { "a slot too few", { 1, 0, 4, 4, 4, 3 }, 103, KVTEL_NIXL_NOT_A_RING },
    { "a byte too much", { 1, 0, 4, 4, 4, 3 }, 105, KVTEL_NIXL_NOT_A_RING },
    { "events of 16 bytes in version 1", { 1, 0, 1, 1, 4, 3 }, 104, KVTEL_NIXL_NOT_A_RING },
    { "write position outside", { 4, 0, 4, 4, 4, 3 }, 104, KVTEL_NIXL_NOT_A_RING },
    { "read position outside", { 1, UINT64_MAX, 4, 4, 4, 3 }, 104, KVTEL_NIXL_NOT_A_RING },
};

static void headers_that_lie(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(headers); i++) {
        unsigned char bytes[256] = { 0 }, after[256];
        memcpy(bytes, &headers[i].header, sizeof(headers[i].header));
        write_file(bytes, headers[i].size);
        struct kvtel_nixl_ring ring;
        open_ring(&ring);
        uint64_t found = kvtel_nixl_ring_look(&ring, 0);
        if (ring.state != headers[i].state)
            fail_msg("%s: %s (%s)", headers[i].name, kvtel_nixl_state_text(ring.state), ring.reason);
        assert_true(*ring.reason != '\0' || ring.state == KVTEL_NIXL_READ);
        assert_int_equal(found, headers[i].state == KVTEL_NIXL_READ);
        assert_int_equal(take_all(&ring, NULL), found);
        kvtel_nixl_ring_close(&ring);
        if (found == 0) {
            assert_int_equal(read_file(path, after, sizeof(after)), headers[i].size);
            assert_memory_equal(after, bytes, headers[i].size);
        }
    }
}

static void not_opened(void **state)
{
    (void)state;
    struct kvtel_nixl_ring ring;
    kvtel_nixl_ring_init(&ring);
    assert_int_equal(kvtel_nixl_ring_look(&ring, 0), 0);
    assert_int_equal(take_all(&ring, NULL), 0);
    assert_false(kvtel_nixl_ring_open(&ring, AT_FDCWD, "/tmp/no/such/ring"));
    assert_int_equal(ring.state, KVTEL_NIXL_UNREADABLE);
    assert_false(kvtel_nixl_ring_open(&ring, AT_FDCWD, "/dev/null"));
    assert_int_equal(ring.state, KVTEL_NIXL_NOT_A_RING);
    char link[80];
    snprintf(link, sizeof(link), "%s.link", path);
    assert_int_equal(symlink(path, link), 0);
    assert_false(kvtel_nixl_ring_open(&ring, AT_FDCWD, link));
    assert_int_equal(ring.state, KVTEL_NIXL_UNREADABLE);
    unlink(link);
    assert_null(kvtel_nixl_event_name(KVTEL_NIXL_UNRECOGNISED));
    assert_null(kvtel_nixl_state_text(KVTEL_NIXL_STATES));
}

static void types_by_version(void **state)
{
    (void)state;
    for (int32_t version = 3; version <= 4; version++) {
        struct agent agent;
        start(&agent, 8);
        agent.header->version = agent.header->expected_version = version;
        agent_write(&agent, KVTEL_NIXL_EVENTS_DROPPED, 7);
        agent_write(&agent, 21, 1);
        agent_write(&agent, UINT32_MAX, 1);
        struct kvtel_nixl_ring ring;
        open_ring(&ring);
        struct taken taken = { .all = 0 };
        kvtel_nixl_ring_look(&ring, 0);
        assert_int_equal(take_all(&ring, &taken), 3);
        assert_int_equal(taken.sum[KVTEL_NIXL_EVENTS_DROPPED], version == 4 ? 7 : 0);
        assert_int_equal(taken.count[KVTEL_NIXL_UNRECOGNISED], version == 4 ? 2 : 3);
        kvtel_nixl_ring_close(&ring);
        agent_end(&agent);
    }
}

static void overflow(void **state)
{
    (void)state;
    struct agent agent;
    struct kvtel_nixl_ring ring;
    start(&agent, 64);
    open_ring(&ring);
    for (unsigned round = 1; round <= 100; round++) {
        unsigned kept = 0;
        for (unsigned i = 0; i < 20; i++)
            kept += agent_transfer(&agent, i % 2, 100, 4096);
        assert_int_equal(kept, 63); /* the 16th transfer is cut */
        struct taken taken = { .all = 0 };
        assert_int_equal(kvtel_nixl_ring_look(&ring, round), 63);
        take_all(&ring, &taken);
        assert_int_equal(taken.count[KVTEL_NIXL_XFER_TIME], 16);
        assert_int_equal(taken.count[KVTEL_NIXL_TX_REQUESTS] + taken.count[KVTEL_NIXL_RX_REQUESTS], 15);
        assert_int_equal(ring.fulls, round);
        assert_int_equal(read_ring(&ring, round), 0);
    }
    assert_int_equal(ring.events, 6300);
    assert_int_equal(ring.restarts, 0);
    assert_int_equal(ring.contentions, 0);
    kvtel_nixl_ring_close(&ring);
    agent_end(&agent);
}

/* Each start in the same file, of every size, after any number of events of which some were not read. */
static void restarts(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 64, 64, 16, 128, 128, 8, 64 };
    struct agent agent;
    struct kvtel_nixl_ring ring;
    start(&agent, 64);
    open_ring(&ring);
    read_ring(&ring, 0);
    for (unsigned i = 0; i < 7 * 50; i++) {
        uint64_t had = ring.restarts;
        bool anew = sizes[i % COUNT(sizes)] != agent.header->capacity;
        write_some(&agent, i % 5 + 1);
        assert_int_equal(read_ring(&ring, i), i % 5 + 1);
        write_some(&agent, i % 2);
        agent_end(&agent);
        start(&agent, sizes[i % COUNT(sizes)]);
        if (i % 3 > 0)
            read_ring(&ring, i);
        write_some(&agent, i % 6);
        assert_int_equal(read_ring(&ring, i), i % 6);
        assert_int_equal(ring.restarts, had + (anew || ring.restarts > had));
        assert_true(ring.restarts > had);
        assert_int_equal(ring.state, KVTEL_NIXL_READ);
    }
    assert_int_equal(ring.contentions, 0);
    kvtel_nixl_ring_close(&ring);
    agent_end(&agent);
}

static void *shrink_and_grow(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        struct agent agent;
        if (!agent_start(&agent, path, 4096))
            abort();
        for (unsigned i = 0; i < 3000; i++)
            agent_write(&agent, KVTEL_NIXL_XFER_TIME, 1);
        agent_end(&agent);
        if (truncate(path, 100) != 0 || !agent_start(&agent, path, 64))
            abort();
        for (unsigned i = 0; i < 60; i++)
            agent_write(&agent, KVTEL_NIXL_XFER_TIME, 1);
        agent_end(&agent);
    }
    return NULL;
}

static void shrinks_while_read(void **state)
{
    (void)state;
    atomic_bool stop = false;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, shrink_and_grow, &stop), 0);
    struct kvtel_nixl_ring ring;
    open_ring(&ring);
    for (unsigned i = 0; i < 20000 || ring.events == 0 || ring.restarts == 0; i++) { /* the thread may start late */
        uint64_t found = kvtel_nixl_ring_look(&ring, i);
        assert_true(take_all(&ring, NULL) <= found);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    kvtel_nixl_ring_close(&ring);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(real_rings), TEST(headers_that_lie), TEST(not_opened),         TEST(types_by_version),
        TEST(overflow),   TEST(restarts),         TEST(shrinks_while_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
