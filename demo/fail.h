/* SPDX-License-Identifier: Apache-2.0 */
/* Error messages and exit codes of the demo. */
#ifndef KVTEL_DEMO_FAIL_H
#define KVTEL_DEMO_FAIL_H

#include <kvtel/base.h>
#include <stdio.h>

enum { EXIT_GOOD = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Prints "kvtel-demo: " and the message on standard error. @return EXIT_FAILED */
int demo_fail(const char *format, ...) KVTEL_PRINTF(1, 2);
/* The same for wrong usage, with a pointer to --help. @return EXIT_USAGE */
int demo_usage(const char *format, ...) KVTEL_PRINTF(1, 2);
/* Flushes standard output. False, after printing a message: a part could not be written. */
bool demo_close_output(void);

#endif
