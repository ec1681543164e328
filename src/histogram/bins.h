/* SPDX-License-Identifier: Apache-2.0 */
/* The bins of a histogram: explicit and exponential bounds together, and how a value's bin is found. */
#ifndef KVTEL_HISTOGRAM_BINS_H
#define KVTEL_HISTOGRAM_BINS_H

#include <kvtel/metric.h>
#include <string.h>

/* Bin i holds values in (bounds[i-1], bounds[i]], the last one all above. Immutable once made. */
struct kvtel_bins {
    struct kvtel_bins *next; /* of the list that owns it */
    uint32_t bound_count;
    const double *bounds; /* none negative */
    const uint64_t *keys; /* their bits, then all ones */
    const double *explicit_bounds;
    const uint32_t *explicit_bins; /* see snapshot.h */
    uint32_t explicit_count;
    const uint32_t *exponential_bins;
    uint32_t exponential_count;
    int32_t exponential_first;
    /* The grid: the top bits of a double select a cell, which knows the lowest bin that a value in it can have. */
    uint64_t lowest_key, cells;
    double lowest, highest; /* the first values of the first and of the last cell */
    const uint16_t *grid;
};

enum { KVTEL_GRID_BITS = 7, KVTEL_GRID_SHIFT = 52 - KVTEL_GRID_BITS };

/* Exponential bounds of a unit. */
void kvtel_bins_range(enum kvtel_unit unit, int32_t *first, uint32_t *count);
/* The bins of these bounds, made or found in `list`. `explicit_bounds` ascend, are finite and not negative. NULL
 * without memory. */
const struct kvtel_bins *kvtel_bins_get(struct kvtel_bins **list, const double *explicit_bounds,
                                        uint32_t explicit_count, int32_t exponential_first, uint32_t exponential_count);
/* How many bins these bounds make: one for each bound, equal ones once, and one more. */
uint32_t kvtel_bins_count(const double *explicit_bounds, uint32_t explicit_count, int32_t exponential_first,
                          uint32_t exponential_count);
void kvtel_bins_free(struct kvtel_bins *list);

/* The bin of a value's bits in its cell. Bits of doubles that are not negative order as the doubles do. */
static inline uint32_t kvtel_bins_in_cell(const uint64_t *keys, const uint16_t *grid, uint64_t cell, uint64_t bits)
{
    uint64_t bin = grid[cell];
    bin += keys[bin] < bits; /* a cell is narrower than an exponential bin */
    while (__builtin_expect(keys[bin] < bits, 0))
        bin++;
    return (uint32_t)bin;
}

/* The bin of a value's bits; the value is not negative, not -0 and not NaN. (A NaN ends up in the last bin.) */
static inline uint32_t kvtel_bins_find(const struct kvtel_bins *bins, uint64_t bits)
{
    uint64_t key = bits >> KVTEL_GRID_SHIFT, cell = key - bins->lowest_key;
    if (__builtin_expect(cell >= bins->cells, 0))
        cell = key < bins->lowest_key ? 0 : bins->cells - 1;
    return kvtel_bins_in_cell(bins->keys, bins->grid, cell, bits);
}

#endif
