/* SPDX-License-Identifier: Apache-2.0 */
/* A recording's file as the commands read it, with progress on a terminal. */
#ifndef KVTEL_CLI_INPUT_H
#define KVTEL_CLI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct input {
    const char *path; /* "-": standard input; said as "standard input" in messages */
    int file;
    uint64_t size, done; /* size 0: not known */
    bool progress;       /* standard error is a terminal */
    bool shown;
    struct timespec last;
};

/* False, with a message, when it cannot be opened. */
bool input_open(struct input *input, const char *path);
void input_close(struct input *input);
const char *input_name(const struct input *input);
/* A kvtel_read_fn; the context is the input. */
size_t input_read(void *context, void *bytes, size_t size);

#endif
