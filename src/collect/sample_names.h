/* SPDX-License-Identifier: Apache-2.0 */
/* Names that an exposition gives to samples. */
#ifndef KVTEL_COLLECT_SAMPLE_NAMES_H
#define KVTEL_COLLECT_SAMPLE_NAMES_H

#include "base/arena.h"
#include <kvtel/snapshot.h>

/* Whether a family can join those of the snapshot: a histogram x has samples x_count, and a gauge may be called that;
 * then the exposition would have the same series twice, which no scraper takes. `arena` gives memory for a moment.
 * KVTEL_OK; KVTEL_E_MISMATCH: a sample's name is one of another family; KVTEL_E_NOMEM. */
enum kvtel_status kvtel_sample_names_check(const struct kvtel_snapshot *snapshot, const char *name,
                                           enum kvtel_metric_type type, struct kvtel_arena *arena);

#endif
