/* SPDX-License-Identifier: Apache-2.0 */
/* Where an operation leaves exemplars in a lane. format/layout.h has their layout. */
#ifndef KVTEL_RECORD_EXEMPLAR_H
#define KVTEL_RECORD_EXEMPLAR_H

#include <kvtel/recorder.h>

#include "record/store.h"

/* The places of a series' exemplars. */
struct kvtel_exemplar_places {
    uint64_t at; /* word of the lane; 0: the series has none */
    const struct kvtel_bins *bins;
};

/* Leaves an exemplar of a transfer that the caller records right after, by another call than kvtel_record_exemplar().
 * Without effect where the operation's histogram has no places for exemplars. Any thread. */
void kvtel_exemplar_leave(const struct kvtel_operation *operation, const struct kvtel_transfer *transfer,
                          const struct kvtel_exemplar *exemplar);

#endif
