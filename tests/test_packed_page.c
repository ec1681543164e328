/* SPDX-License-Identifier: Apache-2.0 */
/* gzip of a page that changes: whatever changes, it unpacks to the page, and what stays is not packed again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buffer.h"
#include "collect/catalog.h"
#include "record/store.h"
#include "serve/packed_page.h"
#include "serve/web/gzip.h"
#include "support/failing.h" /* __wrap_malloc, __wrap_calloc, __wrap_realloc, __wrap_strdup */

#include <kvtel/recorder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES = 2000, PIECES_LEAST = 3 };

struct fixture {
    struct kvtel_store *store;
    struct kvtel_lane *lane;
    struct kvtel_source source;
    struct kvtel_followed followed;
    struct kvtel_workers workers;
    struct kvtel_snapshot *snapshot;
    struct kvtel_page page;
    struct packed_page packed;
    uint32_t series[SERIES + 200];
    size_t count;
    uint32_t random;
    struct kvtel_buffer text, file, back;
};

static void add_series(struct fixture *f)
{
    static const char *const labelnames[] = { "n" };
    const struct kvtel_family_spec spec = {
        .name = "h", .type = KVTEL_HISTOGRAM, .help = "Help.", .labelnames = labelnames, .label_count = 1
    };
    char value[160];
    const char *values[] = { value };
    uint32_t family;
    snprintf(value, sizeof value, "series %0140zu", f->count);
    assert_int_equal(kvtel_store_family(f->store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(f->store, family, values, 1, &f->series[f->count++]), KVTEL_OK);
}

static void choose(void *context, const struct kvtel_snapshot_family *family, struct kvtel_page_choice *choice)
{
    (void)context, (void)family, (void)choice;
}

static void refresh(struct fixture *f)
{
    f->followed = (struct kvtel_followed){ .source = &f->source, .view = kvtel_store_view(f->store) };
    assert_int_equal(kvtel_source_refresh(&f->source, &f->followed.view, &f->workers.each[0]), KVTEL_OK);
    assert_int_equal(kvtel_snapshot_follow(f->snapshot, &f->followed, 1), KVTEL_OK);
    assert_int_equal(kvtel_page_refresh(&f->page, f->snapshot, choose, f), KVTEL_OK);
}

/* The file unpacks to the page, in each format. */
static void check(struct fixture *f)
{
    for (int format = 0; format < KVTEL_PAGE_FORMATS; format++) {
        f->text.size = f->file.size = f->back.size = 0;
        assert_int_equal(kvtel_page_write(&f->page, (enum kvtel_exposition_format)format, &f->text), KVTEL_OK);
        assert_int_equal(packed_page_write(&f->packed, &f->page, (enum kvtel_exposition_format)format, &f->file),
                         KVTEL_OK);
        assert_int_equal(gzip_expand(f->file.bytes, f->file.size, f->text.size + 1, &f->back), KVTEL_OK);
        assert_int_equal(f->back.size, f->text.size);
        assert_memory_equal(f->back.bytes, f->text.bytes, f->text.size);
    }
}

static int setup(void **state)
{
    struct fixture *f = *state = test_calloc(1, sizeof *f);
    f->store = kvtel_store_create(NULL);
    assert_int_equal(kvtel_lane_open(f->store, &f->lane), KVTEL_OK);
    while (f->count < SERIES)
        add_series(f);
    f->snapshot = kvtel_snapshot_create();
    refresh(f);
    check(f);
    assert_true(f->page.piece_count >= PIECES_LEAST);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    packed_page_free(&f->packed);
    kvtel_page_free(&f->page);
    kvtel_source_free(&f->source);
    kvtel_workers_free(&f->workers);
    kvtel_snapshot_destroy(f->snapshot);
    kvtel_lane_close(f->lane);
    kvtel_store_close(f->store);
    kvtel_buffer_free(&f->text);
    kvtel_buffer_free(&f->file);
    kvtel_buffer_free(&f->back);
    test_free(f);
    return 0;
}

static void record(struct fixture *f, size_t i)
{
    f->random = f->random * 1664525 + 1013904223;
    assert_int_equal(kvtel_lane_observe(f->lane, f->series[i], &(double){ f->random >> 8 }, 1), 1);
}

static void test_whatever_changes(void **state)
{
    struct fixture *f = *state;
    for (size_t step = 0; step < 60; step++) {
        const size_t from = step * 397 % f->count, count = step % 10 == 9 ? SERIES / 2 : step % 3;
        for (size_t i = from; i < from + count && i < f->count; i++)
            record(f, i);
        if (step % 20 == 19)
            add_series(f);
        refresh(f);
        check(f);
    }
}

static void test_what_stays_is_not_packed_again(void **state)
{
    struct fixture *f = *state;
    uint64_t states[64];
    const size_t count = f->page.piece_count;
    assert_true(count <= sizeof states / sizeof *states);
    for (size_t changes = 0; changes < 2; changes++) {
        size_t changed = 0;
        for (size_t i = 0; i < count; i++)
            states[i] = kvtel_page_piece_state(&f->page, i);
        for (size_t i = 0; i < changes; i++)
            record(f, SERIES / 2);
        refresh(f);
        assert_int_equal(f->page.piece_count, count);
        for (size_t i = 0; i < count; i++)
            changed += states[i] != kvtel_page_piece_state(&f->page, i);
        assert_int_equal(changed, changes);
        check(f);
    }
}

/* The pieces follow one another without a gap. */
static void test_pieces_are_the_page(void **state)
{
    struct fixture *f = *state;
    for (int format = 0; format < KVTEL_PAGE_FORMATS; format++) {
        f->text.size = f->back.size = 0;
        assert_int_equal(kvtel_page_write(&f->page, (enum kvtel_exposition_format)format, &f->text), KVTEL_OK);
        for (size_t i = 0; i < f->page.piece_count; i++)
            assert_int_equal(kvtel_page_piece_write(&f->page, i, (enum kvtel_exposition_format)format, &f->back),
                             KVTEL_OK);
        assert_int_equal(f->back.size, f->text.size);
        assert_memory_equal(f->back.bytes, f->text.bytes, f->text.size);
    }
}

static void test_without_memory(void **state)
{
    struct fixture *f = *state;
    enum kvtel_status status = KVTEL_E_NOMEM;
    add_series(f);
    refresh(f);
    for (size_t n = 1; status != KVTEL_OK; n++) {
        struct kvtel_buffer file = { 0 };
        packed_page_free(&f->packed);
        fail_allocation(n);
        status = packed_page_write(&f->packed, &f->page, KVTEL_FORMAT_TEXT, &file);
        assert_true(allocation_did_fail() || status == KVTEL_OK);
        assert_true((file.size == 0) == (status != KVTEL_OK));
        kvtel_buffer_free(&file);
        if (n % 8 == 0) /* and the next one is whole */
            check(f);
    }
    check(f);
}

/* A page of numbers that are about as long as before takes no memory. */
static void test_a_warm_page_allocates_nothing(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(kvtel_lane_observe(f->lane, f->series[5], &(double){ 7 }, 1), 1);
        refresh(f);
        f->file.size = 0;
        fail_allocation(i < 3 ? SIZE_MAX : 1);
        assert_int_equal(packed_page_write(&f->packed, &f->page, KVTEL_FORMAT_TEXT, &f->file), KVTEL_OK);
        assert_false(allocation_did_fail());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whatever_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_stays_is_not_packed_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces_are_the_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_warm_page_allocates_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
