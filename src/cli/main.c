/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel: finds and runs the command. */
#include "command/manual.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct command commands[] = {
    { "serve", command_serve, "export what connectors record to Prometheus, with a live page", command_serve_help },
    { "top", command_top, "show what connectors record in the terminal, live", command_top_help },
    { "doctor", command_doctor, "say what is seen on this machine, what it means, and what to do next",
      command_doctor_help },
    { "dump", command_dump, "print the content of a store's file", command_dump_help },
    { "totals", command_totals, "list or drop the totals of stores whose writers have ended", command_totals_help },
    { "replay", command_replay, "feed a recording of an engine to stats, metrics and the log", command_replay_help },
    { "check", command_check, "list what is wrong in a recording or a connector file, by line and column",
      command_check_help },
    { "nixl", command_nixl, "install NIXL's plug-in, and tell which NIXL and which processes have it",
      command_nixl_help },
    { "connectors", command_connectors, "list the connectors that are known, or print their tables as JSON",
      command_connectors_help },
};

enum { COMMANDS = sizeof commands / sizeof *commands };

static const char *name_at(const void *context, size_t i)
{
    (void)context;
    return i < COMMANDS ? commands[i].name : NULL;
}

static void print_usage(FILE *out)
{
    fputs("usage: kvtel COMMAND [ARGUMENT...]\n\nKV-cache transfer telemetry for LLM inference.\n\ncommands:\n", out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
    fputs("\n'kvtel COMMAND --help' explains a command. 'kvtel --version' prints the version.\n"
          "'kvtel help --man [COMMAND]' prints a manual page, 'kvtel help --completion SHELL' what makes bash, zsh or "
          "fish\n"
          "complete flags.\n"
          "Exit codes: 0 good, 1 failed, 2 wrong usage.\n",
          out);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int fail_unknown(const char *name)
{
    const char *nearest = command_nearest(name, name_at, NULL);
    if (nearest)
        (void)command_fail("unknown command \"%s\"; did you mean %s?", name, nearest);
    else if (*name)
        (void)command_fail("unknown command \"%s\"", name);
    if (*name)
        fputc('\n', stderr);
    print_usage(stderr);
    return EXIT_USAGE;
}

/* kvtel help [--man] [COMMAND], kvtel help --completion SHELL */
static int help(int argc, char **argv)
{
    const bool manual = argc > 0 && strcmp(argv[0], "--man") == 0;
    const bool completion = argc > 0 && strcmp(argv[0], "--completion") == 0;
    const char *name = argc > manual ? argv[manual] : NULL;
    const struct command *command = name ? find(name) : NULL;
    if (completion && (argc != 2 || !command_print_completion(stdout, commands, COMMANDS, argv[1])))
        return command_usage("help", "--completion bash, zsh or fish");
    if (!completion && name && !command)
        return fail_unknown(name);
    if (manual)
        command_print_manual(stdout, commands, COMMANDS, command);
    else if (command)
        fputs(command->help, stdout);
    else if (!completion)
        print_usage(stdout);
    return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
}

/* Opens standard streams that the caller closed. Otherwise the next opened file would get the number of such a
 * stream, and messages would be written into that file. The streams are opened in the wrong direction, so that their
 * use still fails. */
static void hold_standard_streams(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++)
        if (fcntl(file, F_GETFD) < 0)
            (void)open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    hold_standard_streams();
    signal(SIGPIPE, SIG_IGN); /* writing to a closed pipe then fails, and is reported */
    signal(SIGXFSZ, SIG_IGN); /* so does writing beyond the limit of a file's size */
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(0, argv);
    if (strcmp(name, "help") == 0)
        return help(argc - 2, argv + 2);
    if (strcmp(name, "--version") == 0) {
        printf("kvtel, version %s\n", kvtel_version());
        return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
    }
    const struct command *command = find(name);
    if (command) {
        char called[32]; /* command_option() finds the command's name here */
        (void)snprintf(called, sizeof called, "kvtel %s", name);
        argv[1] = called;
        return command->run(argc - 1, argv + 1);
    }
    return fail_unknown(name);
}
