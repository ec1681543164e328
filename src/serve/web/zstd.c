/* SPDX-License-Identifier: Apache-2.0 */
/* zstd. docs/decisions/gzip.md has the figures. */
#include "serve/web/zstd.h"

#include "base/buffer.h"

#include <zstd.h>

enum { LEVEL = 1 };

enum kvtel_status zstd_compress(const void *bytes, size_t size, struct kvtel_buffer *out)
{
    /* of the room for the worst case only what is written becomes memory */
    enum kvtel_status status = kvtel_buffer_reserve(out, ZSTD_compressBound(size));
    if (status != KVTEL_OK)
        return status;
    size_t packed = ZSTD_compress(out->bytes + out->size, out->capacity - out->size, bytes, size, LEVEL);
    if (ZSTD_isError(packed)) /* with enough room it is memory */
        return KVTEL_E_NOMEM;
    out->size += packed;
    return KVTEL_OK;
}
