/* SPDX-License-Identifier: Apache-2.0 */
/* Messages whose size is not known when they begin. */
#include "exposition/frame.h"

#include "base/buffer.h"
#include "exposition/wire.h"

enum kvtel_status kvtel_frame_open(struct kvtel_frame *frame, size_t guess, struct kvtel_buffer *buffer)
{
    size_t room = wire_varint_size(guess);
    enum kvtel_status status = kvtel_buffer_reserve(buffer, room);
    if (status != KVTEL_OK)
        return status;
    buffer->size += room;
    *frame = (struct kvtel_frame){ buffer->size, room };
    return KVTEL_OK;
}

enum kvtel_status kvtel_frame_close(const struct kvtel_frame *frame, struct kvtel_buffer *buffer)
{
    size_t start = frame->start, room = frame->room;
    size_t size = buffer->size - start, needed = wire_varint_size(size);
    enum kvtel_status status = needed > room ? kvtel_buffer_reserve(buffer, needed - room) : KVTEL_OK;
    if (status != KVTEL_OK)
        return status;
    if (needed != room)
        memmove(buffer->bytes + start - room + needed, buffer->bytes + start, size);
    wire_varint(buffer->bytes + start - room, size);
    buffer->size = start - room + needed + size;
    return KVTEL_OK;
}
