/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KVTEL_CLI_NIXL_PROCESSES_H
#define KVTEL_CLI_NIXL_PROCESSES_H

/* Prints a line for each process that has loaded NIXL, and its variables that choose plug-ins. Processes of others are
 * counted. */
void nixl_processes_print(void);

#endif
