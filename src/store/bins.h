/* SPDX-License-Identifier: Apache-2.0 */
/* The bins of a histogram: explicit and exponential bounds together, and how a value's bin is found. */
#ifndef KVTEL_STORE_BINS_H
#define KVTEL_STORE_BINS_H

#include <kvtel/connector.h>
#include <string.h>

/* Bin i holds values in (bounds[i-1], bounds[i]], the last one all above. Immutable once made. */
struct kvtel_bins {
    struct kvtel_bins *next; /* of the list that owns it */
    uint32_t bound_count;
    const double *bounds; /* bound_count of them, then infinity */
    const double *explicit_bounds;
    const uint32_t *explicit_bins; /* see snapshot.h */
    uint32_t explicit_count;
    const uint32_t *exponential_bins;
    uint32_t exponential_count;
    int32_t exponential_first;
    /* The grid: the top bits of a double select a cell, which knows the lowest bin that a value in it can have. */
    uint64_t lowest_key, highest_key;
    const uint16_t *grid;
};

enum { KVTEL_GRID_BITS = 7, KVTEL_GRID_SHIFT = 52 - KVTEL_GRID_BITS };

/* Exponential bounds of a unit. */
void kvtel_bins_range(enum kvtel_unit unit, int32_t *first, uint32_t *count);
/* The bins of these bounds, made or found in `list`. `explicit_bounds` ascend and are finite. NULL without memory. */
const struct kvtel_bins *kvtel_bins_get(struct kvtel_bins **list, const double *explicit_bounds, uint32_t explicit_count,
                                        int32_t exponential_first, uint32_t exponential_count);
void kvtel_bins_free(struct kvtel_bins *list);

/* The bin of a value that is not negative and not NaN. */
static inline uint32_t kvtel_bins_find(const struct kvtel_bins *bins, double value)
{
    uint64_t key;
    memcpy(&key, &value, sizeof(key));
    key >>= KVTEL_GRID_SHIFT;
    key = key < bins->lowest_key ? bins->lowest_key : key;
    key = key > bins->highest_key ? bins->highest_key : key;
    uint32_t bin = bins->grid[key - bins->lowest_key];
    bin += value > bins->bounds[bin]; /* a cell is narrower than an exponential bin */
    while (__builtin_expect(value > bins->bounds[bin], 0))
        bin++;
    return bin;
}

#endif
