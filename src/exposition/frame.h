/* SPDX-License-Identifier: Apache-2.0 */
/* A protobuf message that is written before its size is known: the size goes into room before it. */
#ifndef KVTEL_EXPOSITION_FRAME_H
#define KVTEL_EXPOSITION_FRAME_H

#include <kvtel/buffer.h>

struct kvtel_frame {
    size_t start; /* of the message */
    size_t room;  /* bytes before it, for its size */
};

/* Begins a message of about `guess` bytes behind its tag, which was written. KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_frame_open(struct kvtel_frame *frame, size_t guess, struct kvtel_buffer *buffer);
/* Ends the message with the buffer. Where its size takes another number of bytes than the guess, the message is moved.
 * KVTEL_OK, KVTEL_E_NOMEM. */
enum kvtel_status kvtel_frame_close(const struct kvtel_frame *frame, struct kvtel_buffer *buffer);

#endif
