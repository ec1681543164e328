/* SPDX-License-Identifier: Apache-2.0 */
/* Manual pages in man(7)'s macros. */
#include "command/manual.h"

#include "command/help_text.h"

#include <kvtel/base.h>
#include <string.h>

#define EXIT_CODES "exit codes: "

/* Puts a text that man(1) shows as it is. */
static void put(FILE *out, const char *text, size_t size)
{
    if (size > 0 && (*text == '.' || *text == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else
            fputc(text[i], out);
    }
}

static void put_line(FILE *out, const char *text, size_t size)
{
    put(out, text, size);
    fputc('\n', out);
}

static bool begins(const struct help_line *line, const char *with)
{
    return line->size >= strlen(with) && memcmp(line->text, with, strlen(with)) == 0;
}

static void put_heading(FILE *out, const char *name, const char *what, const char *synopsis, size_t size)
{
    fprintf(out, ".TH \"%s\" 1 \"\" \"kvtel %s\" \"kvtel\"\n.SH NAME\n", name, kvtel_version());
    put(out, name, strlen(name));
    fputs(" \\- ", out);
    put_line(out, what, strlen(what));
    fputs(".SH SYNOPSIS\n.B ", out);
    put_line(out, synopsis, size);
}

/* Puts a line. `*verbatim`: lines are shown as they are now. `next`: of the line below. */
static void put_help_line(FILE *out, const struct help_line *line, enum help_kind below, bool *verbatim)
{
    if (*verbatim && line->kind != HELP_EXAMPLE) {
        fputs(".fi\n.RE\n", out);
        *verbatim = false;
    } else if (!*verbatim && line->kind == HELP_EXAMPLE) {
        fputs(".RS\n.nf\n", out);
        *verbatim = true;
    }
    if (line->kind == HELP_BLANK) {
        fputs(".PP\n", out);
    } else if (line->kind == HELP_FLAG) {
        fputs(".TP\n.B ", out);
        put_line(out, line->flag, line->flag_size);
        if (line->what_size > 0)
            put_line(out, line->what, line->what_size);
    } else if (begins(line, EXIT_CODES)) {
        fputs(".SH EXIT STATUS\n", out);
        put_line(out, line->text + strlen(EXIT_CODES), line->size - strlen(EXIT_CODES));
    } else if (line->kind == HELP_TEXT && (below == HELP_FLAG || below == HELP_EXAMPLE)) {
        fputs(".SS ", out);
        put_line(out, line->text, line->size - (line->text[line->size - 1] == ':'));
    } else {
        put_line(out, line->text, line->size);
    }
}

static void put_help(FILE *out, const char *text)
{
    struct help_line line, next;
    bool verbatim = false, more = help_line_next(&text, HELP_BLANK, &next);
    enum help_kind before = HELP_TEXT;
    while (more) {
        line = next;
        more = help_line_next(&text, line.kind, &next);
        enum help_kind below = more ? next.kind : HELP_BLANK;
        /* a blank line begins a paragraph only above a text */
        const bool is_paragraph = before != HELP_EXAMPLE && below == HELP_TEXT && !begins(&next, EXIT_CODES);
        if (line.kind != HELP_BLANK || is_paragraph)
            put_help_line(out, &line, below, &verbatim);
        before = line.kind == HELP_BLANK ? before : line.kind;
    }
    if (verbatim)
        fputs(".fi\n.RE\n", out);
}

static void print_program(FILE *out, const struct command *commands, size_t count)
{
    static const char synopsis[] = "kvtel COMMAND [ARGUMENT...]";
    put_heading(out, "kvtel", "KV-cache transfer telemetry for LLM inference", synopsis, strlen(synopsis));
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, ".TP\n.BR kvtel\\-%s (1)\n", commands[i].name);
        put_line(out, commands[i].what, strlen(commands[i].what));
    }
    fputs(".SH EXIT STATUS\n0 good, 1 failed, 2 wrong usage\n", out);
}

void command_print_manual(FILE *out, const struct command *commands, size_t count, const struct command *command)
{
    char name[64];
    if (!command) {
        print_program(out, commands, count);
        return;
    }
    const char *usage = command->help + strlen("usage: ");
    size_t size = strcspn(usage, "\n");
    (void)snprintf(name, sizeof name, "kvtel-%s", command->name);
    put_heading(out, name, command->what, usage, size);
    fputs(".SH DESCRIPTION\n", out);
    put_help(out, usage + size + strspn(usage + size, "\n"));
    fputs(".SH SEE ALSO\n.BR kvtel (1)\n", out);
}
