/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one table without registering it. */
#ifndef KVTEL_CONNECTORS_PARSE_TABLE_READER_H
#define KVTEL_CONNECTORS_PARSE_TABLE_READER_H

#include <kvtel/connector.h>

#include "base/arena.h"

/* Reads and checks the only table of a text; it lives in the arena. Status: as kvtel_connector_parse(); KVTEL_E_LIMIT:
 * the text has several. */
enum kvtel_status kvtel_connector_read(const char *json, size_t size, struct kvtel_arena *arena,
                                       const struct kvtel_connector **table, struct kvtel_error *error);

#endif
