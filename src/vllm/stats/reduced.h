/* SPDX-License-Identifier: Apache-2.0 */
/* What a reduced dict holds. */
#ifndef KVTEL_VLLM_STATS_REDUCED_H
#define KVTEL_VLLM_STATS_REDUCED_H

#include <kvtel/stats.h>

struct kvtel_reduced {
    struct kvtel_reduced_entry *entries;
    size_t count;
};

#endif
