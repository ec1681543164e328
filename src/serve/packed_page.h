/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a scrape as gzip: pieces that are as they were keep their packed bytes. */
#ifndef KVTEL_SERVE_PACKED_PAGE_H
#define KVTEL_SERVE_PACKED_PAGE_H

#include "exposition/page.h"

struct packed_piece;
struct gzip_packer;

/* Single owner. Start from {0}. */
struct packed_page {
    uint64_t built; /* of the page whose pieces are kept */
    struct packed_piece *pieces[KVTEL_PAGE_FORMATS];
    size_t count[KVTEL_PAGE_FORMATS];
    struct gzip_packer *packer;
    struct kvtel_buffer text;
};
void packed_page_free(struct packed_page *packed);

/* Appends the page as a gzip file. All calls must pass the same page. KVTEL_OK; KVTEL_E_NOMEM: `out` is unchanged. */
enum kvtel_status packed_page_write(struct packed_page *packed, const struct kvtel_page *page,
                                    enum kvtel_exposition_format format, struct kvtel_buffer *out);

#endif
