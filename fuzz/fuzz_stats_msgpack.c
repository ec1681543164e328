/* SPDX-License-Identifier: Apache-2.0 */
/* MessagePack payloads of every connector, through all code that takes payloads. */
#include "stats_contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    must_take(KVTEL_MSGPACK, data, size);
    return 0;
}
