/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of an answer that was sent, kept for the next one. */
#include "serve/web/spare.h"

#include "base/buffer.h"

#include <stdbool.h>
#include <stdlib.h>

/* Answers within this factor in size use the same memory. */
enum { LOOSE = 4 };

static bool is_loose(const struct kvtel_buffer *buffer)
{
    return buffer->capacity / LOOSE > buffer->size;
}

void spare_init(struct spare *spare)
{
    *spare = (struct spare){ .buffer = { 0 } };
    pthread_mutex_init(&spare->lock, NULL);
}

void spare_free(struct spare *spare)
{
    kvtel_buffer_free(&spare->buffer);
    pthread_mutex_destroy(&spare->lock);
}

void spare_take(struct spare *spare, struct kvtel_buffer *buffer)
{
    pthread_mutex_lock(&spare->lock);
    *buffer = spare->buffer;
    spare->buffer = (struct kvtel_buffer){ 0 };
    pthread_mutex_unlock(&spare->lock);
}

void spare_give(struct spare *spare, struct kvtel_buffer *buffer)
{
    struct kvtel_buffer rest = *buffer;
    *buffer = (struct kvtel_buffer){ 0 };
    pthread_mutex_lock(&spare->lock);
    if (!is_loose(&rest) && rest.capacity > spare->buffer.capacity) {
        const struct kvtel_buffer kept = rest;
        rest = spare->buffer;
        spare->buffer = kept;
        spare->buffer.size = 0;
    }
    pthread_mutex_unlock(&spare->lock);
    kvtel_buffer_free(&rest);
}

void spare_fit(struct kvtel_buffer *buffer)
{
    char *smaller = is_loose(buffer) && buffer->size > 0 ? realloc(buffer->bytes, buffer->size) : NULL;
    if (!smaller)
        return;
    buffer->bytes = smaller;
    buffer->capacity = buffer->size;
}
