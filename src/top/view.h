/* SPDX-License-Identifier: Apache-2.0 */
/* What is on the screen: the table, one engine's detail, the peers, or the help; and what keys do to it. One thread at
 * a time. */
#ifndef KVTEL_TOP_VIEW_H
#define KVTEL_TOP_VIEW_H

#include "top/history.h"
#include "top/page.h"

enum top_mode { TOP_TABLE, TOP_DETAIL, TOP_PEERS_TABLE, TOP_HELP };
enum { TOP_FILTER = 128, TOP_MESSAGE = 600 };

/* Keys that are not characters. */
enum top_key {
    TOP_KEY_UP = 0x110000,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_ENTER,
    TOP_KEY_BACK, /* backspace */
    TOP_KEY_ESCAPE
};

/* Which lines of a table are shown, and how they are sorted. */
struct top_choice {
    int sort; /* index of a sort key */
    bool reverse;
    char filter[TOP_FILTER]; /* "": all */
};

/* Start from top_view_init(). */
struct top_view {
    const char *source;        /* where the numbers come from; borrowed */
    char message[TOP_MESSAGE]; /* what is wrong now; "": nothing */
    enum top_mode mode, mode_before_help;
    struct top_choice table, peers;
    bool typing;      /* the filter of what is shown is being typed */
    size_t chosen;    /* place of the chosen row among those shown */
    char *chosen_key; /* its entry and flow, which it is found by again; NULL: none yet */
    size_t offset;    /* the first row, or line of the detail or of the peers, that is on the screen */
    size_t *order;    /* rows that are shown, sorted */
    size_t count, order_room;
    size_t lines; /* that the detail, or the list of peers, has */
    int height;   /* of the screen, as last drawn */
};

/* Makes the view of a source that shows the table. */
void top_view_init(struct top_view *view, const char *source);
/* The sort key of a name ("connector", "transfers", "bytes", "p50", "p90", "p99", "open", "failed"), or -1. */
int top_sort_find(const char *name);

/* Draws the whole screen: `height` lines of the page's width. */
void top_view_draw(struct top_view *view, const struct top_history *history, struct top_page *page, int height);
/* Writes the table of one summary, for a file or a pipe: a line for each row, with the counts since they began. */
void top_view_once(struct top_view *view, const struct top_history *history, struct top_page *page);
/* What a key does; a code point or one of those above. False: kvtel top ends. */
bool top_view_key(struct top_view *view, const struct top_history *history, uint32_t key);
void top_view_close(struct top_view *view);

#endif
