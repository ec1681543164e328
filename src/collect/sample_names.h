/* SPDX-License-Identifier: Apache-2.0 */
/* Names that the exposition gives to samples. */
#ifndef KVTEL_COLLECT_SAMPLE_NAMES_H
#define KVTEL_COLLECT_SAMPLE_NAMES_H

#include "base/arena.h"
#include <kvtel/snapshot.h>

/* kvtel_snapshot_find() */
typedef const struct kvtel_snapshot_family *(*kvtel_find_family_fn)(const struct kvtel_snapshot *snapshot,
                                                                    const char *name);

/* Whether a family can be added to those of the snapshot. A histogram x has samples x_count; if a gauge were called
 * x_count, the exposition would show the same series twice, which no scraper accepts. `arena` is used for temporary
 * memory.
 * KVTEL_OK; KVTEL_E_MISMATCH: one of the family's samples has the name of another family's sample; KVTEL_E_NOMEM. */
enum kvtel_status kvtel_sample_names_check(const struct kvtel_snapshot *snapshot, kvtel_find_family_fn find,
                                           const char *name, enum kvtel_metric_type type, struct kvtel_arena *arena);

#endif
