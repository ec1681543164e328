/* SPDX-License-Identifier: Apache-2.0 */
/* Filtering and sorting. */
#include "top/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double by_transfers(const struct top_row *row, bool whole)
{
    return whole && row->flow ? (double)row->flow->transfers : row->transfers_rate;
}

static double by_bytes(const struct top_row *row, bool whole)
{
    return whole && row->flow ? row->flow->bytes : row->bytes_rate;
}

static double by_p50(const struct top_row *row, bool whole)
{
    (void)whole;
    return row->quantiles[0];
}

static double by_p90(const struct top_row *row, bool whole)
{
    (void)whole;
    return row->quantiles[1];
}

static double by_p99(const struct top_row *row, bool whole)
{
    (void)whole;
    return row->quantiles[2];
}

static double by_open(const struct top_row *row, bool whole)
{
    (void)whole;
    return row->open;
}

static double by_failed(const struct top_row *row, bool whole)
{
    (void)whole;
    return (double)row->failed;
}

const struct top_sort top_sorts[] = {
    { "connector", 'c', "connector and engine", NULL },
    { "transfers", 't', "transfers", by_transfers },
    { "bytes", 'b', "bytes", by_bytes },
    { "p50", '5', "P50", by_p50 },
    { "p90", '9', "P90", by_p90 },
    { "p99", 'l', "P99, the slowest", by_p99 },
    { "open", 'o', "transfers in flight", by_open },
    { "failed", 'f', "failures", by_failed },
};
const size_t top_sort_count = sizeof top_sorts / sizeof *top_sorts;

int top_sort_find(const char *name)
{
    for (size_t i = 0; i < top_sort_count; i++)
        if (strcmp(top_sorts[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool passes(const struct top_row *row, const char *filter)
{
    return strcasestr(row->entry->connector, filter) || strcasestr(row->entry->model, filter) ||
           strcasestr(row->entry->engine, filter) || (row->flow && strcasestr(row->flow->name, filter));
}

int top_rows_compare(double left, double right, bool reverse)
{
    if (isnan(left) || isnan(right))
        return isnan(left) - isnan(right);
    return left > right ? (reverse ? 1 : -1) : left < right ? (reverse ? -1 : 1) : 0;
}

struct sorting {
    const struct top_history *history;
    const struct top_sort *sort;
    bool reverse;
};

/* The larger first, what is not known last, equal ones in the summary's order. */
static int compare(const void *a, const void *b, void *context)
{
    const struct sorting *sorting = context;
    const size_t one = *(const size_t *)a, other = *(const size_t *)b;
    const int in_order = one < other ? -1 : 1;
    if (!sorting->sort->value)
        return sorting->reverse ? -in_order : in_order;
    const double left = sorting->sort->value(&sorting->history->rows[one], sorting->history->whole);
    const double right = sorting->sort->value(&sorting->history->rows[other], sorting->history->whole);
    const int order = top_rows_compare(left, right, sorting->reverse);
    return order != 0 ? order : in_order;
}

static char *key_of(const struct top_row *row)
{
    char *key = NULL;
    return asprintf(&key, "%s\n%s\n%s\n%s", row->entry->connector, row->entry->engine, row->entry->model,
                    row->flow ? row->flow->name : "") < 0
               ? NULL
               : key;
}

/* The place of the row that was chosen, or SIZE_MAX. */
static size_t find_chosen(const struct top_view *view, const struct top_history *history)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; view->chosen_key && i < view->count && found == SIZE_MAX; i++) {
        char *key = key_of(&history->rows[view->order[i]]);
        if (key && strcmp(key, view->chosen_key) == 0)
            found = i;
        free(key);
    }
    return found;
}

/* Makes room for the places of all rows. */
static bool reserve_order(struct top_view *view, size_t wanted)
{
    if (wanted <= view->order_room)
        return true;
    size_t *larger = realloc(view->order, wanted * sizeof *larger);
    if (!larger)
        return false;
    view->order = larger;
    view->order_room = wanted;
    return true;
}

bool top_rows_arrange(struct top_view *view, const struct top_history *history)
{
    const struct top_choice *choice = &view->table;
    struct sorting sorting = { .history = history, .sort = &top_sorts[choice->sort], .reverse = choice->reverse };
    const bool good = reserve_order(view, history->row_count);
    view->count = 0;
    for (size_t i = 0; good && i < history->row_count; i++)
        if (passes(&history->rows[i], choice->filter))
            view->order[view->count++] = i;
    if (view->count > 0) /* there may be no memory for an order */
        qsort_r(view->order, view->count, sizeof *view->order, compare, &sorting);
    size_t chosen = find_chosen(view, history);
    view->chosen = chosen != SIZE_MAX ? chosen : view->chosen;
    if (view->chosen >= view->count)
        view->chosen = view->count > 0 ? view->count - 1 : 0;
    return good;
}

void top_rows_choose(struct top_view *view, const struct top_history *history, size_t place)
{
    if (view->count == 0)
        return;
    view->chosen = place < view->count ? place : view->count - 1;
    free(view->chosen_key);
    view->chosen_key = key_of(&history->rows[view->order[view->chosen]]);
}

const struct top_row *top_rows_chosen(const struct top_view *view, const struct top_history *history)
{
    return view->count > 0 ? &history->rows[view->order[view->chosen]] : NULL;
}
