/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of lines of a help text. */
#include "command/help_text.h"

#include <string.h>

enum { FLAG_INDENT = 2, MORE_INDENT = 6 };

static void read_flag(struct help_line *line)
{
    const char *end = line->text + line->size, *at = line->text;
    line->kind = HELP_FLAG;
    line->flag = line->text;
    /* two blanks end the flags; one is within them */
    while (at < end && !(at[0] == ' ' && at + 1 < end && at[1] == ' '))
        at++;
    line->flag_size = (size_t)(at - line->text);
    while (at < end && *at == ' ')
        at++;
    line->what = at;
    line->what_size = (size_t)(end - at);
}

bool help_line_next(const char **text, enum help_kind before, struct help_line *line)
{
    if (!**text)
        return false;
    size_t size = strcspn(*text, "\n"), indent = strspn(*text, " ");
    indent = indent < size ? indent : size;
    *line = (struct help_line){ .text = *text + indent, .size = size - indent };
    *text += size + ((*text)[size] == '\n');
    const bool goes_on = before == HELP_FLAG || before == HELP_MORE;
    if (line->size == 0)
        line->kind = HELP_BLANK;
    else if (indent == 0)
        line->kind = HELP_TEXT;
    else if (indent == FLAG_INDENT && strncmp(line->text, "--", 2) == 0)
        read_flag(line);
    else
        line->kind = goes_on && indent >= MORE_INDENT ? HELP_MORE : HELP_EXAMPLE;
    return true;
}
