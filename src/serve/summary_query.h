/* SPDX-License-Identifier: Apache-2.0 */
/* What a request asks of the summary: a part of the entries. */
#ifndef KVTEL_SERVE_SUMMARY_QUERY_H
#define KVTEL_SERVE_SUMMARY_QUERY_H

#include <stdbool.h>
#include <stddef.h>

enum { SUMMARY_FILTER_SIZE = 256 };

struct summary_query {
    char filter[SUMMARY_FILTER_SIZE]; /* "": all */
    size_t offset;
};

/* Reads the part of the target after '?', as sent. Names that it does not know are left out. @return NULL, or what is
 * wrong, a static text for the client */
const char *summary_query_parse(const char *query, struct summary_query *parsed);

#endif
