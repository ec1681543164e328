/* SPDX-License-Identifier: Apache-2.0 */
/* Where an operation leaves exemplars in a lane. format/layout.h has their layout. */
#ifndef KVTEL_RECORD_EXEMPLAR_H
#define KVTEL_RECORD_EXEMPLAR_H

#include "record/store.h"

/* The places of a series' exemplars. */
struct kvtel_exemplar_places {
    uint64_t at; /* word of the lane; 0: the series has none */
    const struct kvtel_bins *bins;
};

#endif
