/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A growing buffer of bytes, which text is appended to.
 *
 * libkvtel_record has its function.
 */
#ifndef KVTEL_BUFFER_H
#define KVTEL_BUFFER_H

#include <kvtel/base.h>

KVTEL_BEGIN_DECLS

/** A growing buffer that keeps its memory between two uses. Start from {0}. Single owner. */
struct kvtel_buffer {
    char *bytes;     /**< not NUL-terminated */
    size_t size;     /**< bytes in use */
    size_t capacity; /**< bytes of memory behind `bytes` */
};
/** Frees the memory and makes it {0} again. NULL is fine. */
KVTEL_API void kvtel_buffer_free(struct kvtel_buffer *buffer);

KVTEL_END_DECLS
#endif
