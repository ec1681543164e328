/* SPDX-License-Identifier: Apache-2.0 */
/* Places in JSON text that decoding asks for. Each walks the text itself and accepts damaged text. */
#ifndef KVTEL_VALUE_SCAN_H
#define KVTEL_VALUE_SCAN_H

#include "value/value.h"

/* Where nesting passes KVTEL_VALUE_DEPTH; `size` when it does not. */
size_t kvtel_json_too_deep(const char *text, size_t size);
/* Where the values, counted as KVTEL_VALUE_COUNT says, pass `count`; `size` when they do not. */
size_t kvtel_json_too_many(const char *text, size_t size, size_t count);
/* Behind the next integer at or after `at` that does not fit int64_t. False when there is none. */
bool kvtel_json_wide_integer(const char *text, size_t size, size_t at, size_t *end);

#endif
