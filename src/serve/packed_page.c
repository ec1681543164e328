/* SPDX-License-Identifier: Apache-2.0 */
/* Each piece of the page is packed by itself, up to a byte's border, so that packed pieces can stand one after the
 * other. */
#include "serve/packed_page.h"

#include "base/buffer.h"
#include "serve/web/gzip.h"

#include <stdlib.h>
#include <zlib.h>

struct packed_piece {
    uint64_t state; /* of the page's piece; 0: nothing was packed yet */
    struct kvtel_buffer bytes;
    size_t size; /* of the text */
    uint32_t crc;
};

static void forget(struct packed_page *packed)
{
    for (size_t format = 0; format < KVTEL_PAGE_FORMATS; format++) {
        for (size_t i = 0; i < packed->count[format]; i++)
            kvtel_buffer_free(&packed->pieces[format][i].bytes);
        free(packed->pieces[format]);
        packed->pieces[format] = NULL;
        packed->count[format] = 0;
    }
}

void packed_page_free(struct packed_page *packed)
{
    forget(packed);
    gzip_packer_destroy(packed->packer);
    kvtel_buffer_free(&packed->text);
    *packed = (struct packed_page){ 0 };
}

/* Makes room for the pieces of a page. */
static enum kvtel_status prepare(struct packed_page *packed, const struct kvtel_page *page,
                                 enum kvtel_exposition_format format)
{
    if (packed->built != page->built)
        forget(packed);
    packed->built = page->built;
    if (!packed->packer)
        packed->packer = gzip_packer_create();
    if (!packed->pieces[format]) {
        packed->pieces[format] = calloc(page->piece_count + 1, sizeof *packed->pieces[format]);
        packed->count[format] = packed->pieces[format] ? page->piece_count : 0;
    }
    return packed->packer && packed->pieces[format] ? KVTEL_OK : KVTEL_E_NOMEM;
}

static enum kvtel_status pack_piece(struct packed_page *packed, const struct kvtel_page *page, size_t i,
                                    enum kvtel_exposition_format format)
{
    struct packed_piece *piece = &packed->pieces[format][i];
    const uint64_t state = kvtel_page_piece_state(page, i);
    if (piece->state == state && state > 0)
        return KVTEL_OK;
    packed->text.size = 0;
    piece->bytes.size = 0;
    piece->state = 0;
    enum kvtel_status status = kvtel_page_piece_write(page, i, format, &packed->text);
    if (status == KVTEL_OK)
        status = gzip_packer_add(packed->packer, packed->text.bytes, packed->text.size, &piece->bytes, &piece->crc);
    if (status != KVTEL_OK)
        return status;
    piece->size = packed->text.size;
    piece->state = state;
    return KVTEL_OK;
}

static void put_le32(char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(value >> 8 * i);
}

/* Writes the file: header, pieces, an empty last block, checksum and size. */
static enum kvtel_status write_file(const struct packed_piece *pieces, size_t count, struct kvtel_buffer *out)
{
    static const char head[10] = { 0x1F, (char)0x8B, 8, 0, 0, 0, 0, 0, 0, (char)0xFF };
    char tail[10] = { 3, 0 };
    size_t size = 0, packed = 0;
    uLong crc = 0;
    for (size_t i = 0; i < count; i++) {
        crc = crc32_combine(crc, pieces[i].crc, (z_off_t)pieces[i].size);
        size += pieces[i].size;
        packed += pieces[i].bytes.size;
    }
    put_le32(tail + 2, (uint32_t)crc);
    put_le32(tail + 6, (uint32_t)size);
    enum kvtel_status status = kvtel_buffer_reserve(out, sizeof head + packed + sizeof tail);
    if (status != KVTEL_OK)
        return status;
    (void)kvtel_buffer_append(out, head, sizeof head); /* there is room for all of it */
    for (size_t i = 0; i < count; i++)
        (void)kvtel_buffer_append(out, pieces[i].bytes.bytes, pieces[i].bytes.size);
    return kvtel_buffer_append(out, tail, sizeof tail);
}

enum kvtel_status packed_page_write(struct packed_page *packed, const struct kvtel_page *page,
                                    enum kvtel_exposition_format format, struct kvtel_buffer *out)
{
    enum kvtel_status status = prepare(packed, page, format);
    for (size_t i = 0; i < page->piece_count && status == KVTEL_OK; i++)
        status = pack_piece(packed, page, i, format);
    return status == KVTEL_OK ? write_file(packed->pieces[format], page->piece_count, out) : status;
}
