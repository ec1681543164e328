/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of text for a terminal: cut at its width, with styles between them. The only way of a text to the terminal:
 * unprintable characters are escaped here. One thread at a time. */
#ifndef KVTEL_TOP_PAGE_H
#define KVTEL_TOP_PAGE_H

#include <kvtel/base.h>
#include <kvtel/buffer.h>

/* Styles. In `text` a style is one byte of this value, which escaped text never contains. */
enum top_style { TOP_PLAIN = 1, TOP_TITLE, TOP_HEAD, TOP_CHOSEN, TOP_BAD, TOP_WARN, TOP_GRAPH, TOP_SOFT, TOP_STYLES };

/* Start from {0} with a width. */
struct top_page {
    struct kvtel_buffer text; /* lines, each with its \n */
    int width;                /* columns */
    int column;               /* of the next character */
    bool utf8;                /* the terminal takes UTF-8; false: ASCII alone */
    bool failed;              /* no memory: something is missing */
};

void top_page_style(struct top_page *page, enum top_style style);
/* Puts a text from anywhere, as far as the line has room. */
void top_page_put(struct top_page *page, const char *text);
void top_page_printf(struct top_page *page, const char *format, ...) KVTEL_PRINTF(2, 3);
/* Puts a text into a field: cut, with a mark at its end, or filled up with blanks on its right, or on its left. A blank
 * follows. */
void top_page_left(struct top_page *page, const char *text, int width);
void top_page_right(struct top_page *page, const char *text, int width);
/* Puts a bar of `share` (0 to 1) of `width` columns. */
void top_page_bar(struct top_page *page, double share, int width);
/* Puts one column of a sparkline, `share` (0 to 1) high; NaN: nothing is known. */
void top_page_spark(struct top_page *page, double share);
/* Ends the line; `fill`: with blanks up to the width, so that a style covers the whole line. */
void top_page_end(struct top_page *page, bool fill);

/* Numbers as texts that take at most 7 columns; "-" for NaN. */
enum { TOP_NUMBER = 24 };
void top_number_count(double value, char text[static TOP_NUMBER]);   /* 12, 9999, 12.3k */
void top_number_rate(double value, char text[static TOP_NUMBER]);    /* 0.25, 12.3, 12.3k */
void top_number_bytes(double value, char text[static TOP_NUMBER]);   /* 512B, 1.5MiB */
void top_number_seconds(double value, char text[static TOP_NUMBER]); /* 950us, 1.23ms, 12.3s, 5m02s, 3h05m */

#endif
