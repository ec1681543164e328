/* SPDX-License-Identifier: Apache-2.0 */
/* What the recording of an operation's rows needs to know. */
#include "record/recorder.h"

#include <string.h>

/* Whether the columns are the first `count` of a point-to-point transfer with `.windows`, in the order in which its row
 * is written. */
static bool has_columns(const struct kvtel_operation *operation, uint32_t count)
{
    static const uint8_t sources[] = { KVTEL_SOURCE_DURATION,    KVTEL_SOURCE_POST,       KVTEL_SOURCE_BYTES,
                                       KVTEL_SOURCE_DESCRIPTORS, KVTEL_SOURCE_FIRST_BYTE, KVTEL_SOURCE_DATA };
    return operation->group && operation->column_count == count && memcmp(operation->sources, sources, count) == 0;
}

void kvtel_operation_prepare(struct kvtel_operation *operation)
{
    const struct kvtel_row_group *group = operation->group;
    if (has_columns(operation, KVTEL_POINT_TO_POINT))
        operation->plain_store = operation->store;
    operation->is_windows = has_columns(operation, KVTEL_POINT_TO_POINT + 2);
    if (group) {
        operation->head_part = group->head_part;
        operation->head_mask = group->head_mask;
        operation->head_at = group->head_at;
        operation->block_at = group->block_at;
    }
    for (uint32_t i = 0; i < operation->column_count; i++) {
        const enum kvtel_source source = operation->sources[i];
        operation->less[i] = source == KVTEL_SOURCE_POST || source == KVTEL_SOURCE_DESCRIPTORS;
        operation->has_points |= source == KVTEL_SOURCE_FIRST_BYTE || source == KVTEL_SOURCE_DATA;
    }
    operation->is_simple = group && !operation->is_windows && !operation->has_points;
}
