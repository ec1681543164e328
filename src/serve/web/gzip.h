/* SPDX-License-Identifier: Apache-2.0 */
/* gzip in both directions: answers to clients that accept it, and bodies that clients compressed. Any thread. */
#ifndef KVTEL_SERVE_WEB_GZIP_H
#define KVTEL_SERVE_WEB_GZIP_H

#include <kvtel/buffer.h>

/* Whether an Accept-Encoding header (may be NULL) prefers gzip to the plain form by its q values, or rates both the
 * same. */
bool gzip_is_accepted(const char *accept_encoding);

/* Compresses `size` bytes and appends the result to `out`. KVTEL_OK, or KVTEL_E_NOMEM with `out` unchanged. */
enum kvtel_status gzip_compress(const void *bytes, size_t size, struct kvtel_buffer *out);

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
