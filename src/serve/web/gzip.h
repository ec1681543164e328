/* SPDX-License-Identifier: Apache-2.0 */
/* gzip on both ways: answers that a client accepts compressed, bodies that it sends compressed. */
#ifndef KVTEL_SERVE_WEB_GZIP_H
#define KVTEL_SERVE_WEB_GZIP_H

#include <kvtel/buffer.h>

/* Whether an Accept-Encoding header (may be NULL) asks for gzip rather than for the plain form: by the q values, gzip
 * where they are equal. */
bool gzip_is_accepted(const char *accept_encoding);

/* Appends `size` bytes compressed to `out`. KVTEL_OK, or KVTEL_E_NOMEM with `out` as before. */
enum kvtel_status gzip_compress(const void *bytes, size_t size, struct kvtel_buffer *out);

/* Unpacks gzip (one member or several) as it is read, so that no body lies unpacked in memory. Single owner. */
struct gzip_reader {
    void *stream; /* zlib's; NULL: none */
    size_t most;  /* bytes that it may still give */
    bool ended;
    enum kvtel_status
        status; /* of what failed: KVTEL_E_LIMIT: it is more; KVTEL_E_TRUNCATED; KVTEL_E_SYNTAX; KVTEL_E_NOMEM */
};
/* `bytes` are borrowed until it is closed; at most `most` bytes come out. KVTEL_OK, KVTEL_E_NOMEM, KVTEL_E_LIMIT (4
 * GiB). */
enum kvtel_status gzip_reader_open(struct gzip_reader *reader, const void *bytes, size_t size, size_t most);
/* The next bytes, as many as there is room for: fewer only at the end, 0 behind it. SIZE_MAX: failed, `status` says
 * why. */
size_t gzip_reader_read(struct gzip_reader *reader, void *out, size_t size);
void gzip_reader_close(struct gzip_reader *reader);

/* Appends what `size` bytes of gzip unpack to, at most `most` bytes. KVTEL_OK, or what a reader says, with `out` as
 * before. */
enum kvtel_status gzip_expand(const void *bytes, size_t size, size_t most, struct kvtel_buffer *out);

#endif
