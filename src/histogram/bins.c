/* SPDX-License-Identifier: Apache-2.0 */
/* Making the bins of a histogram. */
#include "histogram/bins.h"
#include "format/layout.h"

#include <stdlib.h>

enum { PER_OCTAVE = 1 << KVTEL_LAYOUT_SCHEMA, OCTAVES = 34 };

/* 2^(i/64), correctly rounded. */
static const double powers[PER_OCTAVE] = {
    0x1.0000000000000p+0, 0x1.02c9a3e778061p+0, 0x1.059b0d3158574p+0, 0x1.0874518759bc8p+0, 0x1.0b5586cf9890fp+0,
    0x1.0e3ec32d3d1a2p+0, 0x1.11301d0125b51p+0, 0x1.1429aaea92de0p+0, 0x1.172b83c7d517bp+0, 0x1.1a35beb6fcb75p+0,
    0x1.1d4873168b9aap+0, 0x1.2063b88628cd6p+0, 0x1.2387a6e756238p+0, 0x1.26b4565e27cddp+0, 0x1.29e9df51fdee1p+0,
    0x1.2d285a6e4030bp+0, 0x1.306fe0a31b715p+0, 0x1.33c08b26416ffp+0, 0x1.371a7373aa9cbp+0, 0x1.3a7db34e59ff7p+0,
    0x1.3dea64c123422p+0, 0x1.4160a21f72e2ap+0, 0x1.44e086061892dp+0, 0x1.486a2b5c13cd0p+0, 0x1.4bfdad5362a27p+0,
    0x1.4f9b2769d2ca7p+0, 0x1.5342b569d4f82p+0, 0x1.56f4736b527dap+0, 0x1.5ab07dd485429p+0, 0x1.5e76f15ad2148p+0,
    0x1.6247eb03a5585p+0, 0x1.6623882552225p+0, 0x1.6a09e667f3bcdp+0, 0x1.6dfb23c651a2fp+0, 0x1.71f75e8ec5f74p+0,
    0x1.75feb564267c9p+0, 0x1.7a11473eb0187p+0, 0x1.7e2f336cf4e62p+0, 0x1.82589994cce13p+0, 0x1.868d99b4492edp+0,
    0x1.8ace5422aa0dbp+0, 0x1.8f1ae99157736p+0, 0x1.93737b0cdc5e5p+0, 0x1.97d829fde4e50p+0, 0x1.9c49182a3f090p+0,
    0x1.a0c667b5de565p+0, 0x1.a5503b23e255dp+0, 0x1.a9e6b5579fdbfp+0, 0x1.ae89f995ad3adp+0, 0x1.b33a2b84f15fbp+0,
    0x1.b7f76f2fb5e47p+0, 0x1.bcc1e904bc1d2p+0, 0x1.c199bdd85529cp+0, 0x1.c67f12e57d14bp+0, 0x1.cb720dcef9069p+0,
    0x1.d072d4a07897cp+0, 0x1.d5818dcfba487p+0, 0x1.da9e603db3285p+0, 0x1.dfc97337b9b5fp+0, 0x1.e502ee78b3ff6p+0,
    0x1.ea4afa2a490dap+0, 0x1.efa1bee615a27p+0, 0x1.f50765b6e4540p+0, 0x1.fa7c1819e90d8p+0,
};

void kvtel_bins_range(enum kvtel_unit unit, int32_t *first, uint32_t *count)
{
    static const int octaves[] = {
        [KVTEL_UNIT_COUNT] = -1,    /* 0.5 to 8.6e9: 0 and 1 are in different bins */
        [KVTEL_UNIT_SECONDS] = -23, /* 119 ns to 34 min */
        [KVTEL_UNIT_BYTES] = 8,     /* 256 B to 4 TiB */
        [KVTEL_UNIT_RATIO] = -20,   /* 1e-6 to 16,384 */
    };
    *first = octaves[unit] * PER_OCTAVE;
    *count = OCTAVES * PER_OCTAVE + 1;
}

/* 2^(index/64). The result is a normal number for every index that bins use. */
static double exponential_bound(int32_t index)
{
    int32_t octave = index >> KVTEL_LAYOUT_SCHEMA;
    double bound = powers[index & (PER_OCTAVE - 1)];
    uint64_t bits;
    memcpy(&bits, &bound, sizeof(bits));
    bits += (uint64_t)(int64_t)octave << 52;
    memcpy(&bound, &bits, sizeof(bound));
    return bound;
}

static uint64_t grid_key(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits >> KVTEL_GRID_SHIFT;
}

static double key_value(uint64_t key)
{
    double value;
    key <<= KVTEL_GRID_SHIFT;
    memcpy(&value, &key, sizeof(value));
    return value;
}

/* Merges both kinds of bounds into one ascending list without duplicates. */
static uint32_t merge(const struct kvtel_bins *bins, double *bounds, uint32_t *explicit_bins,
                      uint32_t *exponential_bins)
{
    uint32_t count = 0, i = 0, j = 0;
    while (i < bins->explicit_count || j < bins->exponential_count) {
        double exponential =
            j < bins->exponential_count ? exponential_bound(bins->exponential_first + (int32_t)j) : __builtin_inf();
        double next =
            i < bins->explicit_count && bins->explicit_bounds[i] < exponential ? bins->explicit_bounds[i] : exponential;
        if (i < bins->explicit_count && bins->explicit_bounds[i] <= next)
            explicit_bins[i++] = count;
        if (exponential <= next)
            exponential_bins[j++] = count;
        bounds[count++] = next;
    }
    return count;
}

/* Fills the grid. Cell 0 stands for all values below the exponential range, the last cell for all above. */
static void fill_grid(const struct kvtel_bins *bins, uint16_t *grid)
{
    uint32_t bin = 0;
    grid[0] = 0;
    for (uint64_t key = bins->lowest_key + 1; key < bins->lowest_key + bins->cells; key++) {
        while (bins->bounds[bin] < key_value(key))
            bin++;
        grid[key - bins->lowest_key] = (uint16_t)bin;
    }
}

static struct kvtel_bins *bins_create(const double *explicit_bounds, uint32_t explicit_count, int32_t first,
                                      uint32_t count)
{
    uint64_t lowest_key = grid_key(exponential_bound(first)) - 1;
    uint64_t highest_key = grid_key(exponential_bound(first + (int32_t)count - 1));
    size_t bounds_size = (explicit_count + count + 1) * (sizeof(double) + sizeof(uint64_t));
    size_t explicit_size = explicit_count * (sizeof(double) + sizeof(uint32_t));
    size_t grid_size = (highest_key - lowest_key + 1) * sizeof(uint16_t);
    struct kvtel_bins *bins =
        malloc(sizeof(*bins) + bounds_size + explicit_size + count * sizeof(uint32_t) + grid_size);
    if (!bins)
        return NULL;
    double *bounds = (double *)(bins + 1);
    uint64_t *keys = (uint64_t *)(bounds + explicit_count + count);
    double *copy = (double *)(keys + explicit_count + count + 1);
    uint32_t *explicit_bins = (uint32_t *)(copy + explicit_count);
    uint32_t *exponential_bins = explicit_bins + explicit_count;
    uint16_t *grid = (uint16_t *)(exponential_bins + count);
    if (explicit_count > 0)
        memcpy(copy, explicit_bounds, explicit_count * sizeof(double));
    *bins = (struct kvtel_bins){
        .bounds = bounds,
        .keys = keys,
        .explicit_bounds = copy,
        .explicit_bins = explicit_bins,
        .explicit_count = explicit_count,
        .exponential_bins = exponential_bins,
        .exponential_count = count,
        .exponential_first = first,
        .lowest_key = lowest_key,
        .cells = highest_key - lowest_key + 1,
        .lowest = key_value(lowest_key),
        .highest = key_value(highest_key),
        .grid = grid,
    };
    bins->bound_count = merge(bins, bounds, explicit_bins, exponential_bins);
    memcpy(keys, bounds, bins->bound_count * sizeof(*keys));
    keys[bins->bound_count] = UINT64_MAX;
    fill_grid(bins, grid);
    return bins;
}

const struct kvtel_bins *kvtel_bins_get(struct kvtel_bins **list, const double *explicit_bounds,
                                        uint32_t explicit_count, int32_t exponential_first, uint32_t exponential_count)
{
    for (const struct kvtel_bins *bins = *list; bins; bins = bins->next) {
        if (bins->exponential_first == exponential_first && bins->exponential_count == exponential_count &&
            bins->explicit_count == explicit_count &&
            (explicit_count == 0 ||
             memcmp(bins->explicit_bounds, explicit_bounds, explicit_count * sizeof(double)) == 0))
            return bins;
    }
    struct kvtel_bins *bins = bins_create(explicit_bounds, explicit_count, exponential_first, exponential_count);
    if (bins) {
        bins->next = *list;
        *list = bins;
    }
    return bins;
}

uint32_t kvtel_bins_count(const double *explicit_bounds, uint32_t explicit_count, int32_t exponential_first,
                          uint32_t exponential_count)
{
    uint32_t equal = 0;
    for (uint32_t i = 0, j = 0; i < explicit_count && j < exponential_count;) {
        double bound = exponential_bound(exponential_first + (int32_t)j);
        equal += explicit_bounds[i] == bound;
        if (explicit_bounds[i] <= bound)
            i++;
        else
            j++;
    }
    return explicit_count + exponential_count - equal + 1;
}

void kvtel_bins_free(struct kvtel_bins *list)
{
    for (struct kvtel_bins *next; list; list = next) {
        next = list->next;
        free(list);
    }
}
