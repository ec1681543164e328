/* SPDX-License-Identifier: Apache-2.0 */
/* gzip: ISA-L packs and zlib unpacks.
 *
 * docs/decisions/gzip.md has the figures. */
#include "serve/web/gzip.h"

#include "base/buffer.h"

#include <isa-l/igzip_lib.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, EXPAND_STEP = 64 << 10, PACK_STEP = 16 << 10 };

struct gzip_packer {
    struct isal_zstream stream;
    _Alignas(max_align_t) uint8_t level[ISAL_DEF_LVL1_DEFAULT];
};

struct gzip_packer *gzip_packer_create(void)
{
    return malloc(sizeof(struct gzip_packer));
}

void gzip_packer_destroy(struct gzip_packer *packer)
{
    free(packer);
}

static void begin(struct gzip_packer *packer, const void *bytes, size_t size)
{
    isal_deflate_init(&packer->stream);
    packer->stream.level = 1;
    packer->stream.level_buf = packer->level;
    packer->stream.level_buf_size = sizeof packer->level;
    packer->stream.next_in = (uint8_t *)bytes;
    packer->stream.avail_in = (uint32_t)size;
}

/* Packs the input until less comes out than there is room for, and makes room as `out` fills. */
static enum kvtel_status pack(struct gzip_packer *packer, struct kvtel_buffer *out)
{
    struct isal_zstream *stream = &packer->stream;
    size_t before = out->size;
    enum kvtel_status status;
    do {
        status = kvtel_buffer_reserve(out, PACK_STEP);
        if (status != KVTEL_OK)
            break;
        size_t room = out->capacity - out->size < UINT32_MAX ? out->capacity - out->size : UINT32_MAX;
        stream->next_out = (uint8_t *)out->bytes + out->size;
        stream->avail_out = (uint32_t)room;
        if (isal_deflate(stream) != COMP_OK)
            status = KVTEL_E_NOMEM;
        out->size += room - stream->avail_out;
    } while (status == KVTEL_OK && (stream->avail_in > 0 || stream->avail_out == 0));
    if (status != KVTEL_OK)
        out->size = before;
    return status;
}

enum kvtel_status gzip_packer_add(struct gzip_packer *packer, const void *bytes, size_t size, struct kvtel_buffer *out,
                                  uint32_t *crc)
{
    begin(packer, bytes, size);
    packer->stream.flush = FULL_FLUSH;
    packer->stream.gzip_flag = IGZIP_GZIP_NO_HDR; /* for the checksum */
    enum kvtel_status status = pack(packer, out);
    *crc = packer->stream.internal_state.crc;
    return status;
}

enum kvtel_status gzip_compress(const void *bytes, size_t size, struct kvtel_buffer *out)
{
    struct gzip_packer *packer = size <= UINT32_MAX ? gzip_packer_create() : NULL;
    if (!packer)
        return KVTEL_E_NOMEM;
    begin(packer, bytes, size);
    packer->stream.gzip_flag = IGZIP_GZIP;
    packer->stream.end_of_stream = 1;
    enum kvtel_status status = pack(packer, out);
    gzip_packer_destroy(packer);
    return status;
}

enum kvtel_status gzip_reader_open(struct gzip_reader *reader, const void *bytes, size_t size, size_t most)
{
    *reader = (struct gzip_reader){ .most = most };
    if (size > UINT32_MAX)
        return reader->status = KVTEL_E_LIMIT;
    z_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return reader->status = KVTEL_E_NOMEM;
    stream->next_in = (Bytef *)bytes;
    stream->avail_in = (uInt)size;
    if (inflateInit2(stream, GZIP_WINDOW) != Z_OK) {
        free(stream);
        return reader->status = KVTEL_E_NOMEM;
    }
    reader->stream = stream;
    return KVTEL_OK;
}

/* Runs one step of the stream. False: at its end, or after an error. */
static bool inflate_more(struct gzip_reader *reader)
{
    z_stream *stream = reader->stream;
    switch (inflate(stream, Z_NO_FLUSH)) {
    case Z_OK:
        return true;
    case Z_STREAM_END:
        reader->ended = stream->avail_in == 0;
        if (!reader->ended && inflateReset(stream) != Z_OK) /* begin the next member */
            reader->status = KVTEL_E_SYNTAX;
        return !reader->ended && reader->status == KVTEL_OK;
    case Z_BUF_ERROR:
        reader->status = KVTEL_E_TRUNCATED;
        return false;
    case Z_MEM_ERROR:
        reader->status = KVTEL_E_NOMEM;
        return false;
    default:
        reader->status = KVTEL_E_SYNTAX;
        return false;
    }
}

size_t gzip_reader_read(struct gzip_reader *reader, void *out, size_t size)
{
    z_stream *stream = reader->stream;
    uInt room = size < UINT32_MAX ? (uInt)size : UINT32_MAX;
    if (reader->status != KVTEL_OK)
        return SIZE_MAX;
    stream->next_out = out;
    stream->avail_out = room;
    while (stream->avail_out > 0 && !reader->ended && inflate_more(reader))
        continue;
    size_t got = room - stream->avail_out;
    if (got > reader->most)
        reader->status = KVTEL_E_LIMIT;
    if (reader->status != KVTEL_OK)
        return SIZE_MAX;
    reader->most -= got;
    return got;
}

void gzip_reader_close(struct gzip_reader *reader)
{
    if (reader->stream)
        inflateEnd(reader->stream);
    free(reader->stream);
    reader->stream = NULL;
}

enum kvtel_status gzip_expand(const void *bytes, size_t size, size_t most, struct kvtel_buffer *out)
{
    struct gzip_reader reader;
    size_t before = out->size, got = 0;
    enum kvtel_status status = gzip_reader_open(&reader, bytes, size, most);
    if (status != KVTEL_OK)
        return status;
    do {
        status = kvtel_buffer_reserve(out, EXPAND_STEP);
        got = status == KVTEL_OK ? gzip_reader_read(&reader, out->bytes + out->size, EXPAND_STEP) : 0;
        out->size += got == SIZE_MAX ? 0 : got;
    } while (got > 0 && got != SIZE_MAX);
    gzip_reader_close(&reader);
    if (status == KVTEL_OK)
        status = reader.status;
    if (status != KVTEL_OK)
        out->size = before;
    return status;
}
