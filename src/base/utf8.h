/* SPDX-License-Identifier: Apache-2.0 */
/* Reading UTF-8 that may be damaged. */
#ifndef KVTEL_BASE_UTF8_H
#define KVTEL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KVTEL_UTF8_REPLACEMENT = 0xFFFD };

/* Reads the code point at the start of `size` > 0 bytes. Returns how many bytes it takes. What is no UTF-8 gives
 * KVTEL_UTF8_REPLACEMENT for the longest part that could have begun a code point, as Python's errors="replace" does; a
 * real U+FFFD is told from it by `*valid` (may be NULL). */
size_t kvtel_utf8_next(const char *text, size_t size, uint32_t *code, bool *valid);
/* Whether all of it is UTF-8; a NUL is a code point like others. */
bool kvtel_utf8_is_valid(const char *text, size_t size);
/* Copies text with what is no UTF-8 replaced by U+FFFD, as kvtel_utf8_next() reads it. `copy`: 3 bytes for each of
 * text's. Returns its size. */
size_t kvtel_utf8_repair(const char *text, size_t size, char *copy);

#endif
