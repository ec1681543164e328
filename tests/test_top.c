/* SPDX-License-Identifier: Apache-2.0 */
/* What kvtel top makes of summaries, without a terminal: reading, windows, quantiles, texts, want of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/failing.h"
#include "support/top_history.h"
#include "top/view.h"

#include <math.h>
#include <stdio.h>

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* -- Numbers -- */

static void test_numbers(void **state)
{
    static const struct {
        void (*make)(double value, char text[static TOP_NUMBER]);
        double value;
        const char *text;
    } rows[] = {
        { top_number_count, 0, "0" },
        { top_number_count, 9999, "9999" },
        { top_number_count, 12345, "12.3k" },
        { top_number_count, 1e18, "1.00E" },
        { top_number_count, (double)NAN, "-" },
        { top_number_rate, 0, "0" },
        { top_number_rate, 0.001, "<0.01" },
        { top_number_rate, 0.25, "0.25" },
        { top_number_rate, 9.996, "10.0" },
        { top_number_rate, 99.96, "100" },
        { top_number_rate, 999.4, "999" },
        { top_number_rate, 999.6, "1.00k" },
        { top_number_bytes, 512, "512B" },
        { top_number_bytes, 1023.6, "1.0KiB" },
        { top_number_bytes, 1.5 * (1 << 20), "1.5MiB" },
        { top_number_bytes, 1e20, "86.7EiB" },
        { top_number_seconds, 0, "0.00us" },
        { top_number_seconds, 0.00095, "950us" },
        { top_number_seconds, 0.0123, "12.3ms" },
        { top_number_seconds, 99.9, "99.9s" },
        { top_number_seconds, 110, "1m50s" },
        { top_number_seconds, 5999, "99m59s" },
        { top_number_seconds, 11100, "3h05m" },
        { top_number_seconds, 864000, "10d" },
        { top_number_seconds, (double)INFINITY, ">1e9s" },
        { top_number_seconds, -1, "-" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[TOP_NUMBER];
        rows[i].make(rows[i].value, text);
        assert_string_equal(text, rows[i].text);
    }
}

static void test_quantiles(void **state)
{
    static const double bounds[] = { 0.001, 0.002, 0.004, (double)INFINITY };
    static const uint64_t first[] = { 5, 0, 5, 0 }, later[] = { 55, 40, 14, 1 };
    const struct top_bins before = { .bounds = bounds, .counts = first, .size = 4 };
    const struct top_bins now = { .bounds = bounds, .counts = later, .size = 4 };
    const struct top_bins none = { .size = 0 };
    (void)state;
    assert_true(fabs(top_bins_quantile(&before, &now, 0.5) - 0.001 * 0.9946) < 1e-6);
    assert_true(fabs(top_bins_quantile(&before, &now, 0.9) - 0.002 * 0.9946) < 1e-6);
    assert_true(fabs(top_bins_quantile(&before, &now, 1) - 0.004 * 0.9946) < 1e-6);
    assert_true(isnan(top_bins_quantile(&now, &now, 0.5)) && isnan(top_bins_quantile(NULL, &none, 0.5)));
    int lowest, highest;
    assert_true(top_bins_range(&before, &now, &lowest, &highest));
    assert_int_equal(lowest, -9); /* 0.001 is at most 2^-9 */
    assert_int_equal(highest, TOP_OCTAVE_BEYOND);
    assert_int_equal(top_bins_octave(&before, &now, -9), 50);
    assert_int_equal(top_bins_octave(NULL, &now, -9), 55);
    assert_false(top_bins_range(&now, &now, &lowest, &highest));

    static const double odd_bounds[] = { -1, 0, 1e300 };
    static const uint64_t odd_counts[] = { 1, 2, 4 };
    const struct top_bins odd = { .bounds = odd_bounds, .counts = odd_counts, .size = 3 };
    assert_true(top_bins_range(NULL, &odd, &lowest, &highest));
    assert_int_equal(top_bins_octave(NULL, &odd, lowest), 3);
    assert_int_equal(top_bins_octave(NULL, &odd, highest), 4);
    assert_int_equal(highest, TOP_OCTAVE_BEYOND);
}

/* -- Summaries -- */

static char json[4096];

/* A summary with one flow of so many transfers. */
static size_t summary(double time, double uptime, unsigned transfers)
{
    int size = snprintf(json, sizeof json,
                        "{\"version\":\"%s\",\"time\":%f,\"uptime_seconds\":%f,\"sources_total\":1,\"recording\":1,"
                        "\"connectors_total\":1,\"connectors\":[{\"connector\":\"C\",\"model_name\":\"m\",\"engine\":"
                        "\"0\",\"failed\":%u,\"failures\":{\"x\":%u},\"flows\":[{\"name\":\"f\",\"transfers\":%u,"
                        "\"bytes\":%u,\"failures\":{},\"time\":{\"count\":%u,\"sum\":1,\"bins\":[[0.001,%u]]},"
                        "\"slowest\":[{\"seconds\":1,\"time\":2,\"labels\":{\"a\":\"b\"}}]}]}],"
                        "\"open\":[{\"connector\":\"C\",\"model_name\":\"m\",\"engine\":\"0\",\"operation\":\"f\","
                        "\"open\":3}],\"oldest_open\":[{\"connector\":\"C\",\"engine\":\"0\",\"operation\":\"f\","
                        "\"stalled\":true}]}",
                        kvtel_version(), time, uptime, transfers / 10, transfers / 10, transfers, transfers, transfers,
                        transfers);
    assert_true(size > 0 && (size_t)size < sizeof json);
    return (size_t)size;
}

static void add(struct top_history *history, double time, double uptime, unsigned transfers)
{
    struct kvtel_error error = { 0 };
    assert_int_equal(top_history_add(history, json, summary(time, uptime, transfers), &error), KVTEL_OK);
}

static void test_rates_and_window(void **state)
{
    struct top_history *history = history_create();
    const struct top_row *row;
    (void)state;
    add(history, 100, 1, 1000);
    assert_int_equal(history->row_count, 1);
    row = &history->rows[0]; /* the room for one row is not made anew */
    assert_true(isnan(row->transfers_rate) && !row->has_window && history->window_seconds <= 0);
    assert_true(row->open >= 3 && row->open <= 3);
    for (unsigned i = 1; i <= 200; i++) {
        add(history, 100 + i, 1 + i, 1000 + 10 * i);
        assert_true(fabs(row->transfers_rate - 10) < 1e-9 && fabs(row->bytes_rate - 10) < 1e-9);
        assert_true(history->window_seconds <= 65 && history->window_seconds >= (i < 60 ? i : 60));
        assert_int_equal(row->failed, (uint64_t)history->window_seconds);
    }
    for (size_t i = 0; i < 60; i++)
        assert_true(fabs(top_history_spark(history, row, i, 60) - 10) < 1e-6);
    add(history, 300, 201, 5); /* the same time: nothing new */
    assert_int_equal(row->flow->transfers, 3000);
    history_destroy(history);
}

static void test_a_restart_and_a_fall(void **state)
{
    struct top_history *history = history_create();
    const struct top_row *row;
    (void)state;
    add(history, 100, 50, 1000);
    row = &history->rows[0];
    add(history, 110, 60, 2000);
    assert_true(row->has_window && row->failed == 100);
    add(history, 120, 70, 500); /* a store went away: no rate, no window, but no crash either */
    assert_true(isnan(row->transfers_rate) && !row->has_window);
    add(history, 130, 80, 600);
    assert_true(fabs(row->transfers_rate - 10) < 1e-9);
    add(history, 140, 1, 100); /* the exporter was restarted */
    assert_true(history->window_seconds <= 0 && isnan(row->transfers_rate));
    add(history, 90, 2, 100); /* its clock was set back */
    assert_true(history->window_seconds <= 0 && history->now.time < 100);
    history_destroy(history);
}

/* What came after the last point of the exporter's history is in the window too. */
static void test_the_last_minute(void **state)
{
    static const char past[] =
        "{\"format\":1,\"time\":100,\"bands\":[60],\"end\":[99],\"seconds\":[5],\"connectors\":[{\"connector\":\"C\","
        "\"model_name\":\"m\",\"engine\":\"0\",\"failures\":{\"x\":[4]},\"failures_at_end\":{\"x\":98},\"flows\":[{"
        "\"name\":\"f\",\"transfers\":[20],\"bytes\":[30],\"bands\":[{}],\"at_end\":{\"transfers\":990,\"bytes\":980}"
        "}]}]}";
    struct top_history *history = history_create();
    const struct top_row *row;
    (void)state;
    add(history, 100, 50, 1000);
    row = &history->rows[0];
    top_history_add_past(history, past, sizeof past - 1);
    assert_true(row->has_window && fabs(history->window_seconds - 6) < 1e-9);
    assert_int_equal(row->flow_before->transfers, 970);
    assert_true(fabs(row->flow_before->bytes - 950) < 1e-9);
    assert_int_equal(row->failed, 6);
    history_destroy(history);
}

static void test_what_is_no_summary(void **state)
{
    static const struct {
        const char *text;
        enum kvtel_status status;
    } rows[] = {
        { "", KVTEL_E_SYNTAX },
        { "{", KVTEL_E_SYNTAX },
        { "3", KVTEL_E_TYPE },
        { "{}", KVTEL_E_TYPE },
        { "{\"version\":\"0.1.0\",\"time\":\"now\",\"connectors\":[]}", KVTEL_E_TYPE },
        { "{\"version\":\"0.1.0\",\"time\":1,\"connectors\":{}}", KVTEL_E_TYPE },
        { "{\"version\":\"0.1\",\"time\":1,\"connectors\":[]}", KVTEL_OK },
        { "{\"version\":\"0.1.99\",\"time\":2,\"connectors\":[]}", KVTEL_OK },
        { "{\"version\":\"0.11.0\",\"time\":1,\"connectors\":[]}", KVTEL_E_MISMATCH },
        { "{\"version\":\"1\",\"time\":1,\"connectors\":[]}", KVTEL_E_MISMATCH },
        { "{\"version\":\"0.1.0\",\"time\":3,\"connectors\":[1,null,{\"flows\":[{\"time\":{\"bins\":[[2,1],[1,1]]}}]}]"
          "}",
          KVTEL_OK },
    };
    struct top_history *history = history_create();
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kvtel_error error = { 0 };
        assert_int_equal(top_history_add(history, rows[i].text, strlen(rows[i].text), &error), rows[i].status);
        assert_true((rows[i].status == KVTEL_OK) == !*error.message);
    }
    assert_int_equal(history->row_count, 3);
    assert_int_equal(history->rows[2].flow->bins[TOP_TIME].size, 1); /* bounds that fall end the histogram */
    history_destroy(history);
}

static void test_texts_fit_their_fields(void **state)
{
    struct top_page page = { .width = 10 };
    (void)state;
    top_page_left(&page, "abcdef", 4);
    top_page_right(&page, "1", 3);
    top_page_put(&page, "too long");
    top_page_end(&page, false);
    top_page_put(&page, "\x1b[31m\xff\n\xc3\xa4");
    top_page_end(&page, true);
    static const char expected[] = "abc~   1 t\x01\n\\x1b[31m? \x01\n"; /* the last escape does not fit as a whole */
    assert_int_equal(page.text.size, sizeof expected - 1);
    assert_memory_equal(page.text.bytes, expected, sizeof expected - 1);
    kvtel_buffer_free(&page.text);
}

static void test_want_of_memory(void **state)
{
    struct top_view *view = calloc(1, sizeof *view);
    (void)state;
    assert_non_null(view);
    top_view_init(view, "x");
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct top_history *history = history_create();
        struct top_page page = { .width = 120 };
        struct kvtel_error error = { 0 };
        size_t size = summary(100, 1, 10);
        fail_allocation(n);
        enum kvtel_status status = top_history_add(history, json, size, &error);
        size = summary(110, 11, 20);
        if (status == KVTEL_OK)
            status = top_history_add(history, json, size, &error);
        for (int mode = TOP_TABLE; mode <= TOP_HELP; mode++) {
            view->mode = (enum top_mode)mode;
            top_view_draw(view, history, &page, 24);
        }
        failed = allocation_did_fail();
        assert_true(status == KVTEL_OK || status == KVTEL_E_NOMEM);
        assert_true(failed || (status == KVTEL_OK && !page.failed));
        kvtel_buffer_free(&page.text);
        history_destroy(history);
    }
    top_view_close(view);
    free(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_rates_and_window),
        cmocka_unit_test(test_a_restart_and_a_fall),
        cmocka_unit_test(test_the_last_minute),
        cmocka_unit_test(test_what_is_no_summary),
        cmocka_unit_test(test_texts_fit_their_fields),
        cmocka_unit_test(test_want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
