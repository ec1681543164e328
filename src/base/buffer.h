/* SPDX-License-Identifier: Apache-2.0 */
/* Appending to a struct kvtel_buffer. Each function returns KVTEL_OK, or KVTEL_E_NOMEM with the buffer as it was. */
#ifndef KVTEL_BASE_BUFFER_H
#define KVTEL_BASE_BUFFER_H

#include <kvtel/buffer.h>
#include <string.h>

/* Makes the capacity at least size + more, by reallocating. */
enum kvtel_status kvtel_buffer_grow(struct kvtel_buffer *buffer, size_t more);

/* Room for `more` bytes past `size`: write at bytes + size, then add to size. */
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

/* Any length. The byte past `size` is then a NUL that is not counted. */
enum kvtel_status kvtel_buffer_printf(struct kvtel_buffer *buffer, const char *format, ...) KVTEL_PRINTF(2, 3);

#endif
