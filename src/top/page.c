/* SPDX-License-Identifier: Apache-2.0 */
/* Lines, fields and bars. */
#include "top/page.h"

#include "base/buffer.h"
#include "base/python.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

enum { LINE_SIZE = 4096, LEVELS = 8, SHOWN = 16 };

static void append(struct top_page *page, const char *text, size_t size, int columns)
{
    if (kvtel_buffer_append(&page->text, text, size) != KVTEL_OK)
        page->failed = true;
    page->column += columns;
}

/* One character as it is shown. Returns its bytes; `columns` is how many columns it takes. */
static size_t show(const struct top_page *page, const char *text, size_t size, uint32_t code, bool valid,
                   char shown[SHOWN], int *columns)
{
    int width = code < 0x80 ? 1 : wcwidth((wchar_t)code);
    if (kvtel_python_is_printable(code) && valid && width >= 0 && (code < 0x80 || page->utf8)) {
        memcpy(shown, text, size);
        *columns = width;
        return size;
    }
    const char *format = code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";
    *columns = valid ? snprintf(shown, SHOWN, format, (unsigned)code) : snprintf(shown, SHOWN, "?");
    return (size_t)*columns;
}

/* Puts as much of the text as fits into `room` columns. Returns the columns that it takes; *cut: something is left. */
static int put(struct top_page *page, const char *text, int room, bool *cut)
{
    int used = 0;
    size_t left = strlen(text);
    *cut = false;
    while (left > 0) {
        char shown[SHOWN];
        uint32_t code;
        bool valid;
        int columns;
        size_t size = kvtel_utf8_next(text, left, &code, &valid);
        size_t bytes = show(page, text, size, code, valid, shown, &columns);
        *cut = used + columns > room;
        if (*cut)
            break;
        append(page, shown, bytes, columns);
        used += columns;
        text += size;
        left -= size;
    }
    return used;
}

static int room_of(const struct top_page *page)
{
    return page->column < page->width ? page->width - page->column : 0;
}

void top_page_style(struct top_page *page, enum top_style style)
{
    char byte = (char)style;
    append(page, &byte, 1, 0);
}

void top_page_put(struct top_page *page, const char *text)
{
    bool cut;
    (void)put(page, text, room_of(page), &cut);
}

void top_page_printf(struct top_page *page, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size >= 0)
        top_page_put(page, line);
}

static void blanks(struct top_page *page, int count)
{
    for (int i = 0; i < count && room_of(page) > 0; i++)
        append(page, " ", 1, 1);
}

/* How many columns the text takes, up to limit + 1. */
static int columns_of(const struct top_page *page, const char *text, int limit)
{
    struct top_page measured = { .width = limit + 1, .utf8 = page->utf8 };
    bool cut;
    int used = put(&measured, text, limit + 1, &cut);
    kvtel_buffer_free(&measured.text);
    return cut ? limit + 1 : used;
}

void top_page_left(struct top_page *page, const char *text, int width)
{
    bool cut;
    width = width < room_of(page) ? width : room_of(page);
    if (width <= 0)
        return;
    if (columns_of(page, text, width) > width) {
        blanks(page, width - 1 - put(page, text, width - 1, &cut));
        append(page, page->utf8 ? "…" : "~", page->utf8 ? strlen("…") : 1, 1);
    } else {
        blanks(page, width - put(page, text, width, &cut));
    }
    blanks(page, 1);
}

void top_page_right(struct top_page *page, const char *text, int width)
{
    blanks(page, width - columns_of(page, text, width));
    top_page_left(page, text, width < columns_of(page, text, width) ? width : columns_of(page, text, width));
}

void top_page_bar(struct top_page *page, double share, int width)
{
    static const char *const eighths[LEVELS] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    width = width < room_of(page) ? width : room_of(page);
    int parts = width > 0 && share > 0 ? (int)(share * width * LEVELS + 0.5) : 0, full;
    parts = parts > width * LEVELS ? width * LEVELS : parts;
    parts = parts == 0 && share > 0 && width > 0 ? 1 : parts; /* what is there is seen */
    if (!page->utf8)
        parts = (parts + LEVELS - 1) / LEVELS * LEVELS;
    full = parts / LEVELS;
    for (int i = 0; i < full; i++)
        append(page, page->utf8 ? "█" : "#", page->utf8 ? strlen("█") : 1, 1);
    if (parts % LEVELS > 0)
        append(page, eighths[parts % LEVELS], strlen(eighths[parts % LEVELS]), 1);
}

void top_page_spark(struct top_page *page, double share)
{
    static const char *const utf8[LEVELS + 1] = { "·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    static const char *const ascii[LEVELS + 1] = { "_", ".", ":", "-", "=", "+", "*", "#", "@" };
    if (room_of(page) == 0)
        return;
    int level = share > 0 ? 1 + (int)(share * LEVELS - 1e-9) : 0;
    level = level > LEVELS ? LEVELS : level;
    const char *shown = !(share >= 0) ? " " : page->utf8 ? utf8[level] : ascii[level];
    append(page, shown, strlen(shown), 1);
}

void top_page_end(struct top_page *page, bool fill)
{
    if (fill)
        blanks(page, room_of(page));
    top_page_style(page, TOP_PLAIN);
    append(page, "\n", 1, 0);
    page->column = 0;
}

/* -- Numbers -- */

/* Three digits and a unit. `factor`: between one unit and the next. */
static void scaled(double value, double factor, const char *const *units, size_t count, char text[static TOP_NUMBER])
{
    size_t unit = 0;
    for (; value >= factor - 0.5 && unit + 1 < count; unit++)
        value /= factor;
    int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    (void)snprintf(text, TOP_NUMBER, "%.*f%s", digits, value, units[unit]);
}

static const char *const powers[] = { "", "k", "M", "G", "T", "P", "E" };

void top_number_count(double value, char text[static TOP_NUMBER])
{
    if (!(value >= 0))
        (void)snprintf(text, TOP_NUMBER, "-");
    else if (value < 9999.5)
        (void)snprintf(text, TOP_NUMBER, "%.0f", value);
    else
        scaled(value, 1000, powers, sizeof powers / sizeof *powers, text);
}

void top_number_rate(double value, char text[static TOP_NUMBER])
{
    if (!(value >= 0))
        (void)snprintf(text, TOP_NUMBER, "-");
    else if (value < 0.005)
        (void)snprintf(text, TOP_NUMBER, value > 0 ? "<0.01" : "0");
    else
        scaled(value, 1000, powers, sizeof powers / sizeof *powers, text);
}

void top_number_bytes(double value, char text[static TOP_NUMBER])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    size_t unit = 0;
    if (!(value >= 0)) {
        (void)snprintf(text, TOP_NUMBER, "-");
        return;
    }
    for (; value >= 1023.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    (void)snprintf(text, TOP_NUMBER, "%.*f%s", unit == 0 || value >= 99.95 ? 0 : 1, value, units[unit]);
}

void top_number_seconds(double value, char text[static TOP_NUMBER])
{
    static const char *const units[] = { "us", "ms", "s" };
    if (!(value >= 0))
        (void)snprintf(text, TOP_NUMBER, "-");
    else if (value < 99.95)
        scaled(value * 1e6, 1000, units, sizeof units / sizeof *units, text);
    else if (value < 5999.5)
        (void)snprintf(text, TOP_NUMBER, "%um%02us", (unsigned)(value + 0.5) / 60, (unsigned)(value + 0.5) % 60);
    else if (value < 359970)
        (void)snprintf(text, TOP_NUMBER, "%uh%02um", (unsigned)(value / 60 + 0.5) / 60,
                       (unsigned)(value / 60 + 0.5) % 60);
    else if (value < 1e9)
        (void)snprintf(text, TOP_NUMBER, "%.0fd", value / 86400);
    else
        (void)snprintf(text, TOP_NUMBER, ">1e9s");
}
