/* SPDX-License-Identifier: Apache-2.0 */
/* zstd for answers. Any thread. */
#ifndef KVTEL_SERVE_WEB_ZSTD_H
#define KVTEL_SERVE_WEB_ZSTD_H

#include <kvtel/buffer.h>

/* Compresses `size` bytes and appends the result, one frame that states its size, to `out`. KVTEL_OK, or KVTEL_E_NOMEM
 * with the size of `out` unchanged. */
enum kvtel_status zstd_compress(const void *bytes, size_t size, struct kvtel_buffer *out);

#endif
