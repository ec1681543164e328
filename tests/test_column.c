/* SPDX-License-Identifier: Apache-2.0 */
/* Columns: integers and doubles, separate and mixed, single numbers that are added to, and summaries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vllm/stats/column.h"

static void add_integer(struct kvtel_column *column, int64_t value)
{
    bool mixed = column->count > 0 && column->type != KVTEL_COLUMN_INTEGERS;
    assert_int_equal(kvtel_column_reserve(column, 1, mixed), KVTEL_OK);
    kvtel_column_append_integer(column, value);
}

static void add_double(struct kvtel_column *column, double value)
{
    bool mixed = column->count > 0 && column->type != KVTEL_COLUMN_DOUBLES;
    assert_int_equal(kvtel_column_reserve(column, 1, mixed), KVTEL_OK);
    kvtel_column_append_double(column, value);
}

/* 'i' or 'd' for each value. */
static void check_kinds(const struct kvtel_column *column, const char *kinds)
{
    assert_int_equal(column->count, strlen(kinds));
    for (size_t i = 0; i < column->count; i++)
        assert_int_equal(kvtel_column_is_double(column, i), kinds[i] == 'd');
}

static void test_kinds(void **state)
{
    (void)state;
    struct kvtel_column column = { 0 };
    add_double(&column, 0.5);
    assert_int_equal(column.type, KVTEL_COLUMN_DOUBLES);
    add_double(&column, 2);
    check_kinds(&column, "dd");
    add_integer(&column, 3);
    assert_int_equal(column.type, KVTEL_COLUMN_MIXED);
    for (int i = 0; i < 1000; i++) {
        add_integer(&column, i);
        add_double(&column, i);
    }
    assert_int_equal(column.count, 2003);
    double copy[2003];
    kvtel_column_copy_doubles(&column, copy);
    for (size_t i = 0; i < 2003; i++) {
        assert_int_equal(kvtel_column_is_double(&column, i), i < 2 || (i >= 3 && i % 2 == 0));
        assert_true(copy[i] == kvtel_column_number(&column, i));
    }
    assert_true(copy[2002] == 999);
    kvtel_column_clear(&column);
    assert_int_equal(column.count, 0);
    assert_non_null(column.values); /* of a short list the memory stays */
    add_integer(&column, INT64_MIN);
    add_integer(&column, INT64_MAX);
    assert_int_equal(column.type, KVTEL_COLUMN_INTEGERS);
    add_double(&column, 0.25);
    check_kinds(&column, "iid");
    assert_true(column.values[1].integer == INT64_MAX);
    kvtel_column_free(&column);
}

static void append(struct kvtel_column *column, const struct kvtel_column *other)
{
    assert_int_equal(kvtel_column_reserve(column, other->count, kvtel_column_mixes(column, other)), KVTEL_OK);
    kvtel_column_append_column(column, other, 0, other->count);
}

static void test_joining(void **state)
{
    (void)state;
    struct kvtel_column integers = { 0 }, doubles = { 0 }, mixed = { 0 }, empty = { 0 };
    add_integer(&integers, 1);
    add_integer(&integers, 2);
    add_double(&doubles, 3);
    add_integer(&mixed, 4);
    add_double(&mixed, 5);
    const struct kvtel_column *const all[] = { &integers, &doubles, &mixed, &empty };
    static const char *const kinds[] = { "ii", "d", "id", "" };
    for (size_t a = 0; a < 4; a++) {
        for (size_t b = 0; b < 4; b++) {
            struct kvtel_column joined = { 0 };
            char wanted[8];
            append(&joined, all[a]);
            append(&joined, all[b]);
            strcpy(wanted, kinds[a]);
            check_kinds(&joined, strcat(wanted, kinds[b]));
            for (size_t i = 0; i < joined.count; i++)
                assert_true(kvtel_column_number(&joined, i) == (i < all[a]->count
                                                                    ? kvtel_column_number(all[a], i)
                                                                    : kvtel_column_number(all[b], i - all[a]->count)));
            kvtel_column_free(&joined);
        }
    }
    kvtel_column_free(&integers);
    kvtel_column_free(&doubles);
    kvtel_column_free(&mixed);
}

static void test_lone_numbers(void **state)
{
    (void)state;
    static const struct {
        union kvtel_number a, b;
        bool a_double, b_double;
        bool sum_double;
        union kvtel_number sum;
    } rows[] = {
        { { .integer = 1 }, { .integer = 2 }, false, false, false, { .integer = 3 } },
        { { .integer = 1 }, { .number = 2 }, false, true, true, { .number = 3 } },
        { { .number = 0.5 }, { .integer = 2 }, true, false, true, { .number = 2.5 } },
        { { .integer = INT64_MAX }, { .integer = 1 }, false, false, true, { .number = 0x1p63 } },
        { { .integer = INT64_MAX - 1 }, { .integer = 1 }, false, false, false, { .integer = INT64_MAX } },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct kvtel_column sum = { 0 }, one = { 0 };
        if (rows[i].a_double)
            add_double(&sum, rows[i].a.number);
        else
            add_integer(&sum, rows[i].a.integer);
        if (rows[i].b_double)
            add_double(&one, rows[i].b.number);
        else
            add_integer(&one, rows[i].b.integer);
        kvtel_column_add(&sum, &one);
        assert_int_equal(sum.count, 1);
        assert_int_equal(kvtel_column_is_double(&sum, 0), rows[i].sum_double);
        if (rows[i].sum_double)
            assert_true(sum.values[0].number == rows[i].sum.number);
        else
            assert_true(sum.values[0].integer == rows[i].sum.integer);
        kvtel_column_free(&sum);
        kvtel_column_free(&one);
    }
}

static void test_dropping(void **state)
{
    (void)state;
    struct kvtel_column column = { 0 };
    static const uint8_t drop[] = { 0, 1, 0, 9, 0 };
    for (int i = 0; i < 5; i++) {
        if (i % 2)
            add_integer(&column, i);
        else
            add_double(&column, i);
    }
    kvtel_column_drop_rows(&column, drop);
    check_kinds(&column, "ddd");
    assert_true(kvtel_column_number(&column, 2) == 4);
    add_integer(&column, 7);
    assert_int_equal(kvtel_column_keep_last(&column), 3);
    check_kinds(&column, "i");
    assert_true(column.values[0].integer == 7);
    assert_int_equal(kvtel_column_keep_last(&column), 0);
    kvtel_column_free(&column);
    struct kvtel_column empty = { 0 };
    assert_int_equal(kvtel_column_keep_last(&empty), 0);
}

static void test_impossible_sizes(void **state)
{
    (void)state;
    struct kvtel_column column = { 0 };
    add_integer(&column, 1);
    assert_int_equal(kvtel_column_reserve(&column, SIZE_MAX, false), KVTEL_E_NOMEM);
    assert_int_equal(kvtel_column_reserve(&column, SIZE_MAX / 8, true), KVTEL_E_NOMEM);
    check_kinds(&column, "i");
    kvtel_column_free(&column);
}

static void test_summary(void **state)
{
    (void)state;
    struct kvtel_column column = { 0 }, more = { 0 };
    add_integer(&column, 4);
    add_double(&column, 0.5);
    add_integer(&column, 0);
    assert_int_equal(kvtel_column_prepare_summary(&column, false), KVTEL_OK);
    check_kinds(&column, "idi"); /* not yet in force */
    kvtel_column_drop_prepared(&column);
    kvtel_column_adopt_summary(&column);
    check_kinds(&column, "idi");
    assert_int_equal(kvtel_column_total_count(&column), 3);
    assert_int_equal(kvtel_column_prepare_summary(&column, false), KVTEL_OK);
    kvtel_column_adopt_summary(&column);
    assert_int_equal(column.count, 0);
    assert_int_equal(kvtel_column_total_count(&column), 3);
    add_double(&more, 1024.5);
    add_integer(&more, 3);
    assert_int_equal(kvtel_column_reserve_summary(&column, &more), KVTEL_OK);
    kvtel_column_add_to_summary(&column, &more);
    assert_int_equal(kvtel_column_total_count(&column), 5);
    assert_true(column.summary->integers == 7);
    assert_int_equal(column.summary->doubles, 2);
    assert_true(kvtel_distribution_sum(column.summary) == 1032);
    kvtel_column_clear(&column);
    assert_int_equal(kvtel_column_total_count(&column), 0);
    assert_null(column.summary);
    kvtel_column_free(&column);
    kvtel_column_free(&more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),    cmocka_unit_test(test_joining),          cmocka_unit_test(test_lone_numbers),
        cmocka_unit_test(test_dropping), cmocka_unit_test(test_impossible_sizes), cmocka_unit_test(test_summary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
