/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a file of totals. Each input is such a content. Size and checksum are corrected first, because
 * otherwise every input would be refused at once. */
#include "contract.h"

#include "totals/layout.h"
#include "totals/totals.h"

#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kvtel_buffer bytes = { 0 };
    struct totals totals;
    struct kvtel_error error = { 0 };
    uint32_t checksum;
    uint64_t told = size;
    if (size > 0)
        MUST(kvtel_buffer_append(&bytes, data, size) == KVTEL_OK);
    if (size >= sizeof(struct totals_header) + sizeof checksum) {
        memcpy(bytes.bytes + offsetof(struct totals_header, size), &told, sizeof told);
        checksum = (uint32_t)crc32_z(0, (const unsigned char *)bytes.bytes, size - sizeof checksum);
        memcpy(bytes.bytes + size - sizeof checksum, &checksum, sizeof checksum);
    }
    enum kvtel_status status = totals_decode(&bytes, &totals, &error);
    if (status != KVTEL_OK) {
        MUST(error.status == status && error.message[0] && error.offset <= size && !totals.bytes.bytes);
        return 0;
    }
    /* what can be read can be added, written and read again */
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    MUST(snapshot && totals_add_to(&totals, snapshot) == KVTEL_OK);
    const struct totals_contents contents = { .snapshot = snapshot };
    MUST(totals_encode(&contents, &totals, &bytes, NULL) == KVTEL_OK);
    totals_free(&totals);
    MUST(totals_decode(&bytes, &totals, NULL) == KVTEL_OK);
    totals_free(&totals);
    kvtel_snapshot_destroy(snapshot);
    return 0;
}
