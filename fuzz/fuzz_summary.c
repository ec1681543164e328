/* SPDX-License-Identifier: Apache-2.0 */
/* A summary that kvtel top reads from an exporter, twice, and draws. What follows a NUL is the exporter's history. */
#include "contract.h"

#include "top/view.h"

/* Lines of the page: none is wider than the page, and no byte of one can be a command to the terminal. */
static void check_page(const struct top_page *page)
{
    for (size_t i = 0; i < page->text.size; i++) {
        unsigned char byte = (unsigned char)page->text.bytes[i];
        MUST(byte == '\n' || (byte > 0 && byte < TOP_STYLES) || (byte >= ' ' && byte < 0x7f));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct top_history *history = calloc(1, sizeof *history);
    struct top_view *view = calloc(1, sizeof *view);
    struct top_page page = { .width = 200 };
    struct kvtel_error error = { 0 };
    const uint8_t *end = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t first = end ? (size_t)(end - data) : size;
    MUST(history && view);
    top_view_init(view, "");
    for (int i = 0; i < 2; i++) {
        enum kvtel_status status = top_history_begin(history, (const char *)data, first, &error);
        if (status == KVTEL_OK && top_history_missing(history) > 0) /* the same as a further part of it */
            status = top_history_more(history, (const char *)data, first, &error);
        if (status == KVTEL_OK)
            status = top_history_end(history, &error);
        MUST(status == KVTEL_OK || (error.status == status && error.message[0]));
        if (i == 0 && status == KVTEL_OK && end)
            top_history_add_past(history, (const char *)end + 1, size - first - 1);
        for (int mode = TOP_TABLE; mode <= TOP_HELP; mode++) {
            view->mode = (enum top_mode)mode;
            top_view_draw(view, history, &page, 60);
            check_page(&page);
        }
        history->now.time -= 10; /* so that the same is a later one */
    }
    kvtel_buffer_free(&page.text);
    top_view_close(view);
    top_history_close(history);
    free(view);
    free(history);
    return 0;
}
