/* SPDX-License-Identifier: Apache-2.0 */
/* The cells and bins of a histogram.
 *
 * A cell is what a writer counts. An octave has 128 cells of equal width, and the seven inner bounds of schema 3
 * (2^(1/8) to 2^(7/8)) cut seven of them in two. The cell of a number follows from the number's bits alone. A bin is
 * what a reader shows: the bins of a family are its cells, cut once more at the explicit bounds that lie inside a
 * cell. For each of these bounds (a split) the writer counts the values of the cell that are at or below the bound. */
#ifndef KVTEL_HISTOGRAM_BINS_H
#define KVTEL_HISTOGRAM_BINS_H

#include "base/double.h"

#include <kvtel/metric.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    KVTEL_BINS_SCHEMA = 3,       /* exponential bounds are powers of 2^(1/8), and each is the bound of a cell */
    KVTEL_CELLS_OCTAVE = 136,    /* the last one is never used */
    KVTEL_CELLS_OCTAVES = 34,    /* of the range of a unit */
    KVTEL_CELLS_NS_OCTAVES = 30, /* a number of nanoseconds is scaled by 2^30 / 1e9 */
    /* Cell 0 counts all that is at or below the range, the last cell all that is above. */
    KVTEL_CELLS = KVTEL_CELLS_OCTAVES * KVTEL_CELLS_OCTAVE + 2
};

/* Words of a row. Below this limit a word is an integer (nanoseconds or pieces), from there on the bits of a double
 * (of at least 2^-1022), and all ones say that there is no value. */
#define KVTEL_INTEGER_LIMIT (UINT64_C(1) << 52)
#define KVTEL_NO_VALUE UINT64_MAX

/* Integers are scaled by slightly less than 1, so that a number on a bound falls below it. */
#define KVTEL_SCALE_PIECES (1 - 0x1p-50)
#define KVTEL_SCALE_NS (0x1p30 / 1e9 * (1 - 0x1p-50))

/* An explicit bound inside a cell. */
struct kvtel_split {
    uint32_t cell;
    uint32_t bin;     /* whose upper bound it is */
    uint32_t bound;   /* its number among the explicit bounds */
    double value;     /* the bound itself */
    uint64_t most[2]; /* the largest integer below KVTEL_INTEGER_LIMIT that is at or below it: pieces, nanoseconds */
};

/* Consecutive cells with consecutive bins, up to the next run. */
struct kvtel_run {
    uint32_t cell, bin;
};

/* Bin i counts values in (bounds[i-1], bounds[i]]; the last bin counts all larger values. Immutable once made, so
 * any thread may read it. */
struct kvtel_bins {
    struct kvtel_bins *next; /* next in the list that owns the bins */
    uint32_t bound_count;
    const double *bounds; /* ascending, none negative */
    const double *explicit_bounds;
    const uint32_t *explicit_bins; /* see snapshot.h */
    uint32_t explicit_count;
    const uint32_t *exponential_bins;
    uint32_t exponential_count;
    int32_t exponential_first;
    uint32_t cell_count;
    int32_t base[2];        /* what is subtracted from the key of a scaled number: pieces or doubles, nanoseconds */
    const uint16_t *bin_of; /* the lowest bin of each cell, and behind the last cell the number of bins */
    const struct kvtel_split *splits; /* ascending */
    uint32_t split_count;
    const struct kvtel_run *runs;
    uint32_t run_count;
};

/* Mantissas of 2^(1/8) to 2^(7/8): the inner bound of each eighth of an octave but the last. */
extern const uint64_t kvtel_cell_inner[8];

/* The key of a scaled number: cells of all octaves, counted from the number 0. A number on a bound is above it. */
static inline int64_t kvtel_cell_key(uint64_t bits)
{
    const int64_t number = (int64_t)bits;
    const uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    return (number >> 45) + (number >> 49) + (mantissa >= kvtel_cell_inner[bits >> 49 & 7]);
}
/* The lower bound of the cell with this key. The cell's numbers are above it, and at or below the next cell's. */
double kvtel_cell_low(int64_t key);
static inline uint32_t kvtel_cell_clamp(int64_t cell, uint32_t cell_count)
{
    cell = cell < 0 ? 0 : cell;
    return cell < (int64_t)cell_count ? (uint32_t)cell : cell_count - 1;
}
/* The cell of a double, given its bits. The double must not be negative, -0 or NaN. */
static inline uint32_t kvtel_cell_of_double(const struct kvtel_bins *bins, uint64_t bits)
{
    return kvtel_cell_clamp(kvtel_cell_key(bits - 1) - bins->base[0], bins->cell_count);
}
/* The cell of an integer below KVTEL_INTEGER_LIMIT. */
static inline uint32_t kvtel_cell_of_integer(const struct kvtel_bins *bins, uint64_t number, bool ns)
{
    const double scaled = (double)(int64_t)number * (ns ? KVTEL_SCALE_NS : KVTEL_SCALE_PIECES);
    return kvtel_cell_clamp(kvtel_cell_key(kvtel_double_bits(scaled)) - bins->base[ns], bins->cell_count);
}
/* The cell of a word that is a value. */
static inline uint32_t kvtel_cell_of_word(const struct kvtel_bins *bins, uint64_t word, bool ns)
{
    return word < KVTEL_INTEGER_LIMIT ? kvtel_cell_of_integer(bins, word, ns) : kvtel_cell_of_double(bins, word);
}
/* Whether a word that is a value is at or below the bound of the split. */
static inline bool kvtel_split_takes(const struct kvtel_split *split, uint64_t word, bool ns)
{
    return word < KVTEL_INTEGER_LIMIT ? word <= split->most[ns] : kvtel_bits_double(word) <= split->value;
}
/* The value that a word stands for. */
static inline double kvtel_word_value(uint64_t word, bool ns)
{
    if (word >= KVTEL_INTEGER_LIMIT)
        return kvtel_bits_double(word);
    return ns ? (double)(int64_t)word / 1e9 : (double)(int64_t)word;
}
/* The word of a double that is not negative. A number below 2^-1022 other than 0 counts as 2^-1022. */
static inline uint64_t kvtel_double_word(double value)
{
    uint64_t bits = kvtel_double_bits(value + 0.0);
    return bits != 0 && bits < KVTEL_INTEGER_LIMIT ? KVTEL_INTEGER_LIMIT : bits;
}

/* The bin of a value, given its bits. The value must not be negative, -0 or NaN. */
static inline uint32_t kvtel_bins_find(const struct kvtel_bins *bins, uint64_t bits)
{
    uint32_t bin = bins->bin_of[kvtel_cell_of_double(bins, bits)];
    const double value = kvtel_bits_double(bits);
    while (__builtin_expect(bin < bins->bound_count && bins->bounds[bin] < value, 0))
        bin++;
    return bin;
}

/* How many of these bins, which ascend, are lower ones. */
static inline uint32_t kvtel_bins_lower(const uint32_t *bins, uint32_t count, uint32_t bin)
{
    uint32_t first = 0;
    while (count > 0) {
        const uint32_t half = count / 2;
        const bool above = bins[first + half] < bin;
        first = above ? first + half + 1 : first;
        count = above ? count - half - 1 : half;
    }
    return first;
}

/* The explicit bucket that a bin is part of; explicit_count: the one above all bounds. */
static inline uint32_t kvtel_bins_bucket(const struct kvtel_bins *bins, uint32_t bin)
{
    return kvtel_bins_lower(bins->explicit_bins, bins->explicit_count, bin);
}

/* The part between exponential bounds that a value is in, given its bits as above: part i ends at exponential bound i,
 * and part exponential_count has all that is above the last one. An octave has one bound in each of its first seven
 * linear eighths. */
static inline uint32_t kvtel_bins_part(const struct kvtel_bins *bins, uint64_t bits)
{
    enum { ONE = 1023 << KVTEL_BINS_SCHEMA }; /* the eighth that begins with the number 1 */
    const uint64_t below = bits - 1, mantissa = below & ((UINT64_C(1) << 52) - 1);
    const int64_t eighth = ((int64_t)below >> 49) + (mantissa >= kvtel_cell_inner[below >> 49 & 7]);
    const int64_t part = eighth - ONE + 1 - bins->exponential_first;
    const int64_t least = part < 0 ? 0 : part;
    return least < (int64_t)bins->exponential_count ? (uint32_t)least : bins->exponential_count;
}
/* The same of a bin. */
static inline uint32_t kvtel_bins_part_of(const struct kvtel_bins *bins, uint32_t bin)
{
    return kvtel_bins_lower(bins->exponential_bins, bins->exponential_count, bin);
}

/* The exponential bounds of a unit: index of the first bound and number of bounds. */
void kvtel_bins_range(enum kvtel_unit unit, int32_t *first, uint32_t *count);
/* Makes the bins of these bounds, or finds them in `list`, which owns them. `explicit_bounds` must ascend, be finite
 * and not be negative. NULL: no memory. One thread at a time for each list. */
const struct kvtel_bins *kvtel_bins_get(struct kvtel_bins **list, const double *explicit_bounds,
                                        uint32_t explicit_count, int32_t exponential_first, uint32_t exponential_count);
/* An upper limit of the number of bins for so many bounds. */
uint32_t kvtel_bins_most(uint32_t explicit_count, int32_t exponential_first, uint32_t exponential_count);
void kvtel_bins_free(struct kvtel_bins *list);

#endif
