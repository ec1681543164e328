/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to a struct kvtel_buffer. Each function returns KVTEL_OK, or KVTEL_E_NOMEM with the buffer unchanged. */
#ifndef KVTEL_BASE_BUFFER_H
#define KVTEL_BASE_BUFFER_H

#include <kvtel/buffer.h>
#include <string.h>

/* Makes the capacity at least size + more. */
enum kvtel_status kvtel_buffer_grow(struct kvtel_buffer *buffer, size_t more);

/* Makes room for `more` bytes past `size`. The caller writes them at bytes + size and then adds their number to
 * size. */
static inline enum kvtel_status kvtel_buffer_reserve(struct kvtel_buffer *buffer, size_t more)
{
    return more <= buffer->capacity - buffer->size ? KVTEL_OK : kvtel_buffer_grow(buffer, more);
}

static inline enum kvtel_status kvtel_buffer_append(struct kvtel_buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0)
        return KVTEL_OK;
    enum kvtel_status status = kvtel_buffer_reserve(buffer, size);
    if (status != KVTEL_OK)
        return status;
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
    return KVTEL_OK;
}

static inline enum kvtel_status kvtel_buffer_append_text(struct kvtel_buffer *buffer, const char *text)
{
    return kvtel_buffer_append(buffer, text, strlen(text));
}

static inline enum kvtel_status kvtel_buffer_append_byte(struct kvtel_buffer *buffer, char byte)
{
    return kvtel_buffer_append(buffer, &byte, 1);
}

/* Appends formatted text of any length. A NUL follows the text but does not count in `size`. */
enum kvtel_status kvtel_buffer_printf(struct kvtel_buffer *buffer, const char *format, ...) KVTEL_PRINTF(2, 3);

#endif
