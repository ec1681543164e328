/* SPDX-License-Identifier: Apache-2.0 */
/* Printing series, one line each. */
#ifndef KVTEL_CLI_SERIES_TEXT_H
#define KVTEL_CLI_SERIES_TEXT_H

#include <kvtel/snapshot.h>

/* Prints text of a store on standard output. Such text is untrusted: characters that could control a terminal are
 * printed as their codes. */
void series_print_text(const char *text);
/* Prints `before` and a number on standard output, formatted like Python's repr(). */
void series_print_number(const char *before, double number);
/* The suffix that /metrics appends to a family's name in the names of its samples: "_total" or "". Static. */
const char *series_suffix(const struct kvtel_snapshot_family *family);
/* Prints name, labels and value, for a histogram quantiles, and a line for each exemplar. */
void series_print(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series);

#endif
