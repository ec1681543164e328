/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that have loaded NIXL, and whether kvtel's plug-in is in them. */
#include "cli/nixl_processes.h"

#include "command/command.h"
#include "machine/processes.h"

#include <stdio.h>

static void print_process(const struct machine_process *process)
{
    static const char *const variables[] = { "NIXL_TRACE_BACKENDS", "NIXL_TELEMETRY_EXPORTER", "NIXL_PLUGIN_DIR",
                                             "KVTEL_STORE_DIR" };
    printf("  %s ", process->pid);
    command_print_name(process->name);
    fputs(*process->plugin ? ": has loaded " : ": has loaded NIXL without kvtel", stdout);
    command_print_name(process->plugin);
    putchar('\n');
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = machine_process_variable(process, variables[i]);
        if (!value || !*value)
            continue;
        printf("    %s=", variables[i]);
        command_print_name(value);
        putchar('\n');
    }
}

static bool look_at(void *context, const struct machine_process *process)
{
    size_t *shown = context;
    if (!process->nixl && !*process->plugin)
        return true;
    ++*shown;
    print_process(process);
    return true;
}

void nixl_processes_print(void)
{
    size_t shown = 0;
    puts("processes:");
    const struct machine_count count = machine_processes_each("/proc", look_at, &shown);
    if (shown == 0)
        puts("  none has loaded NIXL");
    if (count.hidden > 0)
        printf("  %zu cannot be looked at by this user\n", count.hidden);
}
