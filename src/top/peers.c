/* SPDX-License-Identifier: Apache-2.0 */
/* Peers: filtered, sorted, and as lines. */
#include "top/peers.h"

#include "top/rows.h"

#include <stdlib.h>
#include <string.h>

/* -- Sorting -- */

static double by_transfers(const struct top_peer_row *row)
{
    return row->transfers_rate;
}

static double by_bytes(const struct top_peer_row *row)
{
    return row->bytes_rate;
}

static double by_open(const struct top_peer_row *row)
{
    return (double)row->peer->open;
}

static double by_oldest(const struct top_peer_row *row)
{
    return row->peer->oldest_seconds;
}

static double by_failed(const struct top_peer_row *row)
{
    return (double)row->peer->failed;
}

static double by_unseen(const struct top_peer_row *row)
{
    return (double)row->peer->unseen;
}

const struct top_peer_sort top_peer_sorts[] = {
    { "name", 'c', "name", NULL },
    { "transfers", 't', "transfers", by_transfers },
    { "bytes", 'b', "bytes", by_bytes },
    { "open", 'o', "transfers in flight", by_open },
    { "oldest", 'l', "oldest in flight", by_oldest },
    [TOP_PEER_SORT_FIRST] = { "failed", 'f', "failures", by_failed },
    { "unseen", 'u', "ends that nobody saw", by_unseen },
};
const size_t top_peer_sort_count = sizeof top_peer_sorts / sizeof *top_peer_sorts;

struct sorting {
    const struct top_history *history;
    const struct top_peer_sort *sort;
    bool reverse;
};

/* Equal ones are in the summary's order. */
static int compare(const void *a, const void *b, void *context)
{
    const struct sorting *sorting = context;
    const size_t one = *(const size_t *)a, other = *(const size_t *)b;
    const struct top_peer_row *left = &sorting->history->peers[one], *right = &sorting->history->peers[other];
    int order;
    if (sorting->sort->value)
        order = top_rows_compare(sorting->sort->value(left), sorting->sort->value(right), sorting->reverse);
    else
        order = strcmp(left->peer->name, right->peer->name) * (sorting->reverse ? -1 : 1);
    return order != 0 ? order : one < other ? -1 : 1;
}

/* -- Lines -- */

enum column { PEER, RATE, BYTES_RATE, TRANSFERS, BYTES, FAILED, UNSEEN, OPEN, OLDEST, COLUMNS };
enum { PEER_LEAST = 8, PEER_MOST = 48 };
static const struct {
    const char *name;
    int width; /* 0: what the others leave */
} columns[COLUMNS] = {
    [PEER] = { "PEER", 0 },       [RATE] = { "XFER/s", 6 }, [BYTES_RATE] = { "BYTES/s", 7 },
    [TRANSFERS] = { "XFERS", 6 }, [BYTES] = { "BYTES", 7 }, [FAILED] = { "FAIL", 6 },
    [UNSEEN] = { "UNSEEN", 6 },   [OPEN] = { "OPEN", 5 },   [OLDEST] = { "OLDEST", 6 },
};

static int peer_width(const struct top_page *page)
{
    int left = page->width;
    for (int i = 0; i < COLUMNS; i++)
        left -= columns[i].width > 0 ? columns[i].width + 1 : 0;
    return left < PEER_LEAST ? PEER_LEAST : left > PEER_MOST ? PEER_MOST : left;
}

void top_peers_head(struct top_page *page)
{
    top_page_style(page, TOP_HEAD);
    top_page_left(page, columns[PEER].name, peer_width(page));
    for (int i = RATE; i < COLUMNS; i++)
        top_page_right(page, columns[i].name, columns[i].width);
    top_page_end(page, true);
}

static void put_row(struct top_page *page, const struct top_peer_row *row)
{
    const struct top_peer *peer = row->peer;
    char texts[COLUMNS][TOP_NUMBER];
    top_number_rate(row->transfers_rate, texts[RATE]);
    top_number_bytes(row->bytes_rate, texts[BYTES_RATE]);
    top_number_count((double)peer->transfers, texts[TRANSFERS]);
    top_number_bytes(peer->bytes, texts[BYTES]);
    top_number_count((double)peer->failed, texts[FAILED]);
    top_number_count((double)peer->unseen, texts[UNSEEN]);
    top_number_count((double)peer->open, texts[OPEN]);
    top_number_seconds(peer->open > 0 ? peer->oldest_seconds : -1, texts[OLDEST]);
    top_page_style(page, TOP_PLAIN);
    top_page_left(page, *peer->name ? peer->name : "-", peer_width(page));
    for (int i = RATE; i < COLUMNS; i++) {
        top_page_style(page, i == FAILED && row->failed > 0 ? TOP_BAD : TOP_PLAIN);
        top_page_right(page, texts[i], columns[i].width);
    }
    top_page_style(page, TOP_PLAIN);
    top_page_end(page, false);
}

static void put_nothing(struct top_page *page, const struct top_history *history)
{
    static const char *const lines[] = {
        "no transfer had a peer: NIXL's plug-in counts peers, and writers name",
        "the peers of transfers in flight",
    };
    if (history->peer_count > 0) {
        top_page_put(page, "no peer contains the filter's text");
        top_page_end(page, false);
        return;
    }
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        top_page_put(page, lines[i]);
        top_page_end(page, false);
    }
}

void top_peers_put(struct top_page *page, const struct top_history *history, const struct top_choice *choice)
{
    struct sorting sorting = { .history = history, .sort = &top_peer_sorts[choice->sort], .reverse = choice->reverse };
    size_t order[TOP_PEERS], count = 0;
    for (size_t i = 0; i < history->peer_count; i++)
        if (strcasestr(history->peers[i].peer->name, choice->filter))
            order[count++] = i;
    qsort_r(order, count, sizeof *order, compare, &sorting);
    for (size_t i = 0; i < count; i++)
        put_row(page, &history->peers[order[i]]);
    if (count == 0)
        put_nothing(page, history);
}
