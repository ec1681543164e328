/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as Python prints them. */
#ifndef KVTEL_BASE_PYTHON_H
#define KVTEL_BASE_PYTHON_H

#include <kvtel/buffer.h>

/* Python's str.isprintable() for one character. */
bool kvtel_python_is_printable(uint32_t code);
/* Appends Python's repr() of a str: in single quotes, or in double quotes when the text contains a single and no
 * double quote. Control and unprintable characters are escaped; bytes that are not UTF-8 are replaced. KVTEL_OK, or
 * KVTEL_E_NOMEM with the buffer unchanged. */
enum kvtel_status kvtel_python_repr(struct kvtel_buffer *buffer, const char *text, size_t size);
/* The same without quotes; only unprintable characters are escaped. For names in lines of text. */
enum kvtel_status kvtel_python_line(struct kvtel_buffer *buffer, const char *text, size_t size);
/* The same into an array of `size` bytes, with a NUL: as many whole characters and escapes as fit. Allocates
 * nothing. Every untrusted text goes through this function or the JSON writer before it reaches a terminal or a log. */
void kvtel_python_line_into(char *out, size_t size, const char *text);

#endif
