/* SPDX-License-Identifier: Apache-2.0 */
/* Completions of commands and their flags for shells. */
#include "command/manual.h"

#include "command/help_text.h"

#include <string.h>

typedef void (*flag_fn)(FILE *out, const struct command *command, const struct help_line *line, int size);

/* Calls `put` for each flag of a command; `size`: of its name with --, and with = where a value follows. */
static void each_flag(FILE *out, const struct command *command, flag_fn put)
{
    const char *text = command->help;
    struct help_line line = { .kind = HELP_BLANK };
    while (help_line_next(&text, line.kind, &line)) {
        const char *flag = line.flag;
        while (line.kind == HELP_FLAG && flag < line.flag + line.flag_size && strncmp(flag, "--", 2) == 0) {
            size_t left = (size_t)(line.flag + line.flag_size - flag), size = 0;
            while (size < left && !strchr("= ,[", flag[size]))
                size++;
            struct help_line one = line;
            one.flag = flag;
            one.flag_size = left;
            put(out, command, &one, (int)(size + (size < left && flag[size] == '=')));
            while (size < left && flag[size] != ' ')
                size++;
            flag += size + (size < left); /* "--help, --version" are two */
        }
    }
}

static void put_word(FILE *out, const struct command *command, const struct help_line *line, int size)
{
    (void)command;
    fprintf(out, " %.*s", size, line->flag);
}

static void print_bash(FILE *out, const struct command *commands, size_t count)
{
    fputs("# bash completion of kvtel\n"
          "_kvtel()\n"
          "{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n"
          "    COMPREPLY=()\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "        words=\"",
          out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s ", commands[i].name);
    fputs("help --help --version\"\n"
          "    elif [ \"$before\" = = ] || [ \"$current\" = = ]; then\n"
          "        current=${current#=}\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
          "        return\n"
          "    else\n"
          "        case ${COMP_WORDS[1]} in\n",
          out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "        %s) words=\"", commands[i].name);
        each_flag(out, &commands[i], put_word);
        fputs("\" ;;\n", out);
    }
    fputs("        esac\n"
          "        if [[ $current != -* ]]; then\n"
          "            compopt -o filenames 2>/dev/null\n"
          "            mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
          "            return\n"
          "        fi\n"
          "    fi\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
          "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null\n"
          "    return 0\n"
          "}\n"
          "complete -F _kvtel kvtel\n",
          out);
}

/* Puts a text between single quotes, without what would end them or has a meaning in a description. */
static void put_quoted(FILE *out, const char *text, size_t size)
{
    fputc('\'', out);
    for (size_t i = 0; i < size; i++)
        fputc(strchr("'\\[]:", text[i]) ? ' ' : text[i], out);
    fputc('\'', out);
}

static void put_zsh(FILE *out, const struct command *command, const struct help_line *line, int size)
{
    (void)command;
    fprintf(out, " \\\n            '%.*s", size, line->flag);
    fputs(line->flag[size - 1] == '=' ? "-:value:_files'" : "'", out);
}

static void print_zsh(FILE *out, const struct command *commands, size_t count)
{
    fputs("#compdef kvtel\n"
          "if (( CURRENT == 2 )); then\n"
          "    compadd",
          out);
    for (size_t i = 0; i < count; i++)
        fprintf(out, " %s", commands[i].name);
    fputs(" help\n"
          "else\n"
          "    case ${words[2]} in\n",
          out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "    %s)\n        _arguments", commands[i].name);
        each_flag(out, &commands[i], put_zsh);
        fputs(" \\\n            '*:file:_files' ;;\n", out);
    }
    fputs("    esac\n"
          "fi\n",
          out);
}

static void put_fish(FILE *out, const struct command *command, const struct help_line *line, int size)
{
    const bool has_value = line->flag[size - 1] == '=';
    fprintf(out, "complete -c kvtel -n '__fish_seen_subcommand_from %s' -l %.*s%s -d ", command->name,
            size - 2 - has_value, line->flag + 2, has_value ? " -r" : "");
    put_quoted(out, line->what, line->what_size);
    fputc('\n', out);
}

static void print_fish(FILE *out, const struct command *commands, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "complete -c kvtel -n __fish_use_subcommand -f -a %s -d ", commands[i].name);
        put_quoted(out, commands[i].what, strlen(commands[i].what));
        fputc('\n', out);
        each_flag(out, &commands[i], put_fish);
    }
}

bool command_print_completion(FILE *out, const struct command *commands, size_t count, const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(FILE *out, const struct command *commands, size_t count);
    } shells[] = { { "bash", print_bash }, { "zsh", print_zsh }, { "fish", print_fish } };
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].shell, shell) == 0) {
            shells[i].print(out, commands, count);
            return true;
        }
    return false;
}
