/* SPDX-License-Identifier: Apache-2.0 */
/* Text as Python's repr() writes it; numbers are in number.h. */
#ifndef KVTEL_BASE_REPR_H
#define KVTEL_BASE_REPR_H

#include "base/buffer.h"

/* Appends repr() of a str: quoted, escaped. Invalid UTF-8 becomes U+FFFD. KVTEL_OK or KVTEL_E_NOMEM: `buffer` may have grown. */
enum kvtel_status kvtel_repr_text(struct kvtel_buffer *buffer, const char *text, size_t size);
/* The same without quotes and with nothing escaped but what is not printable: for text that must stay on one line. */
enum kvtel_status kvtel_repr_line(struct kvtel_buffer *buffer, const char *text, size_t size);

#endif
