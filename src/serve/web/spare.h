/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of an answer that was sent, kept for the next one: answers of one route are about as large each time. */
#ifndef KVTEL_SERVE_WEB_SPARE_H
#define KVTEL_SERVE_WEB_SPARE_H

#include <kvtel/buffer.h>
#include <pthread.h>

/* Start from spare_init(). Any thread. */
struct spare {
    pthread_mutex_t lock;
    struct kvtel_buffer buffer; /* empty, with the memory that is kept */
};

void spare_init(struct spare *spare);
void spare_free(struct spare *spare);
/* Moves the memory that is kept, if there is any, to `buffer`, which has none. */
void spare_take(struct spare *spare, struct kvtel_buffer *buffer);
/* Takes the buffer's memory over, or frees it: most of it was not needed, or as much is kept already. The buffer is
 * empty then. */
void spare_give(struct spare *spare, struct kvtel_buffer *buffer);
/* Gives most of a buffer's memory back where the text takes little of it. The text may move. */
void spare_fit(struct kvtel_buffer *buffer);

#endif
