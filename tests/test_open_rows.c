/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of open transfers: how many there may be, and when they go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/snapshot.h>
#include <stdio.h>
#include <string.h>

#include "serve/open_rows.h"

static const uint64_t NOW = 1000000000000;

static struct open_row *get(struct open_rows *rows, int engine, uint64_t owner)
{
    char text[16];
    const char *const values[OPEN_LABELS] = { "m", text, "NixlConnector", "transfer", "" };
    (void)snprintf(text, sizeof text, "%d", engine);
    struct open_row *row = open_rows_get(rows, values, owner);
    assert_non_null(row);
    return row;
}

/* The value of a family's series of an engine; -1: there is none. */
static double value_of(const struct open_rows *rows, const char *name, const char *engine)
{
    const char *const values[] = { strcmp(engine, "other") == 0 ? "other" : "m", engine,
                                   strcmp(engine, "other") == 0 ? "other" : "NixlConnector",
                                   strcmp(engine, "other") == 0 ? "other" : "transfer" };
    struct kvtel_reading reading;
    return kvtel_store_read(rows->store, name, values, 4, &reading) == KVTEL_OK ? reading.value : -1;
}

static void test_label_sets_past_the_bound_are_counted_together(void **state)
{
    (void)state;
    struct open_rows rows = { 0 };
    const uint64_t live[] = { 1 };
    open_rows_begin(&rows);
    for (int i = 0; i < OPEN_ROWS_MOST + 100; i++) {
        struct open_row *row = get(&rows, i, 1);
        row->open++;
        row->stalled_now++;
    }
    assert_int_equal(rows.count, OPEN_ROWS_MOST);
    assert_true(rows.full);
    open_rows_end(&rows, live, 1, NOW);
    assert_true(value_of(&rows, "kvtel_open_transfers", "7") == 1);
    assert_true(value_of(&rows, "kvtel_open_transfers", "other") == 101);
    assert_true(value_of(&rows, "kvtel_stalled_transfers", "other") == 101);
    for (int i = 0; i < OPEN_ROWS_MOST - 1; i++) { /* each is found */
        const char *values[OPEN_LABELS];
        char text[16];
        (void)snprintf(text, sizeof text, "%d", i);
        open_row_values(get(&rows, i, 1), values);
        assert_string_equal(values[1], text);
    }
    open_rows_close(&rows);
}

/* Two ranks share a row: it stays while one of them lives, and its count has begun when the row was made. */
static void test_a_shared_row_stays_while_one_store_lives(void **state)
{
    (void)state;
    struct open_rows rows = { 0 };
    const uint64_t both[] = { 1, 2 };
    open_rows_begin(&rows);
    get(&rows, 0, 1)->stalled_now = 1;
    get(&rows, 0, 2)->open = 1;
    get(&rows, 1, 2)->open = 1;
    open_rows_end(&rows, both, 2, NOW);
    const uint64_t started = get(&rows, 0, 1)->started;
    assert_true(started != 0);
    for (uint64_t i = 1; i < 4; i++) {
        open_rows_begin(&rows);
        open_rows_end(&rows, both, 1, NOW + i * OPEN_ROW_KEPT_NS);
    }
    assert_int_equal(rows.count, 1);
    assert_true(value_of(&rows, "kvtel_stalled_transfers", "0") == 1);
    const char *const values[] = { "m", "0", "NixlConnector", "transfer" };
    struct kvtel_reading reading;
    assert_int_equal(kvtel_store_read(rows.store, "kvtel_stalled_transfers", values, 4, &reading), KVTEL_OK);
    assert_true(reading.started_ns == started); /* the store was made anew, the count was not */
    open_rows_close(&rows);
}

/* A row stays while its store lives, and some minutes more; those that stay keep what they counted. */
static void test_rows_go_after_their_store(void **state)
{
    (void)state;
    struct open_rows rows = { 0 };
    const uint64_t both[] = { 1, 2 }, second[] = { 2 };
    open_rows_begin(&rows);
    for (int i = 0; i < 100; i++)
        get(&rows, i, 1 + (uint64_t)(i % 2))->stalled_now = 1;
    get(&rows, 0, 1)->open = 1;
    open_rows_end(&rows, both, 2, NOW);
    open_rows_begin(&rows);
    open_rows_end(&rows, both, 2, NOW + 10 * OPEN_ROW_KEPT_NS); /* idle, and alive */
    assert_int_equal(rows.count, 100);
    rows.renewed = false;
    const uint64_t end = NOW + 20 * OPEN_ROW_KEPT_NS;
    open_rows_begin(&rows);
    get(&rows, 2, 1)->open = 1; /* of a store that ends while it is looked at */
    open_rows_end(&rows, second, 1, end);
    open_rows_begin(&rows);
    open_rows_end(&rows, second, 1, end + OPEN_ROW_KEPT_NS - 1);
    assert_int_equal(rows.count, 100);
    assert_false(rows.renewed);
    assert_true(value_of(&rows, "kvtel_stalled_transfers", "4") == 1);
    open_rows_begin(&rows);
    open_rows_end(&rows, second, 1, end + OPEN_ROW_KEPT_NS);
    assert_int_equal(rows.count, 51); /* the one that was open later stays a little longer */
    assert_true(rows.renewed);
    assert_true(value_of(&rows, "kvtel_stalled_transfers", "4") == -1);
    assert_true(value_of(&rows, "kvtel_stalled_transfers", "2") == 1);
    assert_true(value_of(&rows, "kvtel_stalled_transfers", "5") == 1);
    for (int i = 1; i < 100; i += 2)
        assert_int_equal(get(&rows, i, 2)->stalled, 1);
    get(&rows, 4, 3)->open = 2; /* the engine came back */
    open_rows_end(&rows, (const uint64_t[]){ 2, 3 }, 2, end + OPEN_ROW_KEPT_NS + 1);
    assert_true(value_of(&rows, "kvtel_open_transfers", "4") == 2);
    open_rows_begin(&rows);
    open_rows_end(&rows, NULL, 0, end + 9 * OPEN_ROW_KEPT_NS);
    open_rows_begin(&rows);
    open_rows_end(&rows, NULL, 0, end + 10 * OPEN_ROW_KEPT_NS);
    assert_int_equal(rows.count, 0);
    assert_null(rows.store);
    open_rows_close(&rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label_sets_past_the_bound_are_counted_together),
        cmocka_unit_test(test_rows_go_after_their_store),
        cmocka_unit_test(test_a_shared_row_stays_while_one_store_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
