/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries that kvtel top reads in parts, while engines come, go, and change their places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "support/failing.h"
#include "support/top_history.h"
#include "top/history.h"
#include "top/parts.h"
#include "value/value.h"

#include <math.h>
#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static char json[4096];

/* A part of a summary: of the engines that are in `engines`, a letter each, which all have moved so much. */
static size_t part(double time, unsigned total, const char *engines, unsigned transfers)
{
    int size =
        snprintf(json, sizeof json,
                 "{\"version\":\"%s\",\"time\":%f,\"uptime_seconds\":%f,\"connectors_total\":%u,\"connectors\":[",
                 kvtel_version(), time, time, total);
    for (size_t i = 0; engines[i]; i++)
        size += snprintf(json + size, sizeof json - (size_t)size,
                         "%s{\"connector\":\"C\",\"model_name\":\"m\",\"engine\":\"%c\",\"failed\":0,\"failures\":{},"
                         "\"flows\":[{\"name\":\"f\",\"transfers\":%u,\"bytes\":%u}]}",
                         i > 0 ? "," : "", engines[i], transfers, transfers);
    size += snprintf(json + size, sizeof json - (size_t)size, "]}");
    assert_true(size > 0 && (size_t)size < sizeof json);
    return (size_t)size;
}

/* A reading: two parts. */
struct reading {
    unsigned totals[2];
    const char *engines[2];
};

static void read_both(struct top_history *history, double time, const struct reading *reading, unsigned transfers)
{
    struct kvtel_error error = { 0 };
    size_t size = part(time, reading->totals[0], reading->engines[0], transfers);
    assert_int_equal(top_history_begin(history, json, size, &error), KVTEL_OK);
    assert_int_equal(top_history_missing(history), strlen(reading->engines[0]));
    size = part(time, reading->totals[1], reading->engines[1], transfers);
    assert_int_equal(top_history_more(history, json, size, &error), KVTEL_OK);
    assert_int_equal(top_history_missing(history), 0);
    assert_int_equal(top_history_end(history, &error), KVTEL_OK);
}

static const struct top_row *row_of(const struct top_history *history, const char *engine)
{
    for (size_t i = 0; i < history->row_count; i++)
        if (strcmp(history->rows[i].entry->engine, engine) == 0)
            return &history->rows[i];
    return NULL;
}

/* An exporter that always has more is not asked forever. */
static void test_parts_without_an_end(void **state)
{
    struct top_history *history = history_create();
    struct kvtel_error error = { 0 };
    size_t answers = 1;
    (void)state;
    assert_int_equal(top_history_begin(history, json, part(100, 4000000000U, "a", 1), &error), KVTEL_OK);
    for (; answers < 1000 && top_history_missing(history) > 0; answers++)
        assert_int_equal(top_history_more(history, json, part(100, 4000000000U, "a", 1), &error), KVTEL_OK);
    assert_int_equal(answers, TOP_PARTS);
    assert_int_equal(top_history_end(history, &error), KVTEL_OK);
    assert_int_equal(history->row_count, 1);
    assert_int_equal(top_history_begin(history, json, part(101, 2, "a", 1), &error), KVTEL_OK);
    assert_int_equal(top_history_missing(history), 1); /* the next reading begins anew */
    history_destroy(history);
}

/* Engine c is in neither part of the first reading. All that it ever moved did not move since. */
static void test_an_engine_between_two_parts(void **state)
{
    static const struct reading torn[] = {
        { { 4, 4 }, { "ab", "bd" } },  /* c came before the others: c a b d */
        { { 4, 3 }, { "ab", "d" } },   /* a went: b c d */
        { { 4, 5 }, { "ab", "abd" } }, /* e came before the others: e c a b d */
    };
    static const struct reading all = { { 4, 4 }, { "ab", "cd" } };
    static const char past[] = "{\"format\":1,\"time\":100,\"bands\":[60],\"end\":[99],\"seconds\":[5],"
                               "\"connectors\":[]}";
    (void)state;
    for (size_t i = 0; i < COUNT(torn); i++) {
        for (int has_past = 0; has_past < 2; has_past++) {
            struct top_history *history = history_create();
            read_both(history, 100, &torn[i], 1000);
            if (has_past)
                top_history_add_past(history, past, sizeof past - 1);
            assert_null(row_of(history, "c"));
            read_both(history, 110, &all, 1100);
            assert_true(fabs(row_of(history, "b")->transfers_rate - 10) < 1e-9 && row_of(history, "b")->has_window);
            assert_true(isnan(row_of(history, "c")->transfers_rate) && !row_of(history, "c")->has_window);
            read_both(history, 120, &all, 1200);
            assert_true(fabs(row_of(history, "c")->transfers_rate - 10) < 1e-9);
            history_destroy(history);
        }
    }
}

/* An engine that no part had, while places stayed, did all of it since. */
static void test_an_engine_that_came(void **state)
{
    static const struct reading before = { { 3, 3 }, { "ab", "d" } }, all = { { 4, 4 }, { "ab", "cd" } };
    struct top_history *history = history_create();
    (void)state;
    read_both(history, 100, &before, 1000);
    read_both(history, 110, &all, 1100);
    assert_true(fabs(row_of(history, "c")->transfers_rate - 110) < 1e-9 && row_of(history, "c")->has_window);
    history_destroy(history);
}

/* -- Joined -- */

/* Joins three parts: of the engines a and b, of b, d and of what is no entry. */
static enum kvtel_status join(struct kvtel_buffer *whole)
{
    struct kvtel_buffer before = { 0 };
    const size_t size = part(100, 3, "ab", 1);
    assert_int_equal(kvtel_buffer_append(&before, json, size + 1), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(&before, json, part(100, 4, "bd", 2) + 1), KVTEL_OK);
    assert_int_equal(kvtel_buffer_printf(whole, "{\"connectors\":[{},{},7,{\"engine\":\"a\"}]}"), KVTEL_OK);
    const enum kvtel_status status = top_parts_join(&before, whole);
    kvtel_buffer_free(&before);
    return status;
}

static void test_joined_parts_have_each_entry_once(void **state)
{
    struct kvtel_buffer whole = { 0 };
    struct kvtel_arena arena = { 0 };
    struct kvtel_value root;
    (void)state;
    assert_int_equal(join(&whole), KVTEL_OK);
    assert_int_equal(kvtel_value_decode(KVTEL_JSON, whole.bytes, whole.size, &arena, &root, NULL), KVTEL_OK);
    const struct kvtel_value *list = kvtel_value_get(&root, "connectors");
    static const char *const engines[] = { "a", "b", "d" };
    assert_int_equal(list->size, COUNT(engines) + 4); /* what has no names is left as it is */
    for (size_t i = 0; i < COUNT(engines); i++)
        assert_true(kvtel_value_is_text(kvtel_value_get(&list->items[i], "engine"), engines[i]));
    const struct kvtel_value *flows = kvtel_value_get(&list->items[1], "flows");
    assert_int_equal(kvtel_value_get(&flows->items[0], "transfers")->integer, 1); /* the first part's */
    kvtel_arena_free(&arena);
    kvtel_buffer_free(&whole);
}

static void test_joining_without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct kvtel_buffer before = { 0 }, last = { 0 };
        assert_int_equal(kvtel_buffer_append(&before, json, part(100, 3, "ab", 1) + 1), KVTEL_OK);
        assert_int_equal(kvtel_buffer_append(&last, json, part(100, 3, "bc", 1)), KVTEL_OK);
        const size_t size = last.size;
        fail_allocation(n);
        const enum kvtel_status status = top_parts_join(&before, &last);
        failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        assert_true(!failed || last.size == size);
        kvtel_buffer_free(&before);
        kvtel_buffer_free(&last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_without_an_end),   cmocka_unit_test(test_an_engine_between_two_parts),
        cmocka_unit_test(test_an_engine_that_came),    cmocka_unit_test(test_joined_parts_have_each_entry_once),
        cmocka_unit_test(test_joining_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
