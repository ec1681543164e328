/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a machine, as far as kvtel has to do with them: what they have loaded, which variables they were
 * started with. Read from /proc; nothing is written, and no process is stopped. */
#ifndef KVTEL_MACHINE_PROCESSES_H
#define KVTEL_MACHINE_PROCESSES_H

#include <kvtel/buffer.h>
#include <limits.h>
#include <stdbool.h>

/* A process. Its texts come from other users and may contain any bytes. */
struct machine_process {
    char pid[16], name[64];
    int maps_error, environment_error; /* errno of reading them; 0: they were read */
    bool nixl;                         /* it has loaded libnixl.so */
    char plugin[PATH_MAX];             /* kvtel's plug-in for NIXL that it has loaded; "": none */
    char package[PATH_MAX];            /* kvtel's module for Python that it has loaded; "": none */
    char store[PATH_MAX];              /* a store that it has mapped; "": none */
    char deleted[PATH_MAX];            /* a store that it has mapped and whose file was removed; "": none */
    struct kvtel_buffer environment;   /* NAME=VALUE, each with a NUL */
    struct kvtel_buffer command;       /* arguments, each with a NUL */
};

struct machine_count {
    size_t all, hidden; /* processes; those whose maps this user may not read */
};

/* Passes each process to `each`, in the order of their names as texts, until it returns false. `process` is valid until
 * `each` returns. `proc`: "/proc". Processes that end meanwhile are left out. Without memory fewer are passed. */
struct machine_count machine_processes_each(const char *proc,
                                            bool (*each)(void *context, const struct machine_process *process),
                                            void *context);

/* The value of a variable of the process's start, or NULL. Borrowed from the process. */
const char *machine_process_variable(const struct machine_process *process, const char *name);
/* The i-th argument, or NULL. */
const char *machine_process_argument(const struct machine_process *process, size_t i);

#endif
