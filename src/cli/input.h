/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a recording's file for the commands, with progress on a terminal. */
#ifndef KVTEL_CLI_INPUT_H
#define KVTEL_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct input {
    const char *path; /* "-": standard input, which messages call "standard input" */
    int file;
    uint64_t size, done; /* bytes; size 0: not known */
    bool progress;       /* standard error is a terminal */
    bool shown;
    struct timespec last;
};

/* Opens the file. False, after printing a message: it cannot be opened. */
bool input_open(struct input *input, const char *path);
void input_close(struct input *input);
const char *input_name(const struct input *input);
/* A kvtel_read_fn; `context` is the input. */
size_t input_read(void *context, void *bytes, size_t size);

#endif
