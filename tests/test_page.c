/* SPDX-License-Identifier: Apache-2.0 */
/* A page that is kept is what an exposition of the snapshot would be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "collect/catalog.h"
#include "exposition/page.h"
#include "record/store.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */

#include <kvtel/recorder.h>
#include <stdio.h>
#include <string.h>

enum { SERIES = 2400 };

struct fixture {
    struct kvtel_store *store;
    struct kvtel_lane *lane;
    struct kvtel_source source;
    struct kvtel_followed followed;
    struct kvtel_workers workers;
    struct kvtel_snapshot *snapshot;
    struct kvtel_page page;
    uint32_t series[2][SERIES]; /* histograms, counters */
    size_t count;
    bool hides; /* the counters are not shown */
    struct kvtel_buffer text, expected;
};

static void add_series(struct fixture *f)
{
    static const char *const labelnames[] = { "n" };
    const struct kvtel_family_spec specs[] = {
        { .name = "h", .type = KVTEL_HISTOGRAM, .help = "Help.", .labelnames = labelnames, .label_count = 1 },
        { .name = "c", .type = KVTEL_COUNTER, .help = "Help.", .labelnames = labelnames, .label_count = 1 },
    };
    char value[160]; /* long, so that the text fills several blocks */
    const char *values[] = { value };
    snprintf(value, sizeof value, "series %0140zu", f->count);
    for (size_t i = 0; i < 2; i++) {
        uint32_t family;
        assert_int_equal(kvtel_store_family(f->store, &specs[i], &family), KVTEL_OK);
        assert_int_equal(kvtel_store_series(f->store, family, values, 1, &f->series[i][f->count]), KVTEL_OK);
    }
    f->count++;
}

static int setup(void **state)
{
    struct fixture *f = *state = test_calloc(1, sizeof *f);
    f->store = kvtel_store_create(NULL);
    assert_int_equal(kvtel_lane_open(f->store, &f->lane), KVTEL_OK);
    for (size_t i = 0; i < SERIES / 2; i++)
        add_series(f);
    f->snapshot = kvtel_snapshot_create();
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kvtel_page_free(&f->page);
    kvtel_source_free(&f->source);
    kvtel_workers_free(&f->workers);
    kvtel_snapshot_destroy(f->snapshot);
    kvtel_lane_close(f->lane);
    kvtel_store_close(f->store);
    kvtel_buffer_free(&f->text);
    kvtel_buffer_free(&f->expected);
    test_free(f);
    return 0;
}

static void choose(void *context, const struct kvtel_snapshot_family *family, struct kvtel_page_choice *choice)
{
    const struct fixture *f = context;
    choice->shown = !f->hides || kvtel_snapshot_type(family) != KVTEL_COUNTER;
}

static void follow(struct fixture *f)
{
    f->followed = (struct kvtel_followed){ .source = &f->source, .view = kvtel_store_view(f->store) };
    assert_int_equal(kvtel_source_refresh(&f->source, &f->followed.view, &f->workers.each[0]), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_follow(f->snapshot, &f->followed, 1), KVTEL_OK);
}

static void check(struct fixture *f)
{
    for (int format = 0; format < KVTEL_PAGE_FORMATS; format++) {
        f->text.size = f->expected.size = 0;
        assert_int_equal(kvtel_page_write(&f->page, (enum kvtel_exposition_format)format, &f->text), KVTEL_OK);
        assert_int_equal(kvtel_exposition(f->snapshot, (enum kvtel_exposition_format)format, &f->expected), KVTEL_OK);
        assert_int_equal(f->text.size, f->expected.size);
        assert_memory_equal(f->text.bytes, f->expected.bytes, f->text.size);
    }
}

static void record(struct fixture *f, size_t k)
{
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[0][k], &(double){ (double)k }, 1), 1);
    assert_true(kvtel_lane_increase(f->lane, f->series[1][k], 1e3));
}

static void test_it_is_the_exposition(void **state)
{
    struct fixture *f = *state;
    for (size_t step = 0; step < 200; step++) {
        if (step % 3 > 0)
            record(f, step * 7 % f->count);
        if (step % 20 == 19)
            add_series(f);
        follow(f);
        assert_int_equal(kvtel_page_refresh(&f->page, f->snapshot, choose, f), KVTEL_OK);
        check(f);
    }
}

static void test_a_family_that_is_not_shown(void **state)
{
    struct fixture *f = *state;
    record(f, 1);
    follow(f);
    assert_int_equal(kvtel_page_refresh(&f->page, f->snapshot, choose, f), KVTEL_OK);
    f->hides = true;
    assert_int_equal(kvtel_page_refresh(&f->page, f->snapshot, choose, f), KVTEL_OK);
    assert_int_equal(kvtel_page_write(&f->page, KVTEL_FORMAT_TEXT, &f->text), KVTEL_OK);
    assert_int_equal(kvtel_buffer_append(&f->text, "", 1), KVTEL_OK);
    assert_non_null(strstr(f->text.bytes, "# TYPE h histogram\n"));
    assert_null(strstr(f->text.bytes, "# TYPE c_total"));
}

/* Each allocation fails once: then the page is empty, and the next refresh makes all of it. */
static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    follow(f);
    enum kvtel_status status = KVTEL_E_NOMEM;
    for (size_t n = 1; status != KVTEL_OK; n++) {
        struct kvtel_page page = { 0 };
        fail_allocation(n);
        status = kvtel_page_refresh(&page, f->snapshot, choose, f);
        bool failed = allocation_did_fail();
        assert_true(status == KVTEL_OK || failed);
        if (status != KVTEL_OK)
            assert_int_equal(page.family_count, 0);
        assert_int_equal(kvtel_page_refresh(&page, f->snapshot, choose, f), KVTEL_OK);
        kvtel_page_free(&f->page);
        f->page = page;
    }
    check(f);
}

/* A page of numbers that are about as long as before takes no memory. */
static void test_a_warm_page_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 6; i++) {
        record(f, 5);
        follow(f);
        fail_allocation(i < 3 ? SIZE_MAX : 1);
        f->text.size = 0;
        assert_int_equal(kvtel_page_refresh(&f->page, f->snapshot, choose, f), KVTEL_OK);
        assert_int_equal(kvtel_page_write(&f->page, KVTEL_FORMAT_TEXT, &f->text), KVTEL_OK);
        assert_false(allocation_did_fail());
    }
    check(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_is_the_exposition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_family_that_is_not_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_warm_page_allocates_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
