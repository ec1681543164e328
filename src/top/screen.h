/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal, by ncurses. One thread. */
#ifndef KVTEL_TOP_SCREEN_H
#define KVTEL_TOP_SCREEN_H

#include "top/page.h"

/* Whether the locale, which this sets from the environment for characters alone, is UTF-8. */
bool top_screen_is_utf8(void);
/* Takes the terminal. KVTEL_OK; KVTEL_E_UNKNOWN: standard input or output is not a terminal, or not a known one:
 * `error` has a sentence. */
enum kvtel_status top_screen_open(struct kvtel_error *error);
/* Gives the terminal back as it was. It may be called twice, and without top_screen_open(). */
void top_screen_close(void);
/* Takes the terminal again after top_screen_close(), as when the process was stopped. */
void top_screen_resume(void);
/* The terminal's size may have changed. */
void top_screen_resize(void);
int top_screen_width(void);
int top_screen_height(void);
void top_screen_show(const struct top_page *page);
/* The next key that was pressed, as top/view.h has it; 0: none. */
uint32_t top_screen_key(void);

#endif
