/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over a histogram's bins, which each scrape makes for each lane's series: two bins to a vector. */
#ifndef KVTEL_COLLECT_BIN_SUMS_H
#define KVTEL_COLLECT_BIN_SUMS_H

#include <stdint.h>
#include <string.h>

typedef uint64_t kvtel_bins_pair __attribute__((vector_size(16)));

static inline kvtel_bins_pair kvtel_bins_load(const uint64_t *bins)
{
    kvtel_bins_pair pair;
    memcpy(&pair, bins, sizeof pair);
    return pair;
}

/* The sum of bins. *bits: those that are set in any of them. */
static inline uint64_t kvtel_bins_sum(const uint64_t *bins, uint64_t count, uint64_t *bits)
{
    kvtel_bins_pair sums = { 0, 0 }, set = { 0, 0 };
    uint64_t k = 0;
    for (; k + 4 <= count; k += 4) {
        const kvtel_bins_pair low = kvtel_bins_load(bins + k), high = kvtel_bins_load(bins + k + 2);
        sums += low + high;
        set |= low | high;
    }
    for (; k < count; k++) {
        sums[0] += bins[k];
        set[0] |= bins[k];
    }
    *bits = set[0] | set[1];
    return sums[0] + sums[1];
}

/* Adds bins to others. Returns their sum. */
static inline uint64_t kvtel_bins_add(uint64_t *into, const uint64_t *bins, uint64_t count)
{
    kvtel_bins_pair sums = { 0, 0 };
    uint64_t k = 0;
    for (; k + 2 <= count; k += 2) {
        const kvtel_bins_pair pair = kvtel_bins_load(bins + k), sum = pair + kvtel_bins_load(into + k);
        memcpy(into + k, &sum, sizeof sum);
        sums += pair;
    }
    if (k < count) {
        into[k] += bins[k];
        sums[0] += bins[k];
    }
    return sums[0] + sums[1];
}

#endif
