/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the text that --help prints, line by line. */
#ifndef KVTEL_COMMAND_HELP_TEXT_H
#define KVTEL_COMMAND_HELP_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum help_kind {
    HELP_BLANK,
    HELP_TEXT,   /* from the first column on */
    HELP_FLAG,   /* a flag, and where it begins on the same line, what it does */
    HELP_MORE,   /* goes on with what the flag above does */
    HELP_EXAMPLE /* another line that is indented */
};

/* One line. Texts are borrowed from the help text and end by their sizes. */
struct help_line {
    enum help_kind kind;
    const char *text; /* of the line, without its indentation */
    size_t size;
    const char *flag; /* HELP_FLAG: its first word, "--json" or "--store.dir=DIR" */
    size_t flag_size;
    const char *what; /* HELP_FLAG: what it does; may be empty */
    size_t what_size;
};

/* Reads the line at `*text` and moves on to the next. `kind`: of the line before. False: the text ends. */
bool help_line_next(const char **text, enum help_kind before, struct help_line *line);

#endif
