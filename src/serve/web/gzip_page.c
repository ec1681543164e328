/* SPDX-License-Identifier: Apache-2.0 */
/* A page is cut into blocks at ends of lines. Each block is packed by itself, up to a byte's border, so that packed
 * blocks can stand one after the other. A number of another length moves what follows, so a block's end is found by the
 * line that began the next block. */
#include "serve/web/gzip_page.h"

#include "base/buffer.h"
#include "serve/web/gzip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    BLOCK = 128 << 10, /* smaller ones pack worse: 16 KiB by 15 %, this size not measurably */
    LEAST = 2 * BLOCK, /* a shorter text is packed as a whole */
    NAME_LIMIT = 512,  /* of a line's part that is looked for */
    NEAR = 4 << 10     /* how far a line is expected to move */
};

/* One pass over a text. */
struct pass {
    const struct gzip_page *old;
    const char *text;
    size_t size;
    struct gzip_packer *packer;
    struct kvtel_buffer packed;
    struct gzip_block *blocks;
    size_t count, capacity;
};

void gzip_page_init(struct gzip_page *page)
{
    *page = (struct gzip_page){ 0 };
    pthread_mutex_init(&page->lock, NULL);
}

static void forget(struct gzip_page *page)
{
    kvtel_buffer_free(&page->text);
    kvtel_buffer_free(&page->packed);
    free(page->blocks);
    page->blocks = NULL;
    page->count = 0;
}

void gzip_page_free(struct gzip_page *page)
{
    forget(page);
    pthread_mutex_destroy(&page->lock);
}

/* The end of a block that begins at `at`: about BLOCK bytes on, at the end of a line. */
static size_t cut(const struct pass *pass, size_t at)
{
    if (pass->size - at < BLOCK + BLOCK / 2)
        return pass->size;
    const char *line = memchr(pass->text + at + BLOCK, '\n', pass->size - at - BLOCK);
    return line ? (size_t)(line + 1 - pass->text) : pass->size;
}

/* The length of a line's part that stays the same: a series' name and labels, which end at the line's last blank. */
static size_t name_length(const char *line, size_t size)
{
    const char *end = memchr(line, '\n', size < NAME_LIMIT ? size : NAME_LIMIT);
    const char *blank = end ? memrchr(line, ' ', (size_t)(end - line)) : NULL;
    return blank ? (size_t)(blank + 1 - line) : 0;
}

/* Where the line stands now that began an old block, near the place given. 0: not there. */
static size_t find_line(const struct pass *pass, const struct gzip_block *block, size_t at, size_t expected)
{
    const char *line = pass->old->text.bytes + block->at;
    size_t length = name_length(line, block->size);
    size_t from = expected > at + NEAR ? expected - NEAR : at + 1;
    size_t to = pass->size - from > 2 * NEAR + length ? from + 2 * NEAR + length : pass->size;
    const char *found = length > 0 && from < pass->size ? memmem(pass->text + from, to - from, line, length) : NULL;
    return found && found[-1] == '\n' ? (size_t)(found - pass->text) : 0;
}

static struct gzip_block *next_block(struct pass *pass)
{
    if (pass->count == pass->capacity) {
        size_t capacity = pass->capacity > 0 ? 2 * pass->capacity : 64;
        struct gzip_block *blocks = realloc(pass->blocks, capacity * sizeof *blocks);
        if (!blocks)
            return NULL;
        pass->blocks = blocks;
        pass->capacity = capacity;
    }
    return &pass->blocks[pass->count];
}

/* Adds a block: packed, or with the packed bytes of an old one that has the same text. */
static enum kvtel_status add_block(struct pass *pass, size_t at, size_t size, const struct gzip_block *same)
{
    struct gzip_block *block = next_block(pass);
    if (!block)
        return KVTEL_E_NOMEM;
    *block = (struct gzip_block){ .at = at, .size = size, .packed_at = pass->packed.size };
    block->crc = same ? same->crc : 0;
    enum kvtel_status status =
        same ? kvtel_buffer_append(&pass->packed, pass->old->packed.bytes + same->packed_at, same->packed_size)
             : gzip_packer_add(pass->packer, pass->text + at, size, &pass->packed, &block->crc);
    block->packed_size = pass->packed.size - block->packed_at;
    pass->count += status == KVTEL_OK;
    return status;
}

static bool is_same(const struct pass *pass, const struct gzip_block *block, size_t at)
{
    return block->size <= pass->size - at &&
           memcmp(pass->text + at, pass->old->text.bytes + block->at, block->size) == 0;
}

/* The end of a block that begins where the i-th old one began, which differs. `next` out: the old block that begins
 * there; the number of blocks if none does. A block that grows is cut. */
static size_t end_of_changed(const struct pass *pass, size_t i, size_t at, size_t *next)
{
    const struct gzip_page *old = pass->old;
    for (*next = i + 1; *next < old->count && *next <= i + 2; ++*next) { /* a block's first line may be gone */
        size_t end = find_line(pass, &old->blocks[*next], at, at + old->blocks[*next].at - old->blocks[i].at);
        if (end > 0 && end - at < 2 * BLOCK)
            return end;
    }
    *next = old->count;
    return cut(pass, at);
}

static enum kvtel_status add_blocks(struct pass *pass)
{
    enum kvtel_status status = KVTEL_OK;
    for (size_t at = 0, i = 0; at < pass->size && status == KVTEL_OK;
         at = pass->blocks[pass->count - 1].at + pass->blocks[pass->count - 1].size) {
        bool old = i < pass->old->count;
        if (old && is_same(pass, &pass->old->blocks[i], at)) {
            status = add_block(pass, at, pass->old->blocks[i].size, &pass->old->blocks[i]);
            i++;
        } else {
            size_t next = i, end = old ? end_of_changed(pass, i, at, &next) : cut(pass, at);
            status = add_block(pass, at, end - at, NULL);
            i = next;
        }
        if (status != KVTEL_OK)
            break;
    }
    return status;
}

static void put_le32(char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(value >> 8 * i);
}

/* Writes the file: header, blocks, an empty last block, checksum and size. */
static enum kvtel_status write_file(const struct pass *pass, struct kvtel_buffer *out)
{
    static const char head[10] = { 0x1F, (char)0x8B, 8, 0, 0, 0, 0, 0, 0, (char)0xFF };
    char tail[10] = { 3, 0 };
    uLong crc = 0;
    for (size_t i = 0; i < pass->count; i++)
        crc = crc32_combine(crc, pass->blocks[i].crc, (z_off_t)pass->blocks[i].size);
    put_le32(tail + 2, (uint32_t)crc);
    put_le32(tail + 6, (uint32_t)pass->size);
    enum kvtel_status status = kvtel_buffer_reserve(out, sizeof head + pass->packed.size + sizeof tail);
    if (status == KVTEL_OK) {
        (void)kvtel_buffer_append(out, head, sizeof head);
        (void)kvtel_buffer_append(out, pass->packed.bytes, pass->packed.size);
        (void)kvtel_buffer_append(out, tail, sizeof tail);
    }
    return status;
}

/* The lock is held. */
static enum kvtel_status pack_page(struct gzip_page *page, struct kvtel_buffer *text, struct kvtel_buffer *out)
{
    struct pass pass = { .old = page, .text = text->bytes, .size = text->size, .packer = gzip_packer_create() };
    enum kvtel_status status = pass.packer ? add_blocks(&pass) : KVTEL_E_NOMEM;
    if (status == KVTEL_OK)
        status = write_file(&pass, out);
    gzip_packer_destroy(pass.packer);
    if (status != KVTEL_OK) {
        kvtel_buffer_free(&pass.packed);
        free(pass.blocks);
        return status;
    }
    struct kvtel_buffer before = page->text;
    kvtel_buffer_free(&page->packed);
    free(page->blocks);
    page->text = *text;
    page->packed = pass.packed;
    page->blocks = pass.blocks;
    page->count = pass.count;
    *text = before;
    text->size = 0;
    return KVTEL_OK;
}

enum kvtel_status gzip_page_compress(struct gzip_page *page, struct kvtel_buffer *text, struct kvtel_buffer *out)
{
    if (text->size < LEAST || text->size > UINT32_MAX || pthread_mutex_trylock(&page->lock) != 0)
        return gzip_compress(text->bytes, text->size, out);
    enum kvtel_status status = pack_page(page, text, out);
    if (status != KVTEL_OK)
        forget(page);
    pthread_mutex_unlock(&page->lock);
    return status;
}
