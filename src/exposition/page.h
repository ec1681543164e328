/* SPDX-License-Identifier: Apache-2.0 */
/* The exposition of a snapshot that follows its sources, kept from one time to the next: text of series that did not
 * change is not written again. */
#ifndef KVTEL_EXPOSITION_PAGE_H
#define KVTEL_EXPOSITION_PAGE_H

#include <kvtel/buffer.h>
#include <kvtel/exposition.h>
#include <kvtel/snapshot.h>

enum { KVTEL_PAGE_FORMATS = KVTEL_FORMAT_OPENMETRICS + 1 };

/* How a family is shown. */
struct kvtel_page_choice {
    bool shown;
    char name[256]; /* instead of the family's own; "": that one */
};
typedef void (*kvtel_page_choose_fn)(void *context, const struct kvtel_snapshot_family *family,
                                     struct kvtel_page_choice *choice);

/* Single owner. Start from {0}. */
struct kvtel_page {
    bool valid;                /* it shows the snapshot as of `structure` and `state` */
    uint64_t structure, state; /* of the snapshot */
    uint64_t built;            /* goes up when families, series or pieces are others */
    uint64_t writes;           /* goes up with each refresh */
    struct kvtel_page_family *families;
    size_t family_count, family_room;
    struct kvtel_page_place *pieces; /* where each begins, and where the last one ends */
    size_t piece_count, piece_room;
    struct kvtel_buffer scratch;
    bool created; /* the owner sets it: OpenMetrics has lines _created */
};
void kvtel_page_free(struct kvtel_page *page);

/* Brings the page up to date with the snapshot, which must be the same in all calls. KVTEL_OK; KVTEL_E_NOMEM: the page
 * shows nothing until the next call. */
enum kvtel_status kvtel_page_refresh(struct kvtel_page *page, const struct kvtel_snapshot *snapshot,
                                     kvtel_page_choose_fn choose, void *context);
/* Appends the page. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_page_write(const struct kvtel_page *page, enum kvtel_exposition_format format,
                                   struct kvtel_buffer *buffer);

/* Size of the page in bytes. */
size_t kvtel_page_size(const struct kvtel_page *page, enum kvtel_exposition_format format);

/* The page in page->piece_count pieces of about 128 KiB, which follow one another, for those who keep what they made of
 * each. The bytes of a piece in a format are the same while page->built and the piece's state are. */
uint64_t kvtel_page_piece_state(const struct kvtel_page *page, size_t piece);
/* Appends a piece. KVTEL_OK; KVTEL_E_NOMEM: `buffer` is unchanged. */
enum kvtel_status kvtel_page_piece_write(const struct kvtel_page *page, size_t piece,
                                         enum kvtel_exposition_format format, struct kvtel_buffer *buffer);

#endif
