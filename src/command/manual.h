/* SPDX-License-Identifier: Apache-2.0 */
/* Manual pages and completions, made from the texts that --help prints. */
#ifndef KVTEL_COMMAND_MANUAL_H
#define KVTEL_COMMAND_MANUAL_H

#include "command/command.h"

/* Prints a page for man(1): of one command, or of kvtel itself (`command` NULL). */
void command_print_manual(FILE *out, const struct command *commands, size_t count, const struct command *command);
/* Prints what makes a shell complete commands and flags: "bash", "zsh" or "fish". False: another shell. */
bool command_print_completion(FILE *out, const struct command *commands, size_t count, const char *shell);

#endif
