/* SPDX-License-Identifier: Apache-2.0 */
/* Recording through instruments: a connector's named values, and its failures. */
#include "record/lane.h"
#include "record/recorder.h"
#include "record/thread.h"

bool kvtel_record_value(const struct kvtel_instrument *instrument, double value)
{
    struct kvtel_lane *lane = instrument ? kvtel_thread_lane_of(instrument->store) : NULL;
    uint64_t token;
    if (lane && instrument->count == 0) /* the store had no room for its series */
        kvtel_store_count_dropped(lane->store, 1);
    if (!lane || instrument->count == 0 || !kvtel_lane_enter(lane, 1, &token))
        return false;
    bool recorded = true;
    for (uint32_t i = 0; i < instrument->count; i++)
        recorded &= kvtel_lane_record_inside(lane, instrument->series[i], value, instrument->ones);
    kvtel_thread_leave(token);
    return recorded;
}

bool kvtel_record_failure(const struct kvtel_recorder *recorder, enum kvtel_failure failure)
{
    return recorder && (unsigned)failure < KVTEL_FAILURE_COUNT && kvtel_record_value(recorder->failures[failure], 1);
}
