/* SPDX-License-Identifier: Apache-2.0 */
/* The growing buffer. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST_CAPACITY = 256 };

enum kvtel_status kvtel_buffer_grow(struct kvtel_buffer *buffer, size_t more)
{
    if (more > PTRDIFF_MAX - buffer->size)
        return KVTEL_E_NOMEM;
    size_t needed = buffer->size + more;
    size_t capacity = buffer->capacity < SMALLEST_CAPACITY ? SMALLEST_CAPACITY : buffer->capacity;
    while (capacity < needed)
        capacity = capacity <= PTRDIFF_MAX / 2 ? capacity * 2 : needed;
    char *bytes = realloc(buffer->bytes, capacity);
    if (!bytes)
        return KVTEL_E_NOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return KVTEL_OK;
}

enum kvtel_status kvtel_buffer_printf(struct kvtel_buffer *buffer, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    size_t room = buffer->capacity - buffer->size;
    int length = vsnprintf(room > 0 ? buffer->bytes + buffer->size : NULL, room, format, arguments);
    enum kvtel_status status = length < 0 ? KVTEL_E_NOMEM : KVTEL_OK;
    if (length >= 0 && (size_t)length >= room) {
        status = kvtel_buffer_reserve(buffer, (size_t)length + 1);
        if (status == KVTEL_OK)
            vsnprintf(buffer->bytes + buffer->size, (size_t)length + 1, format, again);
    }
    if (status == KVTEL_OK)
        buffer->size += (size_t)length;
    va_end(again);
    va_end(arguments);
    return status;
}

void kvtel_buffer_free(struct kvtel_buffer *buffer)
{
    if (!buffer)
        return;
    free(buffer->bytes);
    *buffer = (struct kvtel_buffer){ 0 };
}
