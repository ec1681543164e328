/* SPDX-License-Identifier: Apache-2.0 */
/* kvtel: finds and runs the command. */
#include "command/command.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const struct command {
    const char *name;
    command_fn run;
    const char *what;
} commands[] = {
    { "serve", command_serve, "export what connectors record to Prometheus, with a live page" },
    { "top", command_top, "show what connectors record in the terminal, live" },
    { "dump", command_dump, "print the content of a store's file" },
    { "totals", command_totals, "list or drop the totals of stores whose writers have ended" },
    { "replay", command_replay, "feed a recording of an engine to stats, metrics and the log" },
    { "check", command_check, "list what is wrong in a recording or a connector file, by line and column" },
    { "nixl", command_nixl, "install NIXL's plug-in, and tell which NIXL and which processes have it" },
    { "connectors", command_connectors, "list the connectors that are known, or print their tables as JSON" },
};

static const char *name_at(const void *context, size_t i)
{
    (void)context;
    return i < sizeof commands / sizeof *commands ? commands[i].name : NULL;
}

static void print_usage(FILE *out)
{
    fputs("usage: kvtel COMMAND [ARGUMENT...]\n\nKV-cache transfer telemetry for LLM inference.\n\ncommands:\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].what);
    fputs("\n'kvtel COMMAND --help' explains a command. 'kvtel --version' prints the version.\n"
          "Exit codes: 0 good, 1 failed, 2 wrong usage.\n",
          out);
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
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_usage(stdout);
        return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
    }
    if (strcmp(name, "--version") == 0) {
        printf("kvtel, version %s\n", kvtel_version());
        return command_close(stdout, "standard output") ? EXIT_GOOD : EXIT_FAILED;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0) {
            char called[32]; /* command_option() finds the command's name here */
            (void)snprintf(called, sizeof called, "kvtel %s", name);
            argv[1] = called;
            return commands[i].run(argc - 1, argv + 1);
        }
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
