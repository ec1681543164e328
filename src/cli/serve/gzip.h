/* SPDX-License-Identifier: Apache-2.0 */
/* gzip on both ways: answers that a client accepts compressed, bodies that it sends compressed. */
#ifndef KVTEL_SERVE_GZIP_H
#define KVTEL_SERVE_GZIP_H

#include <kvtel/exposition.h>

/* Whether an Accept-Encoding header (may be NULL) asks for gzip rather than for the plain form: by the q values, gzip where they
 * are equal. */
bool gzip_is_accepted(const char *accept_encoding);

/* Appends `size` bytes compressed to `out`. KVTEL_OK, or KVTEL_E_NOMEM with `out` as before. */
enum kvtel_status gzip_compress(const void *bytes, size_t size, struct kvtel_buffer *out);

/* Appends what `size` bytes of gzip (one member or several) unpack to, at most `most` bytes.
 * @return KVTEL_OK; with `out` as before: KVTEL_E_LIMIT: it is more; KVTEL_E_TRUNCATED; KVTEL_E_SYNTAX; KVTEL_E_NOMEM */
enum kvtel_status gzip_expand(const void *bytes, size_t size, size_t most, struct kvtel_buffer *out);

#endif
