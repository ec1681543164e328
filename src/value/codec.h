/* SPDX-License-Identifier: Apache-2.0 */
/* The decoders of the formats, called by kvtel_value_decode(). */
#ifndef KVTEL_VALUE_CODEC_H
#define KVTEL_VALUE_CODEC_H

#include "value/value.h"

/* Arguments of the format: a quote, the key's length, the key, a quote. */
#define KVTEL_KEY_TWICE "the key %s%.*s%s stands twice in one object; the last one counts"
/* Argument of the format: the limit, a size_t. */
#define KVTEL_TOO_MANY_VALUES "the object has more than %zu values; split it into several"

enum kvtel_status kvtel_json_decode(const char *text, size_t size, size_t count, struct kvtel_arena *arena,
                                    struct kvtel_value *value, struct kvtel_error *error);
/* Makes `value` a STRING with a copy of the bytes in the arena, followed by a NUL. False: no memory, or more than 4
 * GiB. */
bool kvtel_value_set_string(struct kvtel_value *value, struct kvtel_arena *arena, const char *bytes, size_t size);

#endif
