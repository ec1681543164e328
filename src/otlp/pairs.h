/* SPDX-License-Identifier: Apache-2.0 */
/* Lists NAME=VALUE,NAME=VALUE, as OpenTelemetry's variables have headers and attributes. */
#ifndef KVTEL_OTLP_PAIRS_H
#define KVTEL_OTLP_PAIRS_H

#include <kvtel/base.h>

struct otlp_pair {
    char *name, *value;
};
/* Names are there once each. Single owner. Start from {0}. */
struct otlp_pairs {
    struct otlp_pair *pairs;
    size_t count;
    bool any_case; /* names that differ in case alone are the same: those of headers */
};
void otlp_pairs_free(struct otlp_pairs *pairs);

/* Adds the pairs of a text; a later value of a name takes the place of an earlier one. %XX in values is decoded, blanks
 * around names and values are dropped, and empty pairs are passed over. KVTEL_OK; KVTEL_E_NOMEM; KVTEL_E_SYNTAX:
 * *wrong is the number of the pair, from 1 on, that cannot be read. */
enum kvtel_status otlp_pairs_parse(struct otlp_pairs *pairs, const char *text, size_t *wrong);
/* Sets a pair. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status otlp_pairs_set(struct otlp_pairs *pairs, const char *name, const char *value);
/* The value of a name; NULL: it is not there. */
const char *otlp_pairs_find(const struct otlp_pairs *pairs, const char *name);

#endif
