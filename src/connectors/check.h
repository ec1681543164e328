/* SPDX-License-Identifier: Apache-2.0 */
/* Checking a connector's table before it is registered. */
#ifndef KVTEL_CONNECTORS_CHECK_H
#define KVTEL_CONNECTORS_CHECK_H

#include <kvtel/connector.h>

/* Whether the table is consistent, so that its users need not check it. False: KVTEL_E_ARGUMENT, and the reason in
 * `error` (may be NULL). Any thread. */
bool kvtel_connector_check(const struct kvtel_connector *table, struct kvtel_error *error);

#endif
