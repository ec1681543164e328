/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a KVTransferConfig that is part of a larger decoded object. */
#ifndef KVTEL_CONFIG_PARSE_TRANSFER_CONFIG_H
#define KVTEL_CONFIG_PARSE_TRANSFER_CONFIG_H

#include <kvtel/transfer_config.h>

#include "value/value.h"

/* Like kvtel_transfer_config_parse(). `path` is the place of `value` in its object; on failure the path is extended
 * to the faulty member, for kvtel_value_locate(), and `error` (may be NULL) does not contain a place. `config` is
 * unchanged on failure. */
enum kvtel_status kvtel_transfer_config_from_value(const struct kvtel_value *value, struct kvtel_value_path *path,
                                                   struct kvtel_transfer_config **config, struct kvtel_error *error);

#endif
