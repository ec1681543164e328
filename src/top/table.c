/* SPDX-License-Identifier: Apache-2.0 */
/* The columns, which widen with the terminal. */
#include "top/table.h"

#include <math.h>
#include <string.h>

enum column { CONNECTOR, MODEL, ENGINE, FLOW, TRANSFERS, BYTES, P50, P90, P99, OPEN, FAILED, SPARK, CLASSES, COLUMNS };

/* What each column takes of the width: `least` always (0: it is left out), up to `more` of what is left, in the order
 * of `rank`; a column that is left out comes in when there is room for all of it. */
static const struct {
    const char *name, *whole_name; /* the latter: the column has what was counted since the beginning */
    int least, more, rank;
    bool right;
} columns[COLUMNS] = {
    [CONNECTOR] = { "CONNECTOR", "CONNECTOR", 13, 12, 0, false },
    [MODEL] = { "MODEL", "MODEL", 0, 24, 3, false },
    [ENGINE] = { "ENG", "ENG", 3, 5, 2, false },
    [FLOW] = { "FLOW", "FLOW", 8, 8, 1, false },
    [TRANSFERS] = { "XFER/s", "XFERS", 6, 0, 9, true },
    [BYTES] = { "BYTES/s", "BYTES", 7, 0, 9, true },
    [P50] = { "P50", "P50", 6, 0, 9, true },
    [P90] = { "P90", "P90", 6, 0, 9, true },
    [P99] = { "P99", "P99", 6, 0, 9, true },
    [OPEN] = { "OPEN", "OPEN", 4, 0, 9, true },
    [FAILED] = { "FAIL", "FAIL", 5, 0, 9, true },
    [SPARK] = { "TREND", "", 6, 54, 5, false },
    [CLASSES] = { "FAILED BY CLASS", "FAILED BY CLASS", 0, 30, 4, false },
};

/* Divides the width. */
static void divide(int width, bool whole, int widths[COLUMNS])
{
    int left = width;
    for (int i = 0; i < COLUMNS; i++) {
        widths[i] = whole && i == SPARK ? 0 : columns[i].least;
        left -= widths[i] > 0 ? widths[i] + 1 : 0;
    }
    left++; /* nothing stands behind the last */
    for (int rank = 0; rank < COLUMNS; rank++) {
        for (int i = 0; i < COLUMNS; i++) {
            const bool is_new = columns[i].least == 0;
            int more = columns[i].more;
            if (columns[i].rank != rank || left <= 0 || (whole && i == SPARK) || (is_new && left < more + 1))
                continue;
            more = more < left ? more : left;
            widths[i] += more;
            left -= more + is_new;
        }
    }
}

void top_table_head(struct top_page *page, bool whole)
{
    int widths[COLUMNS];
    divide(page->width, whole, widths);
    top_page_style(page, TOP_HEAD);
    for (int i = 0; i < COLUMNS; i++) {
        const char *name = whole ? columns[i].whole_name : columns[i].name;
        if (widths[i] > 0)
            (columns[i].right ? top_page_right : top_page_left)(page, name, widths[i]);
    }
    top_page_end(page, !whole);
}

static void put_number(struct top_page *page, int width, enum top_style style, const char *text)
{
    top_page_style(page, style);
    top_page_right(page, text, width);
}

/* The sparkline, as high as the largest of its own values. */
static void put_spark(struct top_page *page, const struct top_history *history, const struct top_row *row, int width)
{
    double most = 0;
    for (int i = 0; i < width; i++) {
        double rate = top_history_spark(history, row, (size_t)i, (size_t)width);
        most = rate > most ? rate : most;
    }
    for (int i = 0; i < width; i++) {
        double rate = top_history_spark(history, row, (size_t)i, (size_t)width);
        top_page_spark(page, most > 0 ? rate / most : rate);
    }
    top_page_put(page, " ");
}

static void put_numbers(struct top_page *page, const struct top_row *row, bool whole, enum top_style plain,
                        const int widths[COLUMNS])
{
    const struct top_flow *flow = row->flow;
    char text[TOP_NUMBER];
    if (whole)
        top_number_count(flow && flow->has_transfers ? (double)flow->transfers : (double)NAN, text);
    else
        top_number_rate(row->transfers_rate, text);
    put_number(page, widths[TRANSFERS], plain, text);
    top_number_bytes(!whole ? row->bytes_rate : flow && flow->has_bytes ? flow->bytes : (double)NAN, text);
    put_number(page, widths[BYTES], plain, text);
    for (int i = 0; i < TOP_QUANTILES; i++) {
        top_number_seconds(row->quantiles[i], text);
        put_number(page, widths[P50 + i], plain, text);
    }
    top_number_count(row->open, text);
    put_number(page, widths[OPEN], plain, text);
    top_number_count(row->has_window ? (double)row->failed : (double)NAN, text);
    put_number(page, widths[FAILED], plain == TOP_PLAIN && row->failed > 0 ? TOP_BAD : plain, text);
}

void top_table_row(struct top_page *page, const struct top_history *history, const struct top_row *row, bool is_chosen)
{
    const enum top_style plain = is_chosen ? TOP_CHOSEN : TOP_PLAIN;
    const bool whole = history->whole;
    char classes[512];
    int widths[COLUMNS];
    divide(page->width, whole, widths);
    top_page_style(page, plain);
    top_page_left(page, row->entry->connector, widths[CONNECTOR]);
    top_page_left(page, row->entry->model, widths[MODEL]);
    top_page_left(page, row->entry->engine, widths[ENGINE]);
    top_page_left(page, row->flow ? row->flow->name : "-", widths[FLOW]);
    put_numbers(page, row, whole, plain, widths);
    if (widths[SPARK] > 0) {
        top_page_style(page, is_chosen ? plain : TOP_GRAPH);
        put_spark(page, history, row, widths[SPARK]);
    }
    if (widths[CLASSES] > 0) {
        top_history_failures(row, whole, classes, sizeof classes);
        top_page_style(page, is_chosen ? plain : TOP_BAD);
        top_page_left(page, row->has_window ? classes : "", widths[CLASSES]);
    }
    top_page_style(page, plain);
    top_page_end(page, is_chosen);
}
