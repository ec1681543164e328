/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder of each format, behind kvtel_value_decode(). */
#ifndef KVTEL_VALUE_CODEC_H
#define KVTEL_VALUE_CODEC_H

#include "value/value.h"

/* Takes a quote, the length of the key, the key, a quote. */
#define KVTEL_KEY_TWICE "the key %s%.*s%s stands twice in one object; the last one counts"
/* Takes the limit, a size_t. */
#define KVTEL_TOO_MANY_VALUES "the object has more than %zu values; split it into several"

enum kvtel_status kvtel_json_decode(const char *text, size_t size, size_t count, struct kvtel_arena *arena,
                                    struct kvtel_value *value, struct kvtel_error *error);
/* A copy in the arena with a NUL behind it, as a STRING. False without memory, or past 4 GiB. */
bool kvtel_value_set_string(struct kvtel_value *value, struct kvtel_arena *arena, const char *bytes, size_t size);

#endif
