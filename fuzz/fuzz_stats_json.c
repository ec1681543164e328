/* SPDX-License-Identifier: Apache-2.0 */
/* JSON payloads of every connector, through all code that takes payloads. */
#include "stats_contract.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    must_take(KVTEL_JSON, data, size);
    return 0;
}
