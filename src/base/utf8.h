/* SPDX-License-Identifier: Apache-2.0 */
/* Reading UTF-8 that may be damaged. Any thread. */
#ifndef KVTEL_BASE_UTF8_H
#define KVTEL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KVTEL_UTF8_REPLACEMENT = 0xFFFD };

/* Reads the code point at the start of `size` > 0 bytes. Returns the number of bytes used. For bytes that are not
 * UTF-8, `code` is KVTEL_UTF8_REPLACEMENT for the longest part that could have begun a code point, as with Python's
 * errors="replace". `*valid` (may be NULL) tells such a part from a real U+FFFD. */
size_t kvtel_utf8_next(const char *text, size_t size, uint32_t *code, bool *valid);
/* Whether all bytes are valid UTF-8. A NUL is a code point like others. */
bool kvtel_utf8_is_valid(const char *text, size_t size);
/* Copies text; bytes that are not UTF-8 become U+FFFD, as kvtel_utf8_next() reads them. `copy` needs 3 bytes for
 * each byte of the text. Returns the size of the copy. */
size_t kvtel_utf8_repair(const char *text, size_t size, char *copy);

#endif
