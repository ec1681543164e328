/* SPDX-License-Identifier: Apache-2.0 */
/* gzip of a page that changes: whatever changes, it unpacks to the page, and what stays is not packed again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "serve/web/gzip.h"
#include "serve/web/gzip_page.h"
#include "support/failing.h"

enum { SERIES = 12000 };

/* A page of numbers under names, some of which are absent. */
struct model {
    uint64_t values[SERIES];
    bool absent[SERIES];
    uint32_t draw;
};

static uint32_t draw(struct model *model)
{
    model->draw = model->draw * 1664525 + 1013904223;
    return model->draw >> 8;
}

static void write_page(const struct model *model, struct kvtel_buffer *text)
{
    text->size = 0;
    for (int i = 0; i < SERIES; i++)
        if (!model->absent[i])
            assert_int_equal(kvtel_buffer_printf(text, "seconds_bucket{engine=\"%d\",le=\"%d\"} %ju\n", i / 12, i % 12,
                                                 (uintmax_t)model->values[i]),
                             KVTEL_OK);
}

/* Packs the model's page and unpacks it again. Returns the number of blocks that have other packed bytes than before.
 */
static size_t check(struct gzip_page *page, const struct model *model)
{
    struct kvtel_buffer text = { 0 }, copy = { 0 }, packed = { 0 }, back = { 0 };
    write_page(model, &text);
    write_page(model, &copy);
    struct kvtel_buffer before = page->packed;
    struct gzip_block blocks[64];
    size_t count = page->count, changed = 0;
    assert_true(count <= 64);
    if (count > 0)
        memcpy(blocks, page->blocks, count * sizeof *blocks);
    char *kept = malloc(before.size + 1);
    assert_non_null(kept);
    if (before.size > 0)
        memcpy(kept, before.bytes, before.size);
    assert_int_equal(gzip_page_compress(page, &text, &packed), KVTEL_OK);
    for (size_t i = 0; i < page->count; i++) {
        bool same = false;
        for (size_t j = 0; j < count && !same; j++)
            same = blocks[j].packed_size == page->blocks[i].packed_size &&
                   memcmp(kept + blocks[j].packed_at, page->packed.bytes + page->blocks[i].packed_at,
                          blocks[j].packed_size) == 0;
        changed += !same;
    }
    assert_int_equal(gzip_expand(packed.bytes, packed.size, copy.size, &back), KVTEL_OK);
    assert_int_equal(back.size, copy.size);
    assert_memory_equal(back.bytes, copy.bytes, copy.size);
    free(kept);
    kvtel_buffer_free(&text);
    kvtel_buffer_free(&copy);
    kvtel_buffer_free(&packed);
    kvtel_buffer_free(&back);
    return changed;
}

static struct model *new_model(void)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    model->draw = 1;
    for (int i = 0; i < SERIES; i++)
        model->values[i] = draw(model) % 100;
    return model;
}

static void what_stays_is_not_packed_again(void **state)
{
    struct gzip_page page;
    struct model *model = new_model();
    (void)state;
    gzip_page_init(&page);
    check(&page, model);
    assert_true(page.count >= 3);
    assert_int_equal(check(&page, model), 0);
    model->values[SERIES / 2]++; /* a number of the same length */
    assert_int_equal(check(&page, model), 1);
    model->values[10] = 1234567890; /* and one that moves all that follows */
    assert_int_equal(check(&page, model), 1);
    model->values[SERIES - 1] = 1234567890;
    model->values[0] = 1;
    assert_true(check(&page, model) <= 2);
    gzip_page_free(&page);
    free(model);
}

static void whatever_changes(void **state)
{
    struct gzip_page page;
    struct model *model = new_model();
    (void)state;
    gzip_page_init(&page);
    for (int turn = 0; turn < 150; turn++) {
        uint32_t kind = draw(model) % 4, from = draw(model) % SERIES,
                 count = draw(model) % (turn % 10 == 9 ? SERIES : 60);
        for (uint32_t i = from; i < from + count && i < SERIES; i++) {
            model->absent[i] = kind == 1 || (kind != 2 && model->absent[i]);
            model->values[i] += kind == 3 ? draw(model) : 1;
        }
        check(&page, model);
    }
    for (int i = 0; i < SERIES; i++)
        model->absent[i] = i % 1000 != 0; /* too short for blocks */
    check(&page, model);
    memset(model->absent, 0, sizeof model->absent);
    check(&page, model);
    gzip_page_free(&page);
    free(model);
}

/* Text without lines and text without series have no names that could be found again. */
static void no_page(void **state)
{
    static const char *const kinds[] = { "x", "\n", "a\n", "word ", "\n\nb c\n" };
    struct gzip_page page;
    (void)state;
    gzip_page_init(&page);
    for (size_t turn = 0; turn < 15; turn++) {
        struct kvtel_buffer text = { 0 }, packed = { 0 }, back = { 0 };
        for (size_t i = 0; i < 200000 + 50000 * turn; i++)
            assert_int_equal(kvtel_buffer_append_text(&text, kinds[(turn + (i > 150000)) % 5]), KVTEL_OK);
        size_t size = text.size;
        assert_int_equal(gzip_page_compress(&page, &text, &packed), KVTEL_OK);
        assert_int_equal(gzip_expand(packed.bytes, packed.size, size, &back), KVTEL_OK);
        assert_int_equal(back.size, size);
        if (page.text.size == size)
            assert_memory_equal(back.bytes, page.text.bytes, size);
        kvtel_buffer_free(&text);
        kvtel_buffer_free(&packed);
        kvtel_buffer_free(&back);
    }
    gzip_page_free(&page);
}

/* Without memory the text stays, and the next page is packed as a first one. */
static void without_memory(void **state)
{
    struct gzip_page page;
    struct model *model = new_model();
    struct kvtel_buffer text = { 0 };
    bool failed;
    size_t n = 0;
    (void)state;
    gzip_page_init(&page);
    do {
        check(&page, model);
        model->values[n % SERIES] += 1000000;
        write_page(model, &text);
        size_t size = text.size;
        struct kvtel_buffer packed = { 0 };
        fail_allocation(++n);
        enum kvtel_status status = gzip_page_compress(&page, &text, &packed);
        failed = allocation_did_fail();
        assert_int_equal(status, failed ? KVTEL_E_NOMEM : KVTEL_OK);
        assert_int_equal(text.size, failed ? size : 0);
        assert_true(failed == (packed.size == 0));
        assert_true(!failed || page.count == 0);
        kvtel_buffer_free(&packed);
    } while (failed);
    assert_true(n > 4);
    kvtel_buffer_free(&text);
    gzip_page_free(&page);
    free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stays_is_not_packed_again),
        cmocka_unit_test(whatever_changes),
        cmocka_unit_test(no_page),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
