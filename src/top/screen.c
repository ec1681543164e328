/* SPDX-License-Identifier: Apache-2.0 */
/* Draws pages and reads keys. */
#include "top/screen.h"

#include "base/error.h"
#include "top/view.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { RED = 1, YELLOW, CYAN, ESCAPE_MS = 25, ESCAPE = 27 };

static SCREEN *screen;
static attr_t attributes[TOP_STYLES];

bool top_screen_is_utf8(void)
{
    return setlocale(LC_CTYPE, "") && strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static void choose_attributes(void)
{
    const char *none = getenv("NO_COLOR");
    const bool colors = !(none && *none) && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (colors) {
        init_pair(RED, COLOR_RED, -1);
        init_pair(YELLOW, COLOR_YELLOW, -1);
        init_pair(CYAN, COLOR_CYAN, -1);
    }
    attributes[TOP_TITLE] = A_BOLD;
    attributes[TOP_HEAD] = A_REVERSE;
    attributes[TOP_CHOSEN] = A_REVERSE;
    attributes[TOP_BAD] = A_BOLD | (colors ? COLOR_PAIR(RED) : 0);
    attributes[TOP_WARN] = A_BOLD | (colors ? COLOR_PAIR(YELLOW) : 0);
    attributes[TOP_GRAPH] = colors ? COLOR_PAIR(CYAN) : A_NORMAL;
    attributes[TOP_SOFT] = A_DIM;
}

enum kvtel_status top_screen_open(struct kvtel_error *error)
{
    const char *name = getenv("TERM");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return kvtel_fail(error, KVTEL_E_UNKNOWN, 0, "standard %s is not a terminal; --once prints a table without one",
                          isatty(STDOUT_FILENO) ? "input" : "output");
    set_escdelay(ESCAPE_MS);
    screen = name && *name ? newterm(NULL, stdout, stdin) : NULL;
    if (!screen)
        return kvtel_fail(error, KVTEL_E_UNKNOWN, 0,
                          "this terminal is not known (TERM is \"%.60s\"); --once prints a table without one",
                          name ? name : "");
    choose_attributes();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    curs_set(0);
    return KVTEL_OK;
}

void top_screen_close(void)
{
    if (screen && !isendwin())
        endwin();
}

void top_screen_resume(void)
{
    if (!screen)
        return;
    top_screen_resize();
    clearok(stdscr, TRUE);
    refresh();
}

void top_screen_resize(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
        resizeterm(size.ws_row, size.ws_col);
}

int top_screen_width(void)
{
    return getmaxx(stdscr);
}

int top_screen_height(void)
{
    return getmaxy(stdscr);
}

void top_screen_show(const struct top_page *page)
{
    int line = 0;
    size_t at = 0;
    erase();
    move(0, 0);
    for (size_t i = 0; i <= page->text.size; i++) {
        const bool is_end = i == page->text.size;
        const unsigned char byte = is_end ? '\n' : (unsigned char)page->text.bytes[i];
        if (!is_end && byte != '\n' && byte >= TOP_STYLES)
            continue;
        if (i > at)
            addnstr(page->text.bytes + at, (int)(i - at));
        at = i + 1;
        if (byte == '\n')
            move(++line, 0);
        else
            attrset((int)attributes[byte]);
    }
    attrset(A_NORMAL);
    refresh();
}

uint32_t top_screen_key(void)
{
    static const struct {
        int code;
        uint32_t key;
    } keys[] = {
        { KEY_UP, TOP_KEY_UP },           { KEY_DOWN, TOP_KEY_DOWN }, { KEY_PPAGE, TOP_KEY_PAGE_UP },
        { KEY_NPAGE, TOP_KEY_PAGE_DOWN }, { KEY_HOME, TOP_KEY_HOME }, { KEY_END, TOP_KEY_END },
        { KEY_ENTER, TOP_KEY_ENTER },     { '\r', TOP_KEY_ENTER },    { '\n', TOP_KEY_ENTER },
        { KEY_BACKSPACE, TOP_KEY_BACK },  { 0x7f, TOP_KEY_BACK },     { '\b', TOP_KEY_BACK },
        { ESCAPE, TOP_KEY_ESCAPE },
    };
    int code;
    while ((code = getch()) != ERR) {
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (keys[i].code == code)
                return keys[i].key;
        if (code > 0 && code < 0x100)
            return (uint32_t)code;
    }
    return 0;
}
