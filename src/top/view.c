/* SPDX-License-Identifier: Apache-2.0 */
/* The screen: two lines at the top, the table, detail, peers or help, and a line at the bottom. */
#include "top/view.h"

#include "base/buffer.h"
#include "top/detail.h"
#include "top/peers.h"
#include "top/rows.h"
#include "top/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_LINES = 3, FOOT_LINES = 1 };

static const char *const help_lines[] = {
    "XFER/s, BYTES/s  of the last interval",
    "P50, P90, P99    of the time of a transfer, in the window: the last minute,",
    "                 or as much of it as was seen",
    "OPEN             transfers in flight, where the connector shows them",
    "FAIL             failures in the window, by class in the detail",
    "TREND            transfers per second in the last minute, the newest right",
    "",
    "arrows, j, k, page keys, home, end   choose a row, or scroll",
    "enter   all of the chosen connector and engine      esc, q   back, or end",
    "/       show only rows that contain a text           r        reverse the order",
    "p       peers of transfers, over all engines; red: one failed in the window",
    "",
    "sort by:",
};
static const char *const peer_help_lines[] = {
    "XFER/s, BYTES/s  of the last interval",
    "XFERS, BYTES     that completed, since the counts began",
    "FAIL             ended with an error, since the counts began; red: in the window",
    "UNSEEN           of which no end was seen: released, abandoned, or unknown",
    "OPEN, OLDEST     transfers in flight, and for how long the oldest is",
    "",
    "arrows, j, k, page keys, home, end   scroll",
    "/       show only peers whose name contains a text   r        reverse the order",
    "esc, q  back to the table",
    "",
    "sort by:",
};

/* -- Parts -- */

static void put_source_line(const struct top_view *view, const struct top_history *history, struct top_page *page)
{
    const struct top_state *now = &history->now;
    top_page_style(page, TOP_TITLE);
    top_page_put(page, "kvtel top  ");
    top_page_style(page, TOP_PLAIN);
    top_page_put(page, view->source);
    top_page_printf(page, "  %llu of %llu sources record", (unsigned long long)now->recording,
                    (unsigned long long)now->sources);
    if (now->entries_total > now->entry_count)
        top_page_printf(page, "  the first %zu of %llu connectors and engines", now->entry_count,
                        (unsigned long long)now->entries_total);
    if (view->mode == TOP_PEERS_TABLE && now->peers_total > now->peer_count)
        top_page_printf(page, "  %zu of %llu peers", now->peer_count, (unsigned long long)now->peers_total);
    top_page_end(page, false);
}

/* What the keys of the view choose. */
static struct top_choice *choice_of(struct top_view *view)
{
    return view->mode == TOP_PEERS_TABLE ? &view->peers : &view->table;
}

static void put_sum_line(struct top_view *view, const struct top_history *history, struct top_page *page)
{
    char rate[TOP_NUMBER], bytes[TOP_NUMBER];
    const struct top_choice *choice = choice_of(view);
    const char *by = view->mode == TOP_PEERS_TABLE ? top_peer_sorts[choice->sort].name : top_sorts[choice->sort].name;
    top_number_rate(history->transfers_rate, rate);
    top_number_bytes(history->bytes_rate, bytes);
    if (history->window_seconds > 0)
        top_page_printf(page, "%s transfers/s  %s/s  window %.0f s", rate, bytes, history->window_seconds);
    else
        top_page_put(page, "waiting for the second summary");
    if (history->has_open) {
        top_page_printf(page, "  in flight %llu", (unsigned long long)history->open);
        if (history->stalled > 0) {
            top_page_style(page, TOP_WARN);
            top_page_printf(page, "  stalled %llu", (unsigned long long)history->stalled);
            top_page_style(page, TOP_PLAIN);
        }
    }
    top_page_printf(page, "  by %s%s", by, choice->reverse ? ", reversed" : "");
    top_page_end(page, false);
}

static void put_foot(struct top_view *view, struct top_page *page)
{
    static const char *const hints[] = {
        [TOP_TABLE] = "q end  ? help  enter detail  p peers  / filter  r reverse  sort: ctb59lof",
        [TOP_DETAIL] = "q, esc back  ? help  arrows scroll",
        [TOP_PEERS_TABLE] = "q, esc back  ? help  arrows scroll  / filter  r reverse  sort: ctbolfu",
        [TOP_HELP] = "any key: back",
    };
    const char *filter = choice_of(view)->filter;
    if (view->typing) {
        top_page_put(page, "filter: ");
        top_page_put(page, filter);
        top_page_put(page, "_");
    } else if (*view->message) {
        top_page_style(page, TOP_BAD);
        top_page_put(page, view->message);
    } else {
        if (*filter && (view->mode == TOP_TABLE || view->mode == TOP_PEERS_TABLE)) {
            top_page_put(page, "filter: ");
            top_page_put(page, filter);
            top_page_put(page, "  esc: all rows  ");
        }
        top_page_style(page, TOP_SOFT);
        top_page_put(page, hints[view->mode]);
    }
    top_page_style(page, TOP_PLAIN);
}

static void put_blank_lines(struct top_page *page, int count)
{
    for (int i = 0; i < count; i++)
        top_page_end(page, false);
}

/* -- Modes -- */

static void put_nothing(const struct top_history *history, struct top_page *page)
{
    top_page_put(page, history->row_count > 0       ? "no row contains the filter's text"
                       : history->now.recording > 0 ? "nothing was recorded yet"
                                                    : "nothing records here; is this the right place?");
    top_page_end(page, false);
}

static void put_table(struct top_view *view, const struct top_history *history, struct top_page *page, int height)
{
    const size_t room = height > 0 ? (size_t)height : 0;
    if (view->chosen < view->offset)
        view->offset = view->chosen;
    if (room > 0 && view->chosen >= view->offset + room)
        view->offset = view->chosen - room + 1;
    if (view->offset + room > view->count)
        view->offset = view->count > room ? view->count - room : 0;
    size_t shown = 0;
    for (; shown < room && view->offset + shown < view->count; shown++) {
        size_t place = view->offset + shown;
        top_table_row(page, history, &history->rows[view->order[place]], place == view->chosen);
    }
    if (view->count == 0 && room > 0) {
        put_nothing(history, page);
        shown = 1;
    }
    put_blank_lines(page, (int)(room - shown));
}

/* Copies the lines of `whole` from the view's offset on. */
static void put_part(struct top_view *view, struct top_page *whole, struct top_page *page, int height)
{
    const size_t room = height > 0 ? (size_t)height : 0;
    size_t line = 0, at = 0, shown = 0;
    view->lines = 0;
    for (size_t i = 0; i < whole->text.size; i++)
        view->lines += whole->text.bytes[i] == '\n';
    if (view->offset + room > view->lines)
        view->offset = view->lines > room ? view->lines - room : 0;
    for (; at < whole->text.size && line < view->offset; at++)
        line += whole->text.bytes[at] == '\n';
    size_t end = at;
    for (; end < whole->text.size && shown < room; end++)
        shown += whole->text.bytes[end] == '\n';
    for (size_t i = at; i < end; i++)
        if (whole->text.bytes[i] == '\n')
            top_page_end(page, false);
        else if (kvtel_buffer_append_byte(&page->text, whole->text.bytes[i]) != KVTEL_OK)
            page->failed = true;
    put_blank_lines(page, (int)(room - shown));
}

static void put_help_lines(struct top_page *page, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        top_page_put(page, lines[i]);
        top_page_end(page, false);
    }
}

/* Puts a sort key of the help; two are in a line. */
static void put_help_key(struct top_page *page, size_t i, size_t count, char key, const char *what)
{
    top_page_printf(page, "  %c  %-24s", key, what);
    if (i % 2 == 1 || i + 1 == count)
        top_page_end(page, false);
}

static void put_help(struct top_page *page, bool of_peers)
{
    if (of_peers) {
        put_help_lines(page, peer_help_lines, sizeof peer_help_lines / sizeof *peer_help_lines);
        for (size_t i = 0; i < top_peer_sort_count; i++)
            put_help_key(page, i, top_peer_sort_count, top_peer_sorts[i].key, top_peer_sorts[i].what);
        return;
    }
    put_help_lines(page, help_lines, sizeof help_lines / sizeof *help_lines);
    for (size_t i = 0; i < top_sort_count; i++)
        put_help_key(page, i, top_sort_count, top_sorts[i].key, top_sorts[i].what);
}

void top_view_draw(struct top_view *view, const struct top_history *history, struct top_page *page, int height)
{
    struct top_page whole = { .width = page->width, .utf8 = page->utf8 };
    const int body = height - HEAD_LINES - FOOT_LINES;
    view->height = height;
    page->text.size = 0;
    page->column = 0;
    page->failed = !top_rows_arrange(view, history) || page->failed;
    const struct top_row *chosen = top_rows_chosen(view, history);
    if (view->mode == TOP_DETAIL && !chosen)
        view->mode = TOP_TABLE;
    put_source_line(view, history, page);
    put_sum_line(view, history, page);
    if (view->mode == TOP_TABLE) {
        top_table_head(page, history->whole);
        put_table(view, history, page, body);
    } else if (view->mode == TOP_PEERS_TABLE) {
        top_peers_head(page);
        top_peers_put(&whole, history, &view->peers);
        put_part(view, &whole, page, body);
    } else {
        if (view->mode == TOP_DETAIL)
            top_detail_put(&whole, history, chosen);
        else
            put_help(&whole, view->mode_before_help == TOP_PEERS_TABLE);
        put_part(view, &whole, page, body + 1);
    }
    put_foot(view, page);
    page->failed = page->failed || whole.failed;
    kvtel_buffer_free(&whole.text);
}

void top_view_once(struct top_view *view, const struct top_history *history, struct top_page *page)
{
    page->failed = !top_rows_arrange(view, history) || page->failed;
    top_table_head(page, history->whole);
    for (size_t i = 0; i < view->count; i++)
        top_table_row(page, history, &history->rows[view->order[i]], false);
}

void top_view_init(struct top_view *view, const char *source)
{
    *view = (struct top_view){ .source = source, .peers = { .sort = TOP_PEER_SORT_FIRST } };
}

void top_view_close(struct top_view *view)
{
    free(view->chosen_key);
    free(view->order);
    *view = (struct top_view){ 0 };
}

/* -- Keys -- */

static void type(struct top_view *view, uint32_t key)
{
    struct top_choice *choice = choice_of(view);
    size_t size = strlen(choice->filter);
    if (key == TOP_KEY_ENTER || key == TOP_KEY_ESCAPE) {
        view->typing = false;
        if (key == TOP_KEY_ESCAPE)
            choice->filter[0] = '\0';
    } else if (key == TOP_KEY_BACK && size > 0) {
        do
            size--;
        while (size > 0 && ((unsigned char)choice->filter[size] & 0xc0) == 0x80);
        choice->filter[size] = '\0';
    } else if (key >= ' ' && key < 0x100 && key != 0x7f && size + 1 < sizeof choice->filter) { /* a byte of UTF-8 */
        choice->filter[size] = (char)key;
        choice->filter[size + 1] = '\0';
    }
}

/* Where a key moves from `at`, of `count`. */
static size_t moved(size_t at, size_t count, size_t page, uint32_t key)
{
    const size_t last = count > 0 ? count - 1 : 0;
    switch (key) {
    case TOP_KEY_UP:
    case 'k':
        return at > 0 ? at - 1 : 0;
    case TOP_KEY_DOWN:
    case 'j':
        return at < last ? at + 1 : last;
    case TOP_KEY_PAGE_UP:
        return at > page ? at - page : 0;
    case TOP_KEY_PAGE_DOWN:
        return at + page < last ? at + page : last;
    case TOP_KEY_HOME:
        return 0;
    case TOP_KEY_END:
        return last;
    default:
        return at;
    }
}

static void set_mode(struct top_view *view, enum top_mode mode)
{
    view->mode = mode;
    view->offset = 0;
}

/* A key of the table. False: end. */
static bool table_key(struct top_view *view, const struct top_history *history, uint32_t key, size_t page)
{
    struct top_choice *choice = &view->table;
    (void)top_rows_arrange(view, history); /* keys that came together: the one before may have changed the order */
    if (key == 'q' || (key == TOP_KEY_ESCAPE && !*choice->filter))
        return key != 'q';
    if (key == TOP_KEY_ESCAPE)
        choice->filter[0] = '\0';
    else if (key == TOP_KEY_ENTER && view->count > 0) {
        top_rows_choose(view, history, view->chosen);
        set_mode(view, TOP_DETAIL);
        return true;
    } else if (key == 'p') {
        set_mode(view, TOP_PEERS_TABLE);
        return true;
    } else if (key == '/')
        view->typing = true;
    else if (key == 'r')
        choice->reverse = !choice->reverse;
    for (size_t i = 0; i < top_sort_count; i++)
        if (key == (uint32_t)top_sorts[i].key)
            choice->sort = (int)i;
    size_t place = moved(view->chosen, view->count, page, key);
    if (place != view->chosen)
        top_rows_choose(view, history, place);
    return true;
}

/* A key of the peers. */
static void peers_key(struct top_view *view, uint32_t key, size_t page)
{
    struct top_choice *choice = &view->peers;
    if (key == TOP_KEY_ESCAPE && *choice->filter)
        choice->filter[0] = '\0';
    else if (key == 'q' || key == TOP_KEY_ESCAPE || key == TOP_KEY_BACK || key == 'p')
        set_mode(view, TOP_TABLE);
    else if (key == '/')
        view->typing = true;
    else if (key == 'r')
        choice->reverse = !choice->reverse;
    for (size_t i = 0; i < top_peer_sort_count; i++)
        if (key == (uint32_t)top_peer_sorts[i].key)
            choice->sort = (int)i;
    view->offset = moved(view->offset, view->lines, page, key);
}

bool top_view_key(struct top_view *view, const struct top_history *history, uint32_t key)
{
    const int body = view->height - HEAD_LINES - FOOT_LINES;
    const size_t page = body > 1 ? (size_t)body - 1 : 1;
    if (view->typing) {
        type(view, key);
        return true;
    }
    if (view->mode == TOP_HELP) {
        set_mode(view, view->mode_before_help);
        return true;
    }
    if (key == '?') {
        view->mode_before_help = view->mode;
        set_mode(view, TOP_HELP);
        return true;
    }
    if (view->mode == TOP_TABLE)
        return table_key(view, history, key, page);
    if (view->mode == TOP_PEERS_TABLE)
        peers_key(view, key, page);
    else if (key == 'q' || key == TOP_KEY_ESCAPE || key == TOP_KEY_BACK)
        set_mode(view, TOP_TABLE);
    else
        view->offset = moved(view->offset, view->lines, page, key);
    return true;
}
