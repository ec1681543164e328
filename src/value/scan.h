/* SPDX-License-Identifier: Apache-2.0 */
/* Places in JSON text for errors and limits of decoding. Each function reads the text itself and accepts malformed
 * text. Any thread. */
#ifndef KVTEL_VALUE_SCAN_H
#define KVTEL_VALUE_SCAN_H

#include "value/value.h"

/* The place where nesting exceeds KVTEL_VALUE_DEPTH; `size` if it does not. */
size_t kvtel_json_too_deep(const char *text, size_t size);
/* The place where the number of values, counted as KVTEL_VALUE_COUNT describes, exceeds `count`; `size` if it does
 * not. */
size_t kvtel_json_too_many(const char *text, size_t size, size_t count);
/* Finds the next integer at or after `at` that does not fit int64_t; `end` is the place behind it. False: there is
 * none. */
bool kvtel_json_wide_integer(const char *text, size_t size, size_t at, size_t *end);

#endif
