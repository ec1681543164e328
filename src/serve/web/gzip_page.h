/* SPDX-License-Identifier: Apache-2.0 */
/* gzip of a large page that clients ask for again and again, of which little changes from one time to the next: blocks
 * of it that are as they were keep their packed bytes. */
#ifndef KVTEL_SERVE_WEB_GZIP_PAGE_H
#define KVTEL_SERVE_WEB_GZIP_PAGE_H

#include <kvtel/buffer.h>
#include <pthread.h>
#include <stdint.h>

struct gzip_block {
    size_t at, size;               /* in the page */
    size_t packed_at, packed_size; /* in the packed blocks */
    uint32_t crc;
};

/* The page as it was packed last. Start with gzip_page_init(). Any thread. */
struct gzip_page {
    pthread_mutex_t lock; /* guards what follows */
    struct kvtel_buffer text, packed;
    struct gzip_block *blocks;
    size_t count;
};

void gzip_page_init(struct gzip_page *page);
void gzip_page_free(struct gzip_page *page);

/* Compresses the text and appends the result to `out`. The page takes the text's memory over, and `text` gets other
 * memory with size 0. While another thread packs, and for a short text, it is gzip_compress() and takes over nothing.
 * KVTEL_OK, or KVTEL_E_NOMEM with `text` and `out` unchanged. */
enum kvtel_status gzip_page_compress(struct gzip_page *page, struct kvtel_buffer *text, struct kvtel_buffer *out);

#endif
