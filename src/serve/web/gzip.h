/* SPDX-License-Identifier: Apache-2.0 */
/* gzip in both directions: answers to clients that accept it, and bodies that clients compressed. Any thread. */
#ifndef KVTEL_SERVE_WEB_GZIP_H
#define KVTEL_SERVE_WEB_GZIP_H

#include <kvtel/buffer.h>
#include <stdint.h>

/* Compresses `size` bytes and appends the result to `out`. KVTEL_OK, or KVTEL_E_NOMEM with the size of `out`
 * unchanged. */
enum kvtel_status gzip_compress(const void *bytes, size_t size, struct kvtel_buffer *out);

/* The memory that packing takes, 360 KB, for blocks of one gzip file. */
struct gzip_packer;
/* @return owned: gzip_packer_destroy(); NULL without memory */
struct gzip_packer *gzip_packer_create(void);
void gzip_packer_destroy(struct gzip_packer *packer);
/* Packs `size` bytes (less than 4 GiB) and appends the result: deflate without a last block, which ends at a byte and
 * refers to nothing before it. `crc` out: the checksum of the bytes. KVTEL_OK, or KVTEL_E_NOMEM with the size of `out`
 * unchanged. */
enum kvtel_status gzip_packer_add(struct gzip_packer *packer, const void *bytes, size_t size, struct kvtel_buffer *out,
                                  uint32_t *crc);

/* Unpacks gzip (one or more members) while it is read, so that the unpacked body is never in memory as a whole.
 * Single owner. */
struct gzip_reader {
    void *stream; /* zlib's stream; NULL: not open */
    size_t most;  /* number of bytes that may still be unpacked */
    bool ended;
    enum kvtel_status
        /* KVTEL_OK, or the error: KVTEL_E_LIMIT (more than `most` bytes), KVTEL_E_TRUNCATED, KVTEL_E_SYNTAX,
         * KVTEL_E_NOMEM. */
        status;
};
/* Opens a reader of at most `most` unpacked bytes. `bytes` are borrowed until gzip_reader_close(). KVTEL_OK,
 * KVTEL_E_NOMEM, KVTEL_E_LIMIT (4 GiB or more). */
enum kvtel_status gzip_reader_open(struct gzip_reader *reader, const void *bytes, size_t size, size_t most);
/* Reads the next bytes into `out`: `size` of them, fewer at the end, 0 after it. SIZE_MAX: an error, see `status`. */
size_t gzip_reader_read(struct gzip_reader *reader, void *out, size_t size);
void gzip_reader_close(struct gzip_reader *reader);

/* Unpacks `size` bytes and appends at most `most` bytes to `out`. KVTEL_OK, or a reader's status with `out`
 * unchanged. */
enum kvtel_status gzip_expand(const void *bytes, size_t size, size_t most, struct kvtel_buffer *out);

#endif
