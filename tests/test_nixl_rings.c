/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of telemetry rings into a store: which rings are found, what is counted, what is logged. */
#include "collect/series.h"
#include "nixl/rings.h"

#include <kvtel/snapshot.h>
#include <kvtel/store.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */
#include "support/nixl_agent.h"

#define SECOND UINT64_C(1000000000)

struct fixture {
    char folder[64];
    char path[128];
    struct kvtel_store *store;
    struct kvtel_nixl_rings *rings;
    struct kvtel_snapshot *snapshot;
    uint64_t now_ns;
    char said[512];
};

static void keep_said(void *context, const char *name, enum kvtel_nixl_state state, const char *reason)
{
    struct fixture *f = context;
    size_t used = strlen(f->said);
    snprintf(f->said + used, sizeof(f->said) - used, "%s:%s%s ", name, kvtel_nixl_state_text(state),
             *reason ? "!" : "");
}

static void make_rings(struct fixture *f, bool by_agent, const struct kvtel_store_options *store_options)
{
    f->store = kvtel_store_create(store_options);
    assert_non_null(f->store);
    struct kvtel_nixl_rings_options options = {
        .folder = f->folder, .store = f->store, .agent_label = by_agent, .say = keep_said, .context = f
    };
    assert_int_equal(kvtel_nixl_rings_create(&options, &f->rings), KVTEL_OK);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->folder, "/tmp/kvtel_rings_XXXXXX");
    f->snapshot = kvtel_snapshot_create();
    f->now_ns = 1000 * SECOND;
    *state = f;
    return mkdtemp(f->folder) ? 0 : -1;
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
    int status = nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return status;
}

static const char *path_of(struct fixture *f, const char *name)
{
    snprintf(f->path, sizeof(f->path), "%s/%s", f->folder, name);
    return f->path;
}

static void copy_ring(struct fixture *f, const char *from, const char *name)
{
    static char bytes[1 << 17];
    char path[512];
    snprintf(path, sizeof(path), "%s/engines/%s", KVTEL_TEST_DATA, from);
    FILE *in = fopen(path, "rb"), *out = fopen(path_of(f, name), "wb");
    assert_non_null(in);
    assert_non_null(out);
    size_t size = fread(bytes, 1, sizeof(bytes), in);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    fclose(in);
    fclose(out);
}

/* Polls at the moments that the rings ask for, until `ns` have gone by; then takes a snapshot. */
static void run(struct fixture *f, uint64_t ns)
{
    uint64_t end_ns = f->now_ns + ns;
    for (;;) {
        uint64_t wait_ns = kvtel_nixl_rings_poll(f->rings, f->now_ns);
        assert_in_range(wait_ns, 1, 20 * SECOND); /* a scan that took long is not soon repeated */
        if (f->now_ns + wait_ns > end_ns)
            break;
        f->now_ns += wait_ns;
    }
    f->now_ns = end_ns;
    kvtel_snapshot_reset(f->snapshot);
    assert_int_equal(kvtel_snapshot_add(f->snapshot, f->store), KVTEL_OK);
}

/* The series of a family whose last label has this value; NULL: the one without labels. */
static const struct kvtel_snapshot_series *series_of(const struct fixture *f, const char *family, const char *value)
{
    const struct kvtel_snapshot_family *found = kvtel_snapshot_find(f->snapshot, family);
    assert_non_null(found);
    for (size_t i = 0; i < found->series_count; i++) {
        if (!value || strcmp(found->series[i].values[found->label_count - 1], value) == 0)
            return &found->series[i];
    }
    fail_msg("no series %s of %s", value ? value : "(none)", family);
    return NULL;
}

static double value_of(const struct fixture *f, const char *family, const char *value)
{
    return series_of(f, family, value)->value;
}

static double rings_in(const struct fixture *f, enum kvtel_nixl_state state)
{
    return value_of(f, "kvtel_nixl_rings", kvtel_nixl_state_text(state));
}

static uint64_t bucket_of(const struct fixture *f, const char *family, const char *value, double bound)
{
    const struct kvtel_snapshot_family *found = kvtel_snapshot_find(f->snapshot, family);
    const struct kvtel_snapshot_series *series = series_of(f, family, value);
    uint64_t count = 0;
    for (uint32_t i = 0; i < series->bin_count; i++) {
        uint32_t bin = series->first_bin + i;
        count += bin < found->bound_count && found->bounds[bin] <= bound ? series->bins[i] : 0;
    }
    return count;
}

/* Every bucket, count and sum that vLLM's own page has of `theirs`. Returns how many there were. */
static unsigned equals_vllm(const struct fixture *f, const char *theirs, const char *ours, const char *value)
{
    char line[512], rest[256];
    unsigned seen = 0;
    FILE *prom = fopen(KVTEL_TEST_DATA "/engines/nixl-pd/decode.prom", "r");
    assert_non_null(prom);
    while (fgets(line, sizeof(line), prom)) {
        size_t length = strlen(theirs);
        if (strncmp(line, theirs, length) != 0 || line[length] != '_')
            continue;
        snprintf(rest, sizeof(rest), "%s", line + length + 1);
        double wanted = strtod(strrchr(rest, ' '), NULL), bound;
        const char *le = strstr(rest, "le=\"");
        if (strncmp(rest, "sum", 3) == 0)
            assert_true(fabs(series_of(f, ours, value)->sum - wanted) <= 1e-9 * wanted);
        else if (strncmp(rest, "count", 5) == 0 || strncmp(le, "le=\"+Inf", 8) == 0)
            assert_int_equal(series_of(f, ours, value)->count, wanted);
        else if (sscanf(le, "le=\"%lf", &bound) == 1)
            assert_int_equal(bucket_of(f, ours, value, bound), wanted);
        seen++;
    }
    fclose(prom);
    return seen;
}

/* A decode server's ring against what the server itself exported of the same transfers. */
static void equals_the_server(void **state)
{
    struct fixture *f = *state;
    copy_ring(f, "nixl-pd/decode.ring", "decode");
    make_rings(f, false, NULL);
    run(f, SECOND);
    assert_int_equal(equals_vllm(f, "vllm:nixl_xfer_time_seconds", "nixl_xfer_time_seconds", NULL), 15);
    assert_int_equal(equals_vllm(f, "vllm:nixl_post_time_seconds", "nixl_post_time_seconds", NULL), 16);
    assert_int_equal(equals_vllm(f, "vllm:nixl_bytes_transferred", "nixl_xfer_size_bytes", "rx"), 15);
    assert_true(value_of(f, "nixl_bytes", "rx") == 38404096);
    assert_true(value_of(f, "nixl_requests", "rx") == 50);
    assert_true(value_of(f, "nixl_bytes", "tx") == 0);
    assert_true(value_of(f, "kvtel_nixl_events", NULL) == 201);
    assert_string_equal(f->said, "decode:read :read ");
}

static void all_kinds_of_events(void **state)
{
    struct fixture *f = *state;
    copy_ring(f, "nixl-rings/tcp-6-deregistered.ring", "a");
    copy_ring(f, "nixl-rings/burst-1regs.ring", "b");
    make_rings(f, false, NULL);
    run(f, SECOND);
    assert_true(value_of(f, "nixl_errors", "not_found") == 4);
    assert_true(value_of(f, "nixl_errors", "invalid_param") == 1);
    assert_true(value_of(f, "nixl_errors", "backend") == 0);
    assert_true(value_of(f, "nixl_memory_registered_bytes", NULL) == 50339840 + 4096);
    assert_true(value_of(f, "nixl_memory_deregistered_bytes", NULL) == 8192);
    assert_true(value_of(f, "nixl_memory_bytes", NULL) == 50339840 + 4096 - 8192);
    assert_true(value_of(f, "nixl_events_dropped", NULL) == 180);
    assert_true(fabs(series_of(f, "nixl_xfer_time_seconds", NULL)->sum - (626136 + 48462) / 1e6) < 1e-12);
    assert_int_equal(series_of(f, "nixl_xfer_size_bytes", "tx")->count, 13 + 8);
    assert_int_equal(kvtel_snapshot_find(f->snapshot, "nixl_errors")->series_count, 12);
}

static void what_is_in_the_folder(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    make_rings(f, false, NULL);
    assert_int_equal(rmdir(f->folder), 0);
    run(f, 3 * SECOND);
    assert_true(value_of(f, "kvtel_nixl_folder_readable", NULL) == 0);
    assert_string_equal(f->said, ":unreadable! ");

    assert_int_equal(mkdir(f->folder, 0700), 0);
    assert_int_equal(mkdir(path_of(f, "node"), 0700), 0);
    assert_int_equal(mkfifo(path_of(f, "fifo"), 0600), 0);
    assert_int_equal(symlink("ring", path_of(f, "link")), 0);
    copy_ring(f, "nixl-rings/version1-nixl-1.0.1.ring", "ring");
    copy_ring(f, "nixl-rings/refused-size-100.ring", "refused");
    copy_ring(f, "requirements-vllm-cpu.txt", "text");
    assert_true(agent_start(&agent, path_of(f, "node/agent"), 64)); /* an agent called node/agent */
    f->said[0] = '\0';
    run(f, 2 * SECOND);
    assert_true(value_of(f, "kvtel_nixl_folder_readable", NULL) == 1);
    assert_true(rings_in(f, KVTEL_NIXL_READ) == 2);
    assert_true(rings_in(f, KVTEL_NIXL_UNFINISHED) == 1);
    assert_true(rings_in(f, KVTEL_NIXL_NOT_A_RING) == 1);
    assert_non_null(strstr(f->said, "node/agent:read "));
    assert_non_null(strstr(f->said, "refused:unfinished! "));
    assert_null(strstr(f->said, "text"));
    assert_int_equal(kvtel_nixl_rings_count(f->rings), 3);
    assert_string_equal(kvtel_nixl_rings_at(f->rings, 0).name, "node/agent");
    assert_int_equal(kvtel_nixl_rings_at(f->rings, 2).ring->version, 1);

    /* An agent's file goes: what was in it counts, and another of the name is a new ring. */
    agent_write(&agent, KVTEL_NIXL_REGISTERED, 100);
    assert_int_equal(unlink(path_of(f, "node/agent")), 0);
    run(f, 0);
    run(f, 2 * SECOND);
    assert_true(value_of(f, "nixl_memory_registered_bytes", NULL) == 65536 + 100);
    assert_true(value_of(f, "nixl_memory_bytes", NULL) == 65536);
    assert_int_equal(kvtel_nixl_rings_count(f->rings), 2);
    agent_end(&agent);
    assert_true(agent_start(&agent, path_of(f, "node/agent"), 16));
    agent_transfer(&agent, false, 1000, 4096);
    run(f, 2 * SECOND);
    assert_true(value_of(f, "nixl_requests", "tx") == 2);
    agent_end(&agent);
}

/* What fell below zero in the agent goes into no total, and is counted as refused. */
static void numbers_that_cannot_be(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    struct kvtel_store_info info;
    assert_true(agent_start(&agent, path_of(f, "agent"), 64));
    make_rings(f, false, NULL);
    agent_transfer(&agent, false, 1000, 4096);
    agent_transfer(&agent, false, (uint64_t)-10, (uint64_t)-4096);
    agent_write(&agent, KVTEL_NIXL_REGISTERED, (uint64_t)-1);
    run(f, 2 * SECOND);
    assert_true(value_of(f, "nixl_bytes", "tx") == 4096);
    assert_int_equal(series_of(f, "nixl_xfer_size_bytes", "tx")->count, 1);
    assert_true(series_of(f, "nixl_xfer_size_bytes", "tx")->sum == 4096);
    assert_int_equal(series_of(f, "nixl_xfer_time_seconds", NULL)->count, 1);
    assert_true(value_of(f, "nixl_requests", "tx") == 2);
    assert_true(value_of(f, "nixl_memory_registered_bytes", NULL) == 0);
    assert_true(value_of(f, "nixl_memory_bytes", NULL) == 0);
    kvtel_store_describe(f->store, &info);
    assert_int_equal(info.values_refused, 4);
    agent_end(&agent);
}

static void later_versions_are_left_alone(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    make_rings(f, false, NULL);
    assert_true(agent_start(&agent, path_of(f, "agent"), 64));
    agent.header->version = agent.header->expected_version = 5;
    agent_write(&agent, KVTEL_NIXL_XFER_TIME, 1);
    run(f, SECOND);
    assert_true(rings_in(f, KVTEL_NIXL_UNSUPPORTED) == 1);
    assert_int_equal(agent.header->read_pos, 0);
    assert_int_equal(access(path_of(f, "agent"), F_OK), 0);
    agent.header->version = agent.header->expected_version = 4; /* the older NIXL again */
    run(f, SECOND);
    assert_true(rings_in(f, KVTEL_NIXL_READ) == 1);
    assert_int_equal(series_of(f, "nixl_xfer_time_seconds", NULL)->count, 1);
    agent_end(&agent);
}

static void restarts_and_replacements(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    make_rings(f, false, NULL);
    for (unsigned i = 0; i < 6; i++) {
        if (i % 2)
            assert_int_equal(unlink(path_of(f, "agent")), 0);
        assert_true(agent_start(&agent, path_of(f, "agent"), 64));
        run(f, i % 2 ? SECOND : SECOND / 2);
        agent_write(&agent, KVTEL_NIXL_REGISTERED, 1000);
        agent_transfer(&agent, true, 1000, 4096);
        run(f, SECOND);
        assert_true(value_of(f, "nixl_requests", "rx") == i + 1);
        assert_true(value_of(f, "nixl_memory_bytes", NULL) == 1000);
        assert_true(value_of(f, "kvtel_nixl_ring_restarts", NULL) == i);
        agent_end(&agent);
    }
}

/* A ring that was not in use for long is closed, and read once a second all the same. */
static void rings_cool_and_warm(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    make_rings(f, false, NULL);
    assert_true(agent_start(&agent, path_of(f, "agent"), 64));
    run(f, SECOND);
    assert_true(kvtel_nixl_rings_at(f->rings, 0).ring->fd >= 0);
    run(f, 301 * SECOND);
    assert_int_equal(kvtel_nixl_rings_at(f->rings, 0).ring->fd, -1);
    agent_transfer(&agent, true, 1000, 4096);
    run(f, SECOND);
    assert_true(value_of(f, "nixl_requests", "rx") == 1);
    assert_true(kvtel_nixl_rings_at(f->rings, 0).ring->fd >= 0);
    assert_in_range(kvtel_nixl_rings_poll(f->rings, f->now_ns), 1, SECOND / 4);
    assert_true(value_of(f, "kvtel_nixl_ring_restarts", NULL) == 0);
    agent_end(&agent);
}

/* Between two scans. */
static void new_files_are_soon_noticed(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    make_rings(f, false, NULL);
    run(f, 10 * SECOND);
    usleep(20000); /* the file system's clock goes in steps */
    assert_true(agent_start(&agent, path_of(f, "agent"), 64));
    agent_transfer(&agent, true, 1000, 4096);
    run(f, SECOND / 4);
    assert_true(value_of(f, "nixl_requests", "rx") == 1);
    agent_end(&agent);
}

static void more_rings_than_stay_open(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    char name[32];
    make_rings(f, false, NULL);
    for (unsigned round = 1; round <= 3; round++) {
        for (unsigned i = 0; i < 300; i++) {
            snprintf(name, sizeof(name), "agent-%u", i);
            assert_true(agent_start(&agent, path_of(f, name), 64));
            agent_transfer(&agent, true, 1000, 4096);
            agent_end(&agent);
        }
        run(f, 20 * SECOND);
        assert_true(value_of(f, "nixl_requests", "rx") == 300 * round);
        assert_true(rings_in(f, KVTEL_NIXL_READ) == 300);
    }
    unsigned open_rings = 0;
    for (size_t i = 0; i < kvtel_nixl_rings_count(f->rings); i++)
        open_rings += kvtel_nixl_rings_at(f->rings, i).ring->fd >= 0;
    assert_int_equal(open_rings, 256);
}

static void full_and_contended(void **state)
{
    struct fixture *f = *state;
    struct agent agent;
    make_rings(f, false, NULL);
    assert_true(agent_start(&agent, path_of(f, "agent"), 16));
    run(f, SECOND);
    while (agent_write(&agent, KVTEL_NIXL_ERR_BACKEND, 1))
        continue;
    run(f, SECOND);
    assert_true(value_of(f, "kvtel_nixl_ring_full", NULL) == 1);
    agent_write(&agent, 99, 1);
    agent_write(&agent, KVTEL_NIXL_ERR_BACKEND, (uint64_t)-1);
    agent.header->read_pos = agent.header->write_pos;
    run(f, 12 * SECOND);
    assert_true(value_of(f, "nixl_errors", "backend") == 16);
    assert_true(value_of(f, "kvtel_nixl_events_unrecognised", NULL) == 1);
    assert_true(value_of(f, "kvtel_nixl_ring_contended", NULL) == 1);
    assert_true(rings_in(f, KVTEL_NIXL_CONTENDED) == 1);
    assert_non_null(strstr(f->said, "agent:contended! "));
    agent_end(&agent);
}

static void series_of_agents(void **state)
{
    struct fixture *f = *state;
    copy_ring(f, "nixl-tp2/decode.e262f45f-86b7-4184-9f7b-4f8f81f4977f.ring", "rank0");
    copy_ring(f, "nixl-tp2/decode.f1453aae-5650-4a24-b25a-5e8cfb43408d.ring", "rank1");
    make_rings(f, true,
               KVTEL_STORE_OPTIONS(.max_series = 36)); /* nixl_errors has 12 an agent: room for "" and two more */
    run(f, SECOND);
    copy_ring(f, "nixl-rings/tcp-target.ring", "rank2");
    copy_ring(f, "nixl-rings/tcp-target.ring", "rank3");
    run(f, SECOND);
    assert_int_equal(series_of(f, "nixl_xfer_time_seconds", "rank0")->count, 30);
    assert_int_equal(series_of(f, "nixl_xfer_time_seconds", "rank1")->count, 30);
    assert_int_equal(series_of(f, "nixl_xfer_time_seconds", "")->count, 0);
    assert_true(value_of(f, "nixl_memory_bytes", "") == 2 * 50331648.0);
    assert_true(kvtel_store_series_dropped(f->store) > 0);
}

static void no_memory(void **state)
{
    struct fixture *f = *state;
    copy_ring(f, "nixl-tp2/decode.e262f45f-86b7-4184-9f7b-4f8f81f4977f.ring", "rank0");
    copy_ring(f, "nixl-tp2/decode.f1453aae-5650-4a24-b25a-5e8cfb43408d.ring", "rank1");
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct kvtel_store *store = kvtel_store_create(NULL);
        struct kvtel_nixl_rings *rings = NULL;
        struct kvtel_nixl_rings_options options = { .folder = f->folder, .store = store, .agent_label = true };
        fail_allocation(n);
        enum kvtel_status status = kvtel_nixl_rings_create(&options, &rings);
        for (uint64_t i = 0; status == KVTEL_OK && i < 3; i++)
            kvtel_nixl_rings_poll(rings, i * SECOND);
        failed = allocation_did_fail();
        assert_true(status == KVTEL_OK || (status == KVTEL_E_NOMEM && failed && !rings));
        kvtel_nixl_rings_destroy(rings);
        kvtel_store_close(store);
    }
    kvtel_nixl_rings_destroy(NULL);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(equals_the_server),
        TEST(all_kinds_of_events),
        TEST(what_is_in_the_folder),
        TEST(numbers_that_cannot_be),
        TEST(later_versions_are_left_alone),
        TEST(restarts_and_replacements),
        TEST(rings_cool_and_warm),
        TEST(new_files_are_soon_noticed),
        TEST(more_rings_than_stay_open),
        TEST(full_and_contended),
        TEST(series_of_agents),
        TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
