/* SPDX-License-Identifier: Apache-2.0 */
/* A KVTransferConfig from a decoded object, where it is part of a larger one. */
#ifndef KVTEL_CONFIG_PARSE_TRANSFER_CONFIG_H
#define KVTEL_CONFIG_PARSE_TRANSFER_CONFIG_H

#include <kvtel/transfer_config.h>

#include "value/value.h"

/* As kvtel_transfer_config_parse(). `path`: where `value` stands in its object; on failure it is led on to what is
 * wrong, for kvtel_value_locate(), and `error` (may be NULL) has no place. `config` is untouched on failure. */
enum kvtel_status kvtel_transfer_config_from_value(const struct kvtel_value *value, struct kvtel_value_path *path,
                                                   struct kvtel_transfer_config **config, struct kvtel_error *error);

#endif
