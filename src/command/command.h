/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the kvtel program. Each command is one file and one row of the table in main.c. */
#ifndef KVTEL_COMMAND_COMMAND_H
#define KVTEL_COMMAND_COMMAND_H

#include <getopt.h>
#include <kvtel/diagnostics.h>
#include <stdio.h>

/* Exit codes. */
enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* argv[0] is the command's name. @return an exit code */
typedef int (*command_fn)(int argc, char **argv);

/* A command of the program. */
struct command {
    const char *name;
    command_fn run;
    const char *what; /* in one line */
    const char *help; /* what --help prints: "usage: ...", paragraphs, flags, examples, and the exit codes last */
};

int command_serve(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_check(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_totals(int argc, char **argv);
int command_connectors(int argc, char **argv);
int command_nixl(int argc, char **argv);
int command_top(int argc, char **argv);
int command_doctor(int argc, char **argv);
extern const char command_serve_help[];
extern const char command_top_help[];
extern const char command_doctor_help[];
extern const char command_dump_help[];
extern const char command_totals_help[];
extern const char command_replay_help[];
extern const char command_check_help[];
extern const char command_nixl_help[];
extern const char command_connectors_help[];

/* Prints "kvtel: " and the message on standard error, with unprintable characters escaped. Returns EXIT_FAILED. */
int command_fail(const char *format, ...) KVTEL_PRINTF(1, 2);
/* The same for wrong usage, with a pointer to `kvtel COMMAND --help`. Returns EXIT_USAGE. */
int command_usage(const char *command, const char *format, ...) KVTEL_PRINTF(2, 3);
/* Reads the next flag, as getopt_long() does; -h is --help where the table has that. A flag that is wrong is explained
 * on standard error, with the flag that was probably meant and a pointer to --help; then the result is '?', for which
 * the command returns EXIT_USAGE. */
int command_option(int argc, char **argv, const struct option *table);
/* The i-th name, or NULL past the end. */
typedef const char *(*command_name_fn)(const void *context, size_t i);
/* The name that was probably meant by `given`, or NULL. */
const char *command_nearest(const char *given, command_name_fn name_at, const void *context);
/* Reads a time: "10", "2.5", "10s", "500ms", "1m", "2h". False: it is malformed, negative or above 10^6 s. */
bool command_seconds(const char *text, double *seconds);
/* Prints an untrusted name on standard output, with unprintable characters escaped. */
void command_print_name(const char *name);
/* Prints a warning of the library on standard error. A kvtel_warn_fn; `context` is not used. */
void command_warn(void *context, enum kvtel_refusal reason, const char *subject, const char *message);
/* Loads and registers the tables of a connector file. False, after printing a message with the place, on failure. */
bool command_load_connector(const char *file);
/* Reads the options of a command that has --connector.file and --help alone. -1: go on with the arguments from
 * `optind`; else the status to exit with. */
int command_connector_options(int argc, char **argv, const char *help);
/* Loads the files of $KVTEL_CONNECTOR_PATH, and prints a message for each that cannot be loaded. */
void command_load_connector_path(void);
/* Flushes and closes an output file ("-": standard output is flushed only). False, after printing a message, when a
 * write failed. */
bool command_close(FILE *file, const char *path);

#endif
