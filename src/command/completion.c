/* SPDX-License-Identifier: Apache-2.0 */
/* Completions of commands and their flags for shells. */
#include "command/manual.h"

#include "command/help_text.h"

#include <string.h>

/* What a flag takes, by the word behind its =, which the help shows. */
enum value { VALUE_NONE, VALUE_FILE, VALUE_DIR, VALUE_CHOICE, VALUE_OTHER };

/* Flags whose values are words. */
static const struct choice {
    const char *flag, *values;
} choices[] = {
    { "--log.style=", "default vllm" },
    { "--log.level=", "debug info warn error" },
    { "--log.format=", "logfmt json" },
    { "--metrics.histograms=", "both classic native" },
    { "--metrics.format=", "text openmetrics protobuf" },
    { "--sort=", "connector transfers bytes p50 p90 p99 open failed" },
};

/* Commands that take arguments: files, or words. */
#define FILES ""
#define CONNECTORS "$(kvtel connectors 2>/dev/null | cut -d' ' -f1)"
static const struct argument {
    const char *command, *words;
} arguments[] = {
    { "dump", FILES },
    { "replay", FILES },
    { "check", FILES },
    { "nixl", "install status uninstall" },
    { "connectors", CONNECTORS },
};

static const char *choice_of(const struct help_line *line, int size)
{
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        if ((size_t)size == strlen(choices[i].flag) && strncmp(line->flag, choices[i].flag, (size_t)size) == 0)
            return choices[i].values;
    return NULL;
}

/* `size`: of the flag with its =. */
static enum value value_of(const struct help_line *line, int size)
{
    const char *takes = line->flag + size;
    const size_t left = line->flag_size - (size_t)size;
    if (line->flag[size - 1] != '=')
        return VALUE_NONE;
    if (left >= 4 && strncmp(takes, "FILE", 4) == 0)
        return VALUE_FILE;
    if (left >= 3 && strncmp(takes, "DIR", 3) == 0)
        return VALUE_DIR;
    return choice_of(line, size) ? VALUE_CHOICE : VALUE_OTHER;
}

/* NULL: the command takes no argument. */
static const char *argument_of(const struct command *command)
{
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        if (strcmp(command->name, arguments[i].command) == 0)
            return arguments[i].words;
    return NULL;
}

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

static void put_bash_value(FILE *out, const struct command *command, const struct help_line *line, int size)
{
    static const char *const kinds[] = { [VALUE_FILE] = "kind=-f", [VALUE_DIR] = "kind=-d" };
    const enum value value = value_of(line, size);
    if (value == VALUE_FILE || value == VALUE_DIR)
        fprintf(out, "        %s%.*s) %s ;;\n", command->name, size - 1, line->flag, kinds[value]);
    if (value == VALUE_CHOICE)
        fprintf(out, "        %s%.*s) words='%s' ;;\n", command->name, size - 1, line->flag, choice_of(line, size));
}

static void put_names(FILE *out, const struct command *commands, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s ", commands[i].name);
}

/* bash makes words of "--flag", "=" and "value". */
static void print_bash(FILE *out, const struct command *commands, size_t count)
{
    fputs("# bash completion of kvtel\n"
          "_kvtel()\n"
          "{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words= kind= flag=\n"
          "    COMPREPLY=()\n"
          "    [[ $current = = ]] && flag=$before\n"
          "    [[ $before = = ]] && flag=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
          "        words=\"",
          out);
    put_names(out, commands, count);
    fputs("help --help --version\"\n"
          "    elif [ -n \"$flag\" ]; then\n"
          "        current=${current#=}\n"
          "        case ${COMP_WORDS[1]}$flag in\n",
          out);
    for (size_t i = 0; i < count; i++)
        each_flag(out, &commands[i], put_bash_value);
    fputs("        esac\n"
          "    elif [[ $current = -* ]]; then\n"
          "        case ${COMP_WORDS[1]} in\n",
          out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "        %s) words=\"", commands[i].name);
        each_flag(out, &commands[i], put_word);
        fputs("\" ;;\n", out);
    }
    fputs("        help) words=\"--man --completion\" ;;\n"
          "        esac\n"
          "    else\n"
          "        case ${COMP_WORDS[1]} in\n"
          "        help) [[ $before = --completion ]] && words=\"bash zsh fish\" || words=\"",
          out);
    put_names(out, commands, count);
    fputs("\" ;;\n", out);
    for (size_t i = 0; i < count; i++) {
        const char *words = argument_of(&commands[i]);
        if (words)
            fprintf(out, *words ? "        %s) words=\"%s\" ;;\n" : "        %s) kind=-f ;;\n", commands[i].name,
                    words);
    }
    fputs("        esac\n"
          "    fi\n"
          "    if [ -n \"$kind\" ]; then\n"
          "        compopt -o filenames 2>/dev/null\n"
          "        mapfile -t COMPREPLY < <(compgen $kind -- \"$current\")\n"
          "        return 0\n"
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
    switch (value_of(line, size)) {
    case VALUE_FILE:
        fputs("-:file:_files'", out);
        break;
    case VALUE_DIR:
        fputs("-:directory:_files -/'", out);
        break;
    case VALUE_CHOICE:
        fprintf(out, "-:value:(%s)'", choice_of(line, size));
        break;
    case VALUE_OTHER:
        fputs("-:value: '", out);
        break;
    case VALUE_NONE:
    default:
        fputc('\'', out);
    }
}

static void print_zsh(FILE *out, const struct command *commands, size_t count)
{
    fputs("#compdef kvtel\n"
          "if (( CURRENT == 2 )); then\n"
          "    compadd -- ",
          out);
    put_names(out, commands, count);
    fputs("help\n"
          "    return\n"
          "fi\n"
          "shift words\n"
          "(( CURRENT-- ))\n"
          "case ${words[1]} in\n"
          "    help)\n"
          "        _arguments '--man' '--completion:shell:(bash zsh fish)' '*:command:(",
          out);
    put_names(out, commands, count);
    fputs(")' ;;\n", out);
    for (size_t i = 0; i < count; i++) {
        const char *words = argument_of(&commands[i]);
        fprintf(out, "    %s)\n        _arguments", commands[i].name);
        each_flag(out, &commands[i], put_zsh);
        if (words)
            fprintf(out, *words ? " \\\n            \"*:argument:(%s)\"" : " \\\n            '*:file:_files'", words);
        fputs(" ;;\n", out);
    }
    fputs("esac\n", out);
}

static void put_fish(FILE *out, const struct command *command, const struct help_line *line, int size)
{
    const enum value value = value_of(line, size);
    fprintf(out, "complete -c kvtel -n '__fish_seen_subcommand_from %s' -l %.*s", command->name,
            size - 2 - (value != VALUE_NONE), line->flag + 2);
    if (value == VALUE_FILE)
        fputs(" -r -F", out);
    else if (value == VALUE_DIR)
        fputs(" -x -a '(__fish_complete_directories)'", out);
    else if (value == VALUE_CHOICE)
        fprintf(out, " -x -a '%s'", choice_of(line, size));
    else if (value == VALUE_OTHER)
        fputs(" -x", out);
    fputs(" -d ", out);
    put_quoted(out, line->what, line->what_size);
    fputc('\n', out);
}

static void print_fish(FILE *out, const struct command *commands, size_t count)
{
    fputs("complete -c kvtel -n __fish_use_subcommand -f -a help -d 'print a command'\\''s help, its manual page, or a "
          "completion'\n"
          "complete -c kvtel -n '__fish_seen_subcommand_from help' -f -a '",
          out);
    put_names(out, commands, count);
    fputs("'\ncomplete -c kvtel -n '__fish_seen_subcommand_from help' -l man\n"
          "complete -c kvtel -n '__fish_seen_subcommand_from help' -l completion -x -a 'bash zsh fish'\n",
          out);
    for (size_t i = 0; i < count; i++) {
        const char *words = argument_of(&commands[i]);
        fprintf(out, "complete -c kvtel -n __fish_use_subcommand -f -a %s -d ", commands[i].name);
        put_quoted(out, commands[i].what, strlen(commands[i].what));
        fputc('\n', out);
        if (!words || *words)
            fprintf(out, "complete -c kvtel -n '__fish_seen_subcommand_from %s' -f", commands[i].name);
        if (words && *words)
            fprintf(out, " -a \"%s\"", *words == '$' ? words + 1 : words);
        if (!words || *words)
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
