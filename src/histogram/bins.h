/* SPDX-License-Identifier: Apache-2.0 */
/* The bins of a histogram: how explicit and exponential bounds are merged, and how the bin of a value is found. */
#ifndef KVTEL_HISTOGRAM_BINS_H
#define KVTEL_HISTOGRAM_BINS_H

#include <kvtel/metric.h>
#include <string.h>

/* Bin i counts values in (bounds[i-1], bounds[i]]; the last bin counts all larger values. Immutable once made, so
 * any thread may read it. */
struct kvtel_bins {
    struct kvtel_bins *next; /* next in the list that owns the bins */
    uint32_t bound_count;
    const double *bounds; /* ascending, none negative */
    const uint64_t *keys; /* the bounds' bits, then one key of all ones */
    const double *explicit_bounds;
    const uint32_t *explicit_bins; /* see snapshot.h */
    uint32_t explicit_count;
    const uint32_t *exponential_bins;
    uint32_t exponential_count;
    int32_t exponential_first;
    /* A grid speeds up the search. The top bits of a double select a cell, and the cell stores the lowest bin of any
     * value in it. */
    uint64_t lowest_key, cells;
    double lowest, highest; /* the smallest values of the first and of the last cell */
    const uint16_t *grid;
};

enum { KVTEL_GRID_BITS = 7, KVTEL_GRID_SHIFT = 52 - KVTEL_GRID_BITS };

/* The exponential bounds of a unit: index of the first bound and number of bounds. */
void kvtel_bins_range(enum kvtel_unit unit, int32_t *first, uint32_t *count);
/* Makes the bins of these bounds, or finds them in `list`, which owns them. `explicit_bounds` must ascend, be finite
 * and not be negative. NULL: no memory. One thread at a time for each list. */
const struct kvtel_bins *kvtel_bins_get(struct kvtel_bins **list, const double *explicit_bounds,
                                        uint32_t explicit_count, int32_t exponential_first, uint32_t exponential_count);
/* Number of bins for these bounds: one for each different bound, and one more. */
uint32_t kvtel_bins_count(const double *explicit_bounds, uint32_t explicit_count, int32_t exponential_first,
                          uint32_t exponential_count);
void kvtel_bins_free(struct kvtel_bins *list);

/* The bin of a value, given its bits and its cell. Bits of doubles that are not negative are ordered like the
 * doubles. */
static inline uint32_t kvtel_bins_in_cell(const uint64_t *keys, const uint16_t *grid, uint64_t cell, uint64_t bits)
{
    uint64_t bin = grid[cell];
    bin += keys[bin] < bits; /* a cell is narrower than an exponential bin */
    while (__builtin_expect(keys[bin] < bits, 0))
        bin++;
    return (uint32_t)bin;
}

/* The bin of a value, given its bits. The value must not be negative, -0 or NaN. (A NaN gets the last bin.) */
static inline uint32_t kvtel_bins_find(const struct kvtel_bins *bins, uint64_t bits)
{
    uint64_t key = bits >> KVTEL_GRID_SHIFT, cell = key - bins->lowest_key;
    if (__builtin_expect(cell >= bins->cells, 0))
        cell = key < bins->lowest_key ? 0 : bins->cells - 1;
    return kvtel_bins_in_cell(bins->keys, bins->grid, cell, bits);
}

#endif
