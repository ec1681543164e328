/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a connector's table before it is registered. */
#ifndef KVTEL_CONNECTORS_CHECK_H
#define KVTEL_CONNECTORS_CHECK_H

#include <kvtel/connector.h>

/* The entry of a table at which a check found a fault. */
struct kvtel_table_place {
    bool is_older, in_log; /* in the table of older payloads; in the rules of the log line */
    const char *list;      /* "metrics"; NULL: in no list */
    size_t index;
};

/* Whether the table is consistent, so that its users need not check it. False: KVTEL_E_ARGUMENT, and the reason in
 * `error` (may be NULL). Any thread. */
bool kvtel_connector_check(const struct kvtel_connector *table, struct kvtel_error *error);
/* The same; `place`, zeroed by the caller, is filled on failure. */
bool kvtel_connector_check_at(const struct kvtel_connector *table, struct kvtel_table_place *place,
                              struct kvtel_error *error);

#endif
