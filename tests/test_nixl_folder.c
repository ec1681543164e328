/* SPDX-License-Identifier: Apache-2.0 */
/* The telemetry folder and other things in it: other programs' files, links, another folder of the same name, and
 * too few descriptors. */
#include "collect/series.h"
#include "nixl/rings.h"

#include <kvtel/snapshot.h>
#include <kvtel/store.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "support/nixl_agent.h"

#define SECOND UINT64_C(1000000000)

struct fixture {
    char top[64];
    char folder[80];
    char path[128];
    struct kvtel_store *store;
    struct kvtel_nixl_rings *rings;
    struct kvtel_snapshot *snapshot;
    uint64_t now_ns;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    strcpy(f->top, "/tmp/kvtel_folder_XXXXXX");
    if (!mkdtemp(f->top))
        return -1;
    snprintf(f->folder, sizeof(f->folder), "%s/rings", f->top);
    f->store = kvtel_store_create(NULL);
    f->snapshot = kvtel_snapshot_create();
    f->now_ns = 1000 * SECOND;
    const struct kvtel_nixl_rings_options options = { .folder = f->folder, .store = f->store };
    return mkdir(f->folder, 0700) == 0 && kvtel_nixl_rings_create(&options, &f->rings) == KVTEL_OK ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *file, int type, struct FTW *place)
{
    (void)file, (void)type, (void)place;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    kvtel_nixl_rings_destroy(f->rings);
    kvtel_store_close(f->store);
    kvtel_snapshot_destroy(f->snapshot);
    int status = nftw(f->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return status;
}

static const char *path_of(struct fixture *f, const char *name)
{
    snprintf(f->path, sizeof(f->path), "%s/%s", f->folder, name);
    return f->path;
}

static void run(struct fixture *f, unsigned seconds)
{
    for (unsigned i = 0; i < 10 * seconds; i++) {
        (void)kvtel_nixl_rings_poll(f->rings, f->now_ns);
        f->now_ns += SECOND / 10;
    }
    kvtel_snapshot_reset(f->snapshot);
    assert_int_equal(kvtel_snapshot_add(f->snapshot, f->store), KVTEL_OK);
}

static double requests(const struct fixture *f)
{
    const struct kvtel_snapshot_family *found = kvtel_snapshot_find(f->snapshot, "nixl_requests");
    assert_non_null(found);
    return found->series[0].value + found->series[1].value;
}

/* What a watcher of the folder saw of writers since the last time. */
static unsigned writes_seen(int watch)
{
    _Alignas(struct inotify_event) char events[8192];
    unsigned count = 0;
    for (ssize_t size; (size = read(watch, events, sizeof(events))) > 0;) {
        const struct inotify_event *event;
        for (ssize_t at = 0; at < size; at += (ssize_t)(sizeof(*event) + event->len)) {
            event = (const void *)(events + at);
            count += (event->mask & IN_CLOSE_WRITE) != 0;
        }
    }
    return count;
}

static void other_files_are_not_opened_for_writing(void **state)
{
    struct fixture *f = *state;
    static const char zeros[65536];
    const struct {
        const char *name, *bytes;
        size_t size;
    } files[] = { { "program", "#!/bin/sh\n", 10 }, { "empty", "", 0 }, { "zeros", zeros, sizeof(zeros) } };
    for (size_t i = 0; i < 3; i++) {
        FILE *file = fopen(path_of(f, files[i].name), "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(files[i].bytes, 1, files[i].size, file), files[i].size);
        fclose(file);
    }
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_true(inotify_add_watch(watch, f->folder, IN_CLOSE_WRITE) >= 0);
    run(f, 5);
    assert_int_equal(writes_seen(watch), 0);

    struct agent agent;
    assert_true(agent_start(&agent, path_of(f, "agent"), 64));
    agent_transfer(&agent, true, 1000, 4096);
    run(f, 2);
    assert_true(requests(f) == 1);
    assert_int_equal(kvtel_nixl_rings_at(f->rings, 0).ring->state, KVTEL_NIXL_READ);
    agent_end(&agent);
    close(watch);
}

/* The agent had made its file, but not yet written the version, when kvtel came. */
static void an_unfinished_ring_is_consumed_once_it_is_whole(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    assert_true(agent_start(&agent, path_of(f, "agent"), 64));
    agent.header->version = 0;
    run(f, 2);
    assert_int_equal(kvtel_nixl_rings_at(f->rings, 0).ring->state, KVTEL_NIXL_UNFINISHED);
    agent.header->version = 4;
    agent_transfer(&agent, true, 1000, 4096);
    run(f, 1);
    assert_int_equal(kvtel_nixl_rings_at(f->rings, 0).ring->state, KVTEL_NIXL_READ);
    assert_int_equal(agent.header->read_pos, agent.header->write_pos);
    assert_true(requests(f) == 1);
    agent_end(&agent);
}

/* The agent wrote the version between the opening of its file and the first look at it. */
static void a_ring_that_was_opened_too_early_is_consumed(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    assert_true(agent_start(&agent, path_of(f, "agent"), 64));
    run(f, 2);
    struct kvtel_nixl_ring *ring = (struct kvtel_nixl_ring *)(uintptr_t)kvtel_nixl_rings_at(f->rings, 0).ring;
    agent.header->version = 0;
    assert_true(kvtel_nixl_ring_open(ring, AT_FDCWD, path_of(f, "agent")));
    agent.header->version = 4;
    (void)kvtel_nixl_ring_look(ring, f->now_ns);
    assert_int_equal(ring->state, KVTEL_NIXL_READ_ONLY);
    agent_transfer(&agent, true, 1000, 4096);
    run(f, 2);
    assert_int_equal(ring->state, KVTEL_NIXL_READ);
    assert_int_equal(agent.header->read_pos, agent.header->write_pos);
    assert_true(requests(f) == 1);
    agent_end(&agent);
}

static void another_folder_of_the_name_is_looked_at(void **state)
{
    struct fixture *f = *state;
    struct agent old, new;
    char moved[96];
    assert_true(agent_start(&old, path_of(f, "agent"), 64));
    agent_transfer(&old, true, 1000, 4096);
    run(f, 2);
    snprintf(moved, sizeof(moved), "%s/moved", f->top);
    assert_int_equal(rename(f->folder, moved), 0);
    assert_int_equal(mkdir(f->folder, 0700), 0);
    assert_true(agent_start(&new, path_of(f, "agent"), 64));
    agent_transfer(&new, true, 1000, 4096);
    run(f, 2);
    assert_true(requests(f) == 2);
    agent_transfer(&new, true, 1000, 4096);
    run(f, 2);
    assert_true(requests(f) == 3);
    agent_end(&old);
    agent_end(&new);
}

static void a_second_name_of_a_ring_counts_nothing(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    char second[96];
    assert_true(agent_start(&agent, path_of(f, "agent"), 64));
    snprintf(second, sizeof(second), "%s/second", f->folder);
    assert_int_equal(link(path_of(f, "agent"), second), 0);
    agent_transfer(&agent, true, 1000, 4096);
    run(f, 2);
    assert_true(requests(f) == 1);
    assert_int_equal(kvtel_nixl_rings_count(f->rings), 1);
    agent_end(&agent);
}

/* Rings in a folder that cannot be opened for the moment are there still: what is registered stays, nothing counts
 * again. */
static void too_few_descriptors_are_no_change_of_the_folder(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    assert_int_equal(mkdir(path_of(f, "node"), 0700), 0);
    assert_true(agent_start(&agent, path_of(f, "node/agent"), 64));
    agent_transfer(&agent, true, 1000, 4096);
    run(f, 2);
    assert_int_equal(kvtel_nixl_rings_count(f->rings), 1);
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(agent.fd); /* the lowest free number */
    close(next);
    for (int room = 0; room < 3; room++) { /* the folder, the one inside it, its file */
        few = (struct rlimit){ (rlim_t)(next + room), before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        (void)kvtel_nixl_rings_poll(f->rings, f->now_ns += 2 * SECOND);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(kvtel_nixl_rings_count(f->rings), 1);
    }
    agent_transfer(&agent, true, 1000, 4096);
    run(f, 2);
    assert_true(requests(f) == 2);
    assert_int_equal(kvtel_nixl_rings_at(f->rings, 0).ring->state, KVTEL_NIXL_READ);
    agent_end(&agent);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(other_files_are_not_opened_for_writing),       TEST(an_unfinished_ring_is_consumed_once_it_is_whole),
        TEST(a_ring_that_was_opened_too_early_is_consumed), TEST(another_folder_of_the_name_is_looked_at),
        TEST(a_second_name_of_a_ring_counts_nothing),       TEST(too_few_descriptors_are_no_change_of_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
