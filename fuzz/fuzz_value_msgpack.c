/* SPDX-License-Identifier: Apache-2.0 */
/* MessagePack, one object and a stream of objects. */
#include "contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    struct kvtel_error error = { 0 };
    size_t used = 0;
    enum kvtel_status status = kvtel_value_decode_next(data, size, KVTEL_VALUE_COUNT, &used, &arena, &value, &error);
    if (status == KVTEL_OK) {
        MUST(used > 0 && used <= size);
        must_round_trip(KVTEL_MSGPACK, &value);
        status = kvtel_value_decode(KVTEL_MSGPACK, data, size, &arena, &value, &error);
        MUST(status == (used == size ? KVTEL_OK : KVTEL_E_TRAILING));
        MUST(status == KVTEL_OK || error.offset == used);
    } else {
        MUST(used == 0);
    }
    if (status != KVTEL_OK)
        must_explain(status, &error, KVTEL_MSGPACK, size);
    kvtel_arena_free(&arena);
    return 0;
}
