/* SPDX-License-Identifier: Apache-2.0 */
/* The history of the last hour: points, how they age, how much memory they take, and their file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "collect/series.h"
#include "history/history.h"
#include "history/layout.h"
#include "report/snapshot_summary.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */
#include "totals/file.h"
#include "value/value.h"

enum { ENGINES = 256, BOUNDS = 48, FILE_AT_MOST = 4096 };
static const double START = 1.8e9, STEP = 5, HOUR = 3600;

/* A summary of NIXL's connector in some engines, as an exporter makes it. */
struct told {
    struct kvtel_engine_summary entries[ENGINES];
    struct kvtel_flow_summary flows[ENGINES];
    struct kvtel_flow_bins flow_bins[ENGINES];
    struct kvtel_failure_count failures[ENGINES];
    char names[ENGINES][24];
    uint64_t bins[ENGINES][BOUNDS + 1];
    struct kvtel_snapshot_summary summary;
};
static double bounds[BOUNDS];
static struct kvtel_snapshot_family family = { .bound_count = BOUNDS };

static void tell(struct told *told, size_t engines)
{
    for (size_t i = 0; i < BOUNDS; i++)
        bounds[i] = 1e-4 * exp2((double)i / 8);
    family.bounds = bounds;
    *told = (struct told){ .summary = { .entries = told->entries, .count = engines, .all = engines } };
    for (size_t i = 0; i < engines; i++) {
        const struct kvtel_interval_bins bins = { .family = &family, .bins = told->bins[i], .bin_count = BOUNDS + 1 };
        (void)snprintf(told->names[i], sizeof told->names[i], "%zu", i);
        told->flows[i] = (struct kvtel_flow_summary){
            .name = "transfer", .has_transfers = true, .has_bytes = true, .has_seconds = true
        };
        told->flow_bins[i] = (struct kvtel_flow_bins){ .time = bins, .post = bins, .size = bins };
        told->failures[i] = (struct kvtel_failure_count){ .label = "transfer" };
        told->entries[i] = (struct kvtel_engine_summary){
            .connector = "NixlConnector",
            .model_name = "m",
            .engine = told->names[i],
            .bins = &told->flow_bins[i],
            .summary = { .flows = &told->flows[i], .flow_count = 1, .failures = { &told->failures[i], 1 } },
        };
    }
}

/* `count` more transfers in one bin. */
static void grow(struct told *told, size_t engine, uint32_t bin, uint64_t count)
{
    told->bins[engine][bin] += count;
    told->flow_bins[engine].time.count += count;
    told->flow_bins[engine].post.count += count;
    told->flow_bins[engine].size.count += count;
    told->flows[engine].transfers += count;
    told->flows[engine].bytes += (double)count * 1024;
}

static void fail_some(struct told *told, size_t engine, uint64_t count)
{
    told->failures[engine].count += count;
    told->entries[engine].summary.failed += count;
}

static void take(struct history *history, const struct told *told, double seconds)
{
    assert_int_equal(history_take(history, &told->summary, START + seconds, (uint64_t)(seconds * 1e9) + 1), KVTEL_OK);
}

/* The history as JSON. */
static struct kvtel_arena arena;
static struct kvtel_value shown;

static void show(struct history *history, double seconds)
{
    struct kvtel_buffer json = { 0 };
    struct kvtel_error error = { 0 };
    assert_int_equal(history_write_json(history, START + seconds, &json), KVTEL_OK);
    kvtel_arena_free(&arena);
    assert_int_equal(kvtel_value_decode(KVTEL_JSON, json.bytes, json.size, &arena, &shown, &error), KVTEL_OK);
    kvtel_buffer_free(&json);
}

static const struct kvtel_value *member(const struct kvtel_value *map, const char *key)
{
    const struct kvtel_value *found = kvtel_value_get(map, key);
    if (!found)
        fail_msg("there is no %s", key);
    return found;
}

static const struct kvtel_value *item(const struct kvtel_value *list, size_t at)
{
    assert_int_equal(list->kind, KVTEL_VALUE_ARRAY);
    assert_true(at < list->size);
    return &list->items[at];
}

static const struct kvtel_value *flow_of(size_t entry)
{
    return item(member(item(member(&shown, "connectors"), entry), "flows"), 0);
}

static double number(const struct kvtel_value *value)
{
    double found = 0;
    return kvtel_value_number(value, &found) ? found : (double)NAN;
}

static double sum(const struct kvtel_value *list)
{
    double all = 0;
    for (size_t i = 0; i < list->size; i++)
        all += isnan(number(item(list, i))) ? 0 : number(item(list, i));
    return all;
}

static void close_all(struct history *history)
{
    history_destroy(history);
    kvtel_arena_free(&arena);
}

static void what_grew_is_in_a_point(void **state)
{
    static struct told told;
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, 2);
    grow(&told, 0, 8, 1000); /* before the history began: not of it */
    fail_some(&told, 0, 7);
    take(history, &told, 0);
    assert_int_equal(history_point_count(history), 0);
    grow(&told, 0, 16, 90);
    grow(&told, 0, 40, 10);
    fail_some(&told, 0, 2);
    take(history, &told, 5);
    take(history, &told, 10);
    show(history, 10);
    assert_true(number(member(&shown, "format")) == 1 && number(member(&shown, "duration_seconds")) == HOUR);
    assert_true(number(item(member(&shown, "end"), 0)) == START + 5);
    assert_true(number(item(member(&shown, "seconds"), 1)) == 5);
    const struct kvtel_value *flow = flow_of(0), *time = member(flow, "time");
    assert_true(number(item(member(flow, "transfers"), 0)) == 100 && number(item(member(flow, "transfers"), 1)) == 0);
    assert_true(number(item(member(flow, "bytes"), 0)) == 100 * 1024);
    assert_true(fabs(number(item(member(time, "p50"), 0)) / bounds[16] - 1) < 0.05);
    assert_true(fabs(number(item(member(time, "p99"), 0)) / bounds[40] - 1) < 0.05);
    assert_int_equal(item(member(time, "p50"), 1)->kind, KVTEL_VALUE_NIL);
    assert_true(number(member(member(flow, "at_end"), "transfers")) == 1100);
    const struct kvtel_value *entry = item(member(&shown, "connectors"), 0);
    assert_true(sum(member(member(entry, "failures"), "transfer")) == 2);
    assert_true(number(member(member(entry, "failures_at_end"), "transfer")) == 9);
    const struct kvtel_value *band = item(member(flow, "bands"), 0);
    assert_true(number(member(member(band, "time"), "count")) == 100);
    assert_int_equal(member(member(band, "size"), "bins")->size, 2);
    assert_true(sum(member(flow_of(1), "transfers")) == 0);
    close_all(history);
}

/* A writer's store that went away, an engine that comes, and one that goes. */
static void what_cannot_be_known_is_null(void **state)
{
    static struct told told;
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, 2);
    told.summary.count = told.summary.all = 1;
    grow(&told, 0, 3, 50);
    take(history, &told, 0);
    told.summary.count = told.summary.all = 2;
    grow(&told, 1, 3, 20); /* it came since: all of it grew */
    take(history, &told, 5);
    told.flows[0].transfers = 10;
    take(history, &told, 10);
    told.summary.all = 300; /* more than are told: what comes may have been there */
    told.names[1][0] = '7';
    take(history, &told, 15);
    show(history, 15);
    const struct kvtel_value *first = member(flow_of(0), "transfers"), *second = member(flow_of(1), "transfers");
    assert_true(number(item(first, 0)) == 0 && number(item(first, 2)) == 0);
    assert_int_equal(item(first, 1)->kind, KVTEL_VALUE_NIL);
    assert_true(number(item(second, 0)) == 20);
    assert_int_equal(item(second, 2)->kind, KVTEL_VALUE_NIL);
    assert_int_equal(member(flow_of(1), "at_end")->kind, KVTEL_VALUE_NIL);
    assert_int_equal(item(member(flow_of(2), "transfers"), 2)->kind, KVTEL_VALUE_NIL);
    close_all(history);
}

static void points_are_merged_as_they_get_older(void **state)
{
    static struct told told;
    struct history *history = history_create(HOUR);
    double seconds = 0;
    (void)state;
    tell(&told, 1);
    take(history, &told, seconds);
    for (int i = 1; i <= 1440; i++) { /* two hours */
        grow(&told, 0, (uint32_t)i % BOUNDS, 10);
        fail_some(&told, 0, 1);
        take(history, &told, seconds = STEP * i);
    }
    show(history, seconds);
    const struct kvtel_value *spans = member(&shown, "seconds"), *flow = flow_of(0);
    assert_in_range(spans->size, 140, 160);
    assert_true(number(item(spans, 0)) == 60 && number(item(spans, spans->size - 1)) == 5);
    double covered = sum(spans);
    assert_true(covered > HOUR - 60 && covered <= HOUR + 60);
    assert_true(sum(member(flow, "transfers")) == covered * 2); /* nothing is lost, nothing counts twice */
    assert_true(sum(member(member(item(member(&shown, "connectors"), 0), "failures"), "transfer")) == covered / 5);
    double banded = 0;
    for (size_t i = 0; i < member(flow, "bands")->size; i++)
        banded += number(member(member(item(member(flow, "bands"), i), "time"), "count"));
    assert_true(banded == covered * 2);
    /* an exporter that slept: what is too old is gone */
    take(history, &told, seconds + 2 * HOUR);
    assert_int_equal(history_point_count(history), 1);
    /* and one whose clock was set back does not show the future */
    take(history, &told, 100);
    show(history, 100);
    assert_true(number(item(member(&shown, "end"), history_point_count(history) - 1)) == START + 100);
    close_all(history);
}

/* The most that 256 busy engines take of the heap, as its allocator counts it. */
static void memory_of_256_engines(void **state)
{
    static struct told told;
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct history *history = history_create(HOUR);
    size_t most = 0;
    (void)state;
    tell(&told, ENGINES);
    double seconds = 0;
    for (int i = 0; i < 260; i++) { /* an hour and more: what is old by now need not have been made of short points */
        seconds += i < 60 ? 60 : STEP;
        for (size_t engine = 0; engine < ENGINES; engine++)
            for (uint32_t bin = 0; bin < BOUNDS; bin++)
                grow(&told, engine, bin, 100 + (uint64_t)i % 7 * 1000);
        take(history, &told, seconds);
        const size_t now = mallinfo2().uordblks + mallinfo2().hblkhd - before;
        most = now > most ? now : most;
    }
    print_message("256 engines: %.1f MB at most, %zu points\n", (double)most / 1e6, history_point_count(history));
    assert_true(history_memory(history) <= HISTORY_MEMORY);
    assert_true(most < 16000000);
    show(history, seconds); /* older points are longer instead: the whole hour is there */
    assert_true(sum(member(&shown, "seconds")) > HOUR - 300);
    assert_true(number(item(member(&shown, "seconds"), 0)) <= 300);
    close_all(history);
}

/* -- The file -- */

static char dir[64], path[128];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/dev/shm/kvtel-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/" HISTORY_NAME_OF_FILE, dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static size_t read_file(char *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t size = read(fd, bytes, FILE_AT_MOST);
    assert_true(size > 0 && size < FILE_AT_MOST);
    close(fd);
    return (size_t)size;
}

static void write_file(const char *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

static struct history *some_history(void)
{
    static struct told told;
    struct history *history = history_create(HOUR);
    tell(&told, 2);
    take(history, &told, 0);
    for (int i = 1; i < 4; i++) {
        grow(&told, 0, (uint32_t)i, 10);
        grow(&told, 1, 20, 1);
        fail_some(&told, 1, 1);
        take(history, &told, STEP * i);
    }
    return history;
}

static void a_restart_keeps_the_points(void **state)
{
    static struct told told;
    struct history *history = some_history();
    (void)state;
    assert_int_equal(history_save(history, dir, NULL), KVTEL_OK);
    history_destroy(history);
    history = history_create(HOUR);
    assert_int_equal(history_load(history, dir, START + 60, NULL), KVTEL_OK);
    assert_int_equal(history_point_count(history), 3);
    tell(&told, 2);
    grow(&told, 0, 1, 1000); /* nothing is known of the time between the two */
    take(history, &told, 60);
    assert_int_equal(history_point_count(history), 3);
    grow(&told, 0, 1, 3);
    take(history, &told, 65);
    show(history, 65);
    assert_true(sum(member(flow_of(0), "transfers")) == 33);
    assert_true(sum(member(member(item(member(&shown, "connectors"), 1), "failures"), "transfer")) == 3);
    close_all(history);
    /* what is older than the history is long stays away, and so does what is yet to come */
    history = history_create(HOUR);
    assert_int_equal(history_load(history, dir, START + 2 * HOUR, NULL), KVTEL_OK);
    assert_int_equal(history_point_count(history), 0);
    close_all(history);
    history = history_create(HOUR);
    assert_int_equal(history_load(history, dir, START - 100, NULL), KVTEL_OK);
    assert_int_equal(history_point_count(history), 0);
    close_all(history);
}

static enum kvtel_status load(struct kvtel_error *error)
{
    struct history *history = history_create(HOUR);
    enum kvtel_status status = history_load(history, dir, START + 30, error);
    if (status != KVTEL_OK)
        assert_int_equal(history_point_count(history), 0);
    else
        show(history, 30);
    close_all(history);
    return status;
}

static void damage_refuses_the_file(void **state)
{
    char bytes[FILE_AT_MOST], damaged[FILE_AT_MOST];
    struct history *history = some_history();
    struct kvtel_error error;
    (void)state;
    assert_int_equal(load(NULL), KVTEL_OK); /* there is none */
    assert_int_equal(history_save(history, dir, NULL), KVTEL_OK);
    history_destroy(history);
    const size_t size = read_file(bytes);
    for (size_t i = 0; i < size; i++) {
        memcpy(damaged, bytes, size);
        damaged[i] ^= 0x10;
        write_file(damaged, size);
        assert_int_not_equal(load(&error), KVTEL_OK);
        assert_true(strlen(error.message) > 0);
        write_file(bytes, i);
        assert_int_not_equal(load(&error), KVTEL_OK);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(load(&error), KVTEL_E_FORMAT);
    assert_string_equal(error.message, "it is not a regular file");
}

/* Bytes that somebody chose, with a checksum that is right. */
static void hostile_content_is_refused_or_harmless(void **state)
{
    char bytes[FILE_AT_MOST], chosen[FILE_AT_MOST];
    struct history *history = some_history();
    size_t refused = 0;
    unsigned random = 1;
    (void)state;
    assert_int_equal(history_save(history, dir, NULL), KVTEL_OK);
    history_destroy(history);
    const size_t size = read_file(bytes), end = size - sizeof(uint32_t);
    for (int round = 0; round < 4000; round++) {
        memcpy(chosen, bytes, size);
        for (int change = 0; change <= round % 3; change++) {
            random = random * 1103515245 + 12345;
            const size_t at = sizeof(struct history_header) - 20 + random / 65536 % (end - 40 + 20);
            chosen[at < end ? at : end - 1] = (char)(random >> 8);
        }
        const uint32_t checksum = (uint32_t)crc32_z(0, (const unsigned char *)chosen, end);
        memcpy(chosen + end, &checksum, sizeof checksum);
        write_file(chosen, size);
        refused += load(NULL) != KVTEL_OK;
    }
    assert_true(refused > 1000);
}

/* -- Memory that is short -- */

static void without_memory(void **state)
{
    static struct told told;
    (void)state;
    for (size_t n = 1;; n++) {
        struct history *history = some_history();
        struct kvtel_buffer json = { 0 };
        tell(&told, 3);
        grow(&told, 2, 4, 5);
        fail_allocation(n);
        enum kvtel_status taken = history_take(history, &told.summary, START + 20, (uint64_t)20e9 + 1);
        enum kvtel_status written = history_write_json(history, START + 20, &json);
        enum kvtel_status saved = history_save(history, dir, NULL);
        const bool failed = allocation_did_fail();
        assert_true(failed ? taken != KVTEL_OK || written != KVTEL_OK || saved != KVTEL_OK
                           : taken == KVTEL_OK && written == KVTEL_OK && saved == KVTEL_OK);
        kvtel_buffer_free(&json);
        take(history, &told, 25); /* it goes on */
        take(history, &told, 30);
        show(history, 30);
        close_all(history);
        history = history_create(HOUR);
        fail_allocation(n);
        enum kvtel_status loaded = history ? history_load(history, dir, START + 30, NULL) : KVTEL_OK;
        assert_true(loaded == KVTEL_OK || (allocation_did_fail() && loaded == KVTEL_E_NOMEM));
        (void)allocation_did_fail();
        close_all(history);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_grew_is_in_a_point),
        cmocka_unit_test(what_cannot_be_known_is_null),
        cmocka_unit_test(points_are_merged_as_they_get_older),
        cmocka_unit_test(memory_of_256_engines),
        cmocka_unit_test_setup_teardown(a_restart_keeps_the_points, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(damage_refuses_the_file, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(hostile_content_is_refused_or_harmless, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(without_memory, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
