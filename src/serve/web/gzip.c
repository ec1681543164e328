/* SPDX-License-Identifier: Apache-2.0 */
/* gzip: ISA-L packs and zlib unpacks. And the Accept-Encoding header.
 *
 * docs/decisions/gzip.md has the figures. */
#include "serve/web/gzip.h"

#include "base/buffer.h"

#include <isa-l/igzip_lib.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16, EXPAND_STEP = 64 << 10, PACK_STEP = 16 << 10 };

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

/* Parses a weight such as "1", "0.5", "0.123" into thousandths; -1: malformed. */
static int read_weight(const char *text, const char *end)
{
    if (text == end || (*text != '0' && *text != '1'))
        return -1;
    int weight = (*text++ - '0') * 1000;
    if (text < end && *text++ != '.')
        return -1;
    for (int digit = 100; text < end; digit /= 10, text++) {
        if (*text < '0' || *text > '9' || digit == 0)
            return -1;
        weight += (*text - '0') * digit;
    }
    return weight <= 1000 ? weight : -1;
}

/* Parses one element such as "gzip;q=0.5". A malformed element has the weight 0. */
static int element_weight(const char *text, const char *end, const char **name_end)
{
    const char *semicolon = memchr(text, ';', (size_t)(end - text));
    *name_end = semicolon ? semicolon : end;
    while (*name_end > text && is_blank((*name_end)[-1]))
        (*name_end)--;
    if (!semicolon)
        return 1000;
    do
        semicolon++;
    while (semicolon < end && is_blank(*semicolon));
    while (end > semicolon && is_blank(end[-1]))
        end--;
    if (end - semicolon < 3 || strncasecmp(semicolon, "q=", 2) != 0)
        return 0;
    int weight = read_weight(semicolon + 2, end);
    return weight < 0 ? 0 : weight;
}

static bool is_name(const char *text, const char *end, const char *name)
{
    return (size_t)(end - text) == strlen(name) && strncasecmp(text, name, strlen(name)) == 0;
}

bool gzip_is_accepted(const char *accept_encoding)
{
    int gzip = -1, identity = -1, rest = -1;
    for (const char *text = accept_encoding; text && *text;) {
        const char *end = text + strcspn(text, ","), *name_end;
        const char *next = *end ? end + 1 : end;
        while (text < end && is_blank(*text))
            text++;
        int weight = element_weight(text, end, &name_end);
        if (is_name(text, name_end, "gzip") || is_name(text, name_end, "x-gzip"))
            gzip = weight;
        else if (is_name(text, name_end, "identity"))
            identity = weight;
        else if (is_name(text, name_end, "*"))
            rest = weight;
        text = next;
    }
    if (gzip < 0)
        gzip = rest;
    return gzip > 0 && gzip >= identity;
}

/* Packs the rest of the input, and makes room in `out` as it fills. */
static enum kvtel_status pack(struct isal_zstream *stream, struct kvtel_buffer *out)
{
    enum kvtel_status status = KVTEL_OK;
    while (status == KVTEL_OK && stream->internal_state.state != ZSTATE_END) {
        status = kvtel_buffer_reserve(out, PACK_STEP);
        if (status != KVTEL_OK)
            break;
        size_t room = out->capacity - out->size < UINT32_MAX ? out->capacity - out->size : UINT32_MAX;
        stream->next_out = (uint8_t *)out->bytes + out->size;
        stream->avail_out = (uint32_t)room;
        if (isal_deflate(stream) != COMP_OK)
            status = KVTEL_E_NOMEM;
        out->size += room - stream->avail_out;
    }
    return status;
}

enum kvtel_status gzip_compress(const void *bytes, size_t size, struct kvtel_buffer *out)
{
    struct packer {
        struct isal_zstream stream;
        _Alignas(max_align_t) uint8_t level[ISAL_DEF_LVL1_DEFAULT];
    };
    size_t before = out->size;
    struct packer *packer = size <= UINT32_MAX ? malloc(sizeof *packer) : NULL;
    if (!packer)
        return KVTEL_E_NOMEM;
    isal_deflate_init(&packer->stream);
    packer->stream.gzip_flag = IGZIP_GZIP;
    packer->stream.level = 1;
    packer->stream.level_buf = packer->level;
    packer->stream.level_buf_size = sizeof packer->level;
    packer->stream.end_of_stream = 1;
    packer->stream.next_in = (uint8_t *)bytes;
    packer->stream.avail_in = (uint32_t)size;
    enum kvtel_status status = pack(&packer->stream, out);
    free(packer);
    if (status != KVTEL_OK)
        out->size = before;
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
