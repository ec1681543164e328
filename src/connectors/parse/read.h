/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a connector's table from a decoded object. */
#ifndef KVTEL_CONNECTORS_PARSE_READ_H
#define KVTEL_CONNECTORS_PARSE_READ_H

#include "connectors/parse/shape.h"
#include "value/value.h"

/* Fills a zeroed struct by its shape. Texts are those of the value; lists are made in the arena. `path` is where the
 * value is in the text; on failure it leads to what is wrong.
 * Status: KVTEL_OK, KVTEL_E_TYPE, KVTEL_E_LIMIT, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_shape_read(const struct kvtel_shape *shape, const struct kvtel_value *value,
                                   struct kvtel_arena *arena, struct kvtel_value_path *path, void *object,
                                   struct kvtel_error *error);

#endif
