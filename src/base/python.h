/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as Python prints them. */
#ifndef KVTEL_BASE_PYTHON_H
#define KVTEL_BASE_PYTHON_H

#include <kvtel/buffer.h>

/* str.isprintable() of one character. */
bool kvtel_python_is_printable(uint32_t code);
/* Appends repr() of a str: in single quotes, or double ones when it holds a single but no double quote; control
 * characters and what is not printable escaped, bytes that are no UTF-8 replaced. KVTEL_OK, or KVTEL_E_NOMEM with the
 * buffer as it was. */
enum kvtel_status kvtel_python_repr(struct kvtel_buffer *buffer, const char *text, size_t size);
/* The same without quotes, and nothing escaped but what is not printable: for a name that must not end its line. */
enum kvtel_status kvtel_python_line(struct kvtel_buffer *buffer, const char *text, size_t size);
/* The same into a place of `size` bytes, with a NUL: as many whole characters and escapes as fit. Allocates nothing.
 * What a terminal or a log gets of texts from outside goes through here, or through the writer of JSON. */
void kvtel_python_line_into(char *out, size_t size, const char *text);

#endif
