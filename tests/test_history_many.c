/* SPDX-License-Identifier: Apache-2.0 */
/* The history of more engines than it has entries for, and of many readers: nothing is lost, and no point is late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/history_told.h"

/* -- More engines than entries -- */

static struct told told;

/* Sums of a column over all flows of a list of entries, in one point; null counts as 0. */
static double moved(const char *list, const char *column, size_t point)
{
    double all = 0;
    const struct kvtel_value *entries = member(&shown, list);
    for (size_t i = 0; i < entries->size; i++) {
        const double value = number(item(member(item(member(&entries->items[i], "flows"), 0), column), point));
        all += isnan(value) ? 0 : value;
    }
    return all;
}

/* How many times are in all bands of a list of entries. */
static double binned(const char *list)
{
    double all = 0;
    const struct kvtel_value *entries = member(&shown, list);
    for (size_t i = 0; i < entries->size; i++) {
        const struct kvtel_value *bands = member(item(member(&entries->items[i], "flows"), 0), "bands");
        for (size_t k = 0; k < bands->size; k++)
            all += number(member(member(&bands->items[k], "time"), "count"));
    }
    return all;
}

/* Each engine moves some more; returns how many in all. */
static double grow_all(size_t from, size_t to)
{
    double all = 0;
    for (size_t i = from; i < to; i++) {
        grow(&told, i, (uint32_t)(i % BOUNDS), i + 1);
        all += (double)i + 1;
    }
    return all;
}

static void the_sum_over_all_engines_is_right(void **state)
{
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, TOLD);
    (void)grow_all(0, TOLD); /* before the history began */
    fail_some(&told, TOLD - 1, 5);
    take(history, &told, 0);
    const double grew = grow_all(0, TOLD);
    fail_some(&told, TOLD - 1, 3);
    fail_some(&told, TOLD - 2, 2);
    take(history, &told, 5);
    take(history, &told, 10);
    show(history, 10);
    assert_int_equal(member(&shown, "connectors")->size, HISTORY_OWN);
    assert_true(number(member(&shown, "left_out")) == TOLD - HISTORY_OWN);
    assert_int_equal(member(&shown, "rest")->size, 1);
    const struct kvtel_value *rest = item(member(&shown, "rest"), 0);
    assert_true(kvtel_value_is_text(member(rest, "connector"), "NixlConnector"));
    assert_null(kvtel_value_get(rest, "engine"));
    assert_true(moved("rest", "transfers", 0) > 0);
    assert_true(moved("connectors", "transfers", 0) + moved("rest", "transfers", 0) == grew);
    assert_true(moved("connectors", "bytes", 0) + moved("rest", "bytes", 0) == grew * 1024);
    assert_true(moved("connectors", "transfers", 1) + moved("rest", "transfers", 1) == 0);
    assert_true(binned("connectors") + binned("rest") == grew);
    assert_true(sum(member(member(rest, "failures"), "transfer")) == 5);
    assert_true(number(member(member(rest, "failures_at_end"), "transfer")) == 10);
    close_all(history);
}

static void engines_that_come_are_of_the_rest(void **state)
{
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, TOLD);
    told.summary.count = told.summary.all = HISTORY_OWN;
    take(history, &told, 0);
    show(history, 0);
    assert_true(number(member(&shown, "left_out")) == 0 && member(&shown, "rest")->size == 0);
    told.summary.count = told.summary.all = HISTORY_OWN + 20;
    double grew = grow_all(0, HISTORY_OWN + 20); /* what came since all grew, without an entry of its own too */
    take(history, &told, 5);
    told.summary.count = told.summary.all = TOLD;
    grew += grow_all(0, TOLD);
    take(history, &told, 10);
    show(history, 10);
    double all = 0;
    for (size_t point = 0; point < 2; point++)
        all += moved("connectors", "transfers", point) + moved("rest", "transfers", point);
    assert_true(all == grew);
    close_all(history);
}

/* An engine of the rest that gets an entry did not move in one point all that it ever moved. */
static void an_entry_for_an_engine_of_the_rest(void **state)
{
    enum { GONE = 300 };
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, TOLD);
    (void)grow_all(0, TOLD);
    take(history, &told, 0);
    take(history, &told, 5);
    told.summary = (struct kvtel_snapshot_summary){ .entries = told.entries + GONE, .count = GONE, .all = GONE };
    double seconds = 2 * HOUR; /* the entries of those that went are free now */
    take(history, &told, seconds);
    take(history, &told, seconds += STEP);
    const double grew = grow_all(GONE, TOLD);
    take(history, &told, seconds += STEP);
    show(history, seconds);
    assert_true(number(member(&shown, "left_out")) == 0);
    double all = 0;
    for (size_t point = 0; point < member(&shown, "end")->size; point++)
        all += moved("connectors", "transfers", point) + moved("rest", "transfers", point);
    assert_true(all == grew);
    close_all(history);
}

/* Nor did the rest that the engine leaves: of the point in which engines move, nothing is known of either. */
static void a_rest_that_engines_leave(void **state)
{
    enum { GONE = 10 };
    const double seconds = 2 * HOUR;
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, TOLD);
    (void)grow_all(0, TOLD);
    fail_some(&told, HISTORY_OWN, 2);
    fail_some(&told, TOLD - 1, 4);
    take(history, &told, 0);
    take(history, &told, STEP);
    told.summary.entries += GONE; /* as many get their entries now */
    told.summary.count = told.summary.all = TOLD - GONE;
    (void)grow_all(GONE, TOLD); /* those that stay moved more than those that leave ever did */
    fail_some(&told, TOLD - 1, 5);
    take(history, &told, seconds);
    const double grew = grow_all(GONE, TOLD);
    fail_some(&told, TOLD - 1, 1);
    take(history, &told, seconds + STEP);
    show(history, seconds + STEP);
    assert_true(number(member(&shown, "left_out")) == TOLD - GONE - HISTORY_OWN);
    const struct kvtel_value *rest = item(member(&shown, "rest"), 0);
    assert_true(isnan(number(item(member(item(member(rest, "flows"), 0), "transfers"), 0))));
    assert_true(moved("connectors", "transfers", 1) + moved("rest", "transfers", 1) == grew);
    assert_true(sum(member(member(rest, "failures"), "transfer")) == 1);
    close_all(history);
}

/* What an engine that was seen has for the first time, it did since, however many engines have no entry. */
static void a_first_failure_and_a_first_flow(void **state)
{
    static const size_t engines[] = { 0, TOLD - 1 }; /* one with an entry of its own, and one of the rest */
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, TOLD);
    for (size_t i = 0; i < TOLD; i++)
        told.entries[i].summary.failures.count = told.entries[i].summary.flow_count = 0;
    take(history, &told, 0);
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        told.entries[engines[i]].summary.failures.count = told.entries[engines[i]].summary.flow_count = 1;
        grow(&told, engines[i], 3, 7);
        fail_some(&told, engines[i], 5);
    }
    take(history, &told, STEP);
    show(history, STEP);
    const struct kvtel_value *own = item(member(&shown, "connectors"), 0), *rest = item(member(&shown, "rest"), 0);
    assert_true(sum(member(member(own, "failures"), "transfer")) == 5);
    assert_true(sum(member(member(rest, "failures"), "transfer")) == 5);
    assert_true(sum(member(flow_of(0), "transfers")) == 7);
    assert_true(sum(member(item(member(rest, "flows"), 0), "transfers")) == 7);
    close_all(history);
}

static void the_rest_outlives_the_exporter(void **state)
{
    char dir[] = "/tmp/kvtel-history-XXXXXX", path[64];
    struct history *history = history_create(HOUR);
    (void)state;
    assert_non_null(mkdtemp(dir));
    tell(&told, TOLD);
    take(history, &told, 0);
    const double grew = grow_all(0, TOLD);
    take(history, &told, 5);
    assert_int_equal(history_save(history, dir, NULL), KVTEL_OK);
    history_destroy(history);
    history = history_create(HOUR);
    assert_int_equal(history_load(history, dir, START + 10, NULL), KVTEL_OK);
    (void)grow_all(0, TOLD); /* nobody saw it */
    take(history, &told, 10);
    const double more = grow_all(0, TOLD);
    take(history, &told, 15);
    show(history, 15);
    assert_int_equal(member(&shown, "rest")->size, 1);
    assert_true(moved("connectors", "transfers", 0) + moved("rest", "transfers", 0) == grew);
    assert_true(moved("connectors", "transfers", 1) + moved("rest", "transfers", 1) == more);
    (void)snprintf(path, sizeof path, "%s/" HISTORY_NAME_OF_FILE, dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    close_all(history);
}

/* Connectors, flows and classes that are more than the history keeps: their engines count as left out. */
static void more_than_a_rest_keeps(void **state)
{
    enum { CONNECTORS = HISTORY_RESTS + 3 };
    static char names[CONNECTORS][24];
    struct history *history = history_create(HOUR);
    (void)state;
    tell(&told, HISTORY_OWN + CONNECTORS);
    for (size_t i = 0; i < CONNECTORS; i++) {
        (void)snprintf(names[i], sizeof names[i], "connector %zu", i);
        told.entries[HISTORY_OWN + i].connector = names[i];
    }
    take(history, &told, 0);
    (void)grow_all(0, HISTORY_OWN + CONNECTORS);
    take(history, &told, 5);
    show(history, 5);
    assert_int_equal(member(&shown, "rest")->size, HISTORY_RESTS);
    assert_true(number(member(&shown, "left_out")) == CONNECTORS);
    close_all(history);
}

/* Entries and a rest that all work take no more memory; points are longer instead. */
static void memory_of_all_entries(void **state)
{
    enum { ROUNDS = 80, EACH = 30 };
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    struct history *history = history_create(HOUR);
    size_t most = 0;
    (void)state;
    tell(&told, TOLD);
    for (int i = 0; i < ROUNDS; i++) {
        for (size_t engine = 0; engine < TOLD; engine++)
            for (uint32_t bin = 0; bin < BOUNDS; bin++)
                grow(&told, engine, bin, 100 + (uint64_t)i % 7 * 1000);
        take(history, &told, EACH * i);
        const size_t now = mallinfo2().uordblks + mallinfo2().hblkhd - before;
        most = now > most ? now : most;
    }
    print_message("%d engines: %.1f MB at most, %zu points\n", TOLD, (double)most / 1e6, history_point_count(history));
    assert_true(history_point_count(history) < ROUNDS - 1); /* the bound was reached */
    assert_true(history_memory(history) <= HISTORY_MEMORY);
    assert_true(most < 16000000);
    show(history, EACH * (ROUNDS - 1));
    assert_true(sum(member(&shown, "seconds")) == EACH * (ROUNDS - 1));
    close_all(history);
}

/* -- Readers -- */

enum { READERS = 4, POINTS = 40 };

struct reading {
    struct history *history;
    atomic_bool end;
    atomic_uint answers;
};

static void *read_on(void *context)
{
    struct reading *reading = context;
    while (!atomic_load(&reading->end)) {
        struct kvtel_buffer json = { 0 };
        if (history_write_json(reading->history, START, &json) == KVTEL_OK)
            atomic_fetch_add(&reading->answers, 1);
        kvtel_buffer_free(&json);
    }
    return NULL;
}

/* Each point is made, and the file is written, while answers are being written all the time. */
static void readers_do_not_keep_points_from_being_made(void **state)
{
    pthread_t readers[READERS];
    struct reading reading = { .history = history_create(HOUR) };
    char dir[] = "/tmp/kvtel-history-XXXXXX", path[64];
    (void)state;
    assert_non_null(mkdtemp(dir));
    tell(&told, ENGINES);
    take(reading.history, &told, 0);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &reading), 0);
    for (unsigned i = 1; i <= POINTS; i++) {
        (void)grow_all(0, ENGINES);
        take(reading.history, &told, STEP * i); /* it fails where the history is in use */
        if (i % 10 == 0)
            assert_int_equal(history_save(reading.history, dir, NULL), KVTEL_OK);
    }
    while (atomic_load(&reading.answers) < READERS)
        usleep(1000);
    atomic_store(&reading.end, true);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    show(reading.history, STEP * POINTS);
    assert_true(sum(member(&shown, "seconds")) == STEP * POINTS);
    (void)snprintf(path, sizeof path, "%s/" HISTORY_NAME_OF_FILE, dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    close_all(reading.history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_over_all_engines_is_right),
        cmocka_unit_test(engines_that_come_are_of_the_rest),
        cmocka_unit_test(an_entry_for_an_engine_of_the_rest),
        cmocka_unit_test(a_rest_that_engines_leave),
        cmocka_unit_test(a_first_failure_and_a_first_flow),
        cmocka_unit_test(the_rest_outlives_the_exporter),
        cmocka_unit_test(more_than_a_rest_keeps),
        cmocka_unit_test(memory_of_all_entries),
        cmocka_unit_test(readers_do_not_keep_points_from_being_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
