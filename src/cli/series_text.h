/* SPDX-License-Identifier: Apache-2.0 */
/* Series as commands print them, one line each. */
#ifndef KVTEL_CLI_SERIES_TEXT_H
#define KVTEL_CLI_SERIES_TEXT_H

#include <kvtel/snapshot.h>

/* Prints text of a store on standard output. It is anybody's: what could steer a terminal is shown as its code. */
void series_print_text(const char *text);
/* Prints a number on standard output, as Python would. */
void series_print_number(const char *before, double number);
/* What /metrics has behind a family's name where it is the name of samples: "_total", or nothing. Static. */
const char *series_suffix(const struct kvtel_snapshot_family *family);
/* Prints name, labels and value, and quantiles of a histogram. */
void series_print(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series);

#endif
