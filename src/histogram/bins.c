/* SPDX-License-Identifier: Apache-2.0 */
/* Making the cells and bins of a histogram. */
#include "histogram/bins.h"

#include <stdlib.h>

enum { BOUNDS_OCTAVE = 1 << KVTEL_BINS_SCHEMA, LINEAR_BITS = 7, LINEAR = 1 << LINEAR_BITS };
#define MANTISSA ((UINT64_C(1) << 52) - 1)

/* 2^(i/8) for i = 1 to 7, correctly rounded; no mantissa reaches the last one. */
const uint64_t kvtel_cell_inner[8] = {
    0x172b83c7d517b, 0x306fe0a31b715, 0x4bfdad5362a27, 0x6a09e667f3bcd,
    0x8ace5422aa0db, 0xae89f995ad3ad, 0xd5818dcfba487, UINT64_MAX,
};

void kvtel_bins_range(enum kvtel_unit unit, int32_t *first, uint32_t *count)
{
    static const int octaves[] = {
        [KVTEL_UNIT_COUNT] = -1,    /* 0.5 to 8.6e9: 0 and 1 are in different bins */
        [KVTEL_UNIT_SECONDS] = -23, /* 119 ns to 34 min */
        [KVTEL_UNIT_BYTES] = 8,     /* 256 B to 4 TiB */
        [KVTEL_UNIT_RATIO] = -20,   /* 1e-6 to 16,384 */
    };
    *first = octaves[unit] * BOUNDS_OCTAVE;
    *count = KVTEL_CELLS_OCTAVES * BOUNDS_OCTAVE + 1;
}

double kvtel_cell_low(int64_t key)
{
    enum { EIGHTH = KVTEL_CELLS_OCTAVE / 8, LINEAR_SHIFT = 52 - LINEAR_BITS };
    const uint64_t octave = (uint64_t)(key / KVTEL_CELLS_OCTAVE), cell = (uint64_t)(key % KVTEL_CELLS_OCTAVE);
    const uint64_t eighth = cell / EIGHTH, place = cell % EIGHTH;
    if (cell == KVTEL_CELLS_OCTAVE - 1) /* which is never used: the bound above the one before */
        return kvtel_bits_double((octave + 1) << 52);
    /* the cell of this eighth that the inner bound cuts in two */
    const uint64_t cut = (kvtel_cell_inner[eighth] >> LINEAR_SHIFT) - eighth * (EIGHTH - 1);
    const uint64_t linear = (eighth * (EIGHTH - 1) + place - (place > cut)) << LINEAR_SHIFT;
    return kvtel_bits_double((octave << 52) + (place == cut + 1 ? kvtel_cell_inner[eighth] : linear));
}

/* The whole octaves that contain the exponential bounds. */
struct octaves {
    int32_t first;
    uint32_t count;
};
static struct octaves octaves_of(int32_t first, uint32_t count)
{
    const int32_t last = first + (int32_t)count - 1;
    const int32_t from = first >> KVTEL_BINS_SCHEMA, to = (last + BOUNDS_OCTAVE - 1) >> KVTEL_BINS_SCHEMA;
    return (struct octaves){ from, (uint32_t)(to - from) };
}

/* A number of an octave, given the upper bits of its mantissa. The result is normal for every octave that bins use. */
static double number_of(int32_t octave, uint64_t mantissa)
{
    return kvtel_bits_double(((uint64_t)(int64_t)(1023 + octave) << 52) + mantissa);
}

/* The largest integer whose value is at or below the bound. */
static uint64_t integer_most(double bound, bool ns)
{
    const double scaled = ns ? bound * 1e9 : bound;
    uint64_t most = scaled < (double)(KVTEL_INTEGER_LIMIT - 1) ? (uint64_t)scaled : KVTEL_INTEGER_LIMIT - 1;
    while (most > 0 && kvtel_word_value(most, ns) > bound)
        most--;
    while (most + 1 < KVTEL_INTEGER_LIMIT && kvtel_word_value(most + 1, ns) <= bound)
        most++;
    return most;
}

/* The parts of the bins while they are made. */
struct maker {
    struct kvtel_bins *bins;
    double *bounds;
    uint32_t *explicit_bins, *exponential_bins;
    uint16_t *bin_of;
    struct kvtel_split *splits;
    struct kvtel_run *runs;
    uint32_t next; /* number of the next explicit bound */
    int32_t end;   /* of the last run: bin - cell */
};

/* The next cell begins: its lowest bin is the next one. */
static void begin_cell(struct maker *maker, uint32_t cell)
{
    struct kvtel_bins *bins = maker->bins;
    const int32_t distance = (int32_t)bins->bound_count - (int32_t)cell;
    maker->bin_of[cell] = (uint16_t)bins->bound_count;
    if (bins->run_count == 0 || distance != maker->end)
        maker->runs[bins->run_count++] = (struct kvtel_run){ cell, bins->bound_count };
    maker->end = distance;
}

/* Adds the explicit bounds below the cell's upper bound, which is infinite for the last one. */
static void split_cell(struct maker *maker, uint32_t cell, double upper)
{
    struct kvtel_bins *bins = maker->bins;
    while (maker->next < bins->explicit_count && bins->explicit_bounds[maker->next] < upper) {
        const double bound = bins->explicit_bounds[maker->next];
        maker->splits[bins->split_count++] =
            (struct kvtel_split){ .cell = cell,
                                  .bin = bins->bound_count,
                                  .bound = maker->next,
                                  .value = bound,
                                  .most = { integer_most(bound, false), integer_most(bound, true) } };
        maker->explicit_bins[maker->next++] = bins->bound_count;
        maker->bounds[bins->bound_count++] = bound;
    }
}

/* Ends the cell with its upper bound. */
static void end_cell(struct maker *maker, uint32_t cell, double upper, int32_t index)
{
    struct kvtel_bins *bins = maker->bins;
    split_cell(maker, cell, upper);
    if (maker->next < bins->explicit_count && bins->explicit_bounds[maker->next] <= upper)
        maker->explicit_bins[maker->next++] = bins->bound_count;
    if (index >= bins->exponential_first && index < bins->exponential_first + (int32_t)bins->exponential_count)
        maker->exponential_bins[index - bins->exponential_first] = bins->bound_count;
    maker->bounds[bins->bound_count++] = upper;
}

static void make_octave(struct maker *maker, int32_t octave, uint32_t cell)
{
    enum { NO_INDEX = INT32_MIN };
    const uint32_t end = cell + KVTEL_CELLS_OCTAVE - 1;
    const int32_t index = octave * BOUNDS_OCTAVE;
    for (uint64_t linear = 0; linear < LINEAR; linear++) {
        const uint64_t eighth = linear >> (LINEAR_BITS - KVTEL_BINS_SCHEMA), inner = kvtel_cell_inner[eighth];
        if (inner >> (52 - LINEAR_BITS) == linear) {
            begin_cell(maker, cell);
            end_cell(maker, cell++, number_of(octave, inner), index + (int32_t)eighth + 1);
        }
        begin_cell(maker, cell);
        if (linear + 1 < LINEAR)
            end_cell(maker, cell++, number_of(octave, (linear + 1) << (52 - LINEAR_BITS)), NO_INDEX);
        else
            end_cell(maker, cell++, number_of(octave + 1, 0), index + BOUNDS_OCTAVE);
    }
    begin_cell(maker, end); /* the cell that is never used */
}

static void make(struct maker *maker, struct octaves octaves)
{
    struct kvtel_bins *bins = maker->bins;
    begin_cell(maker, 0);
    end_cell(maker, 0, number_of(octaves.first, 0), octaves.first * BOUNDS_OCTAVE);
    for (uint32_t i = 0; i < octaves.count; i++)
        make_octave(maker, octaves.first + (int32_t)i, 1 + i * KVTEL_CELLS_OCTAVE);
    begin_cell(maker, bins->cell_count - 1);
    split_cell(maker, bins->cell_count - 1, __builtin_inf());
    maker->bin_of[bins->cell_count] = (uint16_t)(bins->bound_count + 1);
}

uint32_t kvtel_bins_most(uint32_t explicit_count, int32_t exponential_first, uint32_t exponential_count)
{
    return explicit_count + octaves_of(exponential_first, exponential_count).count * (KVTEL_CELLS_OCTAVE - 1) + 2;
}

/* Reserves `count` elements of `size` bytes at the end of the memory. */
static size_t part(size_t *end, size_t count, size_t size)
{
    size_t at = *end;
    *end = (at + count * size + 7) / 8 * 8;
    return at;
}

static struct kvtel_bins *bins_create(const double *explicit_bounds, uint32_t explicit_count, int32_t first,
                                      uint32_t count)
{
    const struct octaves octaves = octaves_of(first, count);
    const uint32_t cell_count = octaves.count * KVTEL_CELLS_OCTAVE + 2;
    size_t end = 0;
    const size_t at = part(&end, 1, sizeof(struct kvtel_bins));
    const size_t bounds_at = part(&end, kvtel_bins_most(explicit_count, first, count), sizeof(double));
    const size_t copy_at = part(&end, explicit_count, sizeof(double));
    const size_t explicit_at = part(&end, explicit_count, sizeof(uint32_t));
    const size_t exponential_at = part(&end, count, sizeof(uint32_t));
    const size_t bin_of_at = part(&end, cell_count + 1, sizeof(uint16_t));
    const size_t splits_at = part(&end, explicit_count, sizeof(struct kvtel_split));
    const size_t runs_at = part(&end, 2 * (octaves.count + explicit_count + 2), sizeof(struct kvtel_run));
    char *memory = malloc(end);
    if (!memory)
        return NULL;
    struct kvtel_bins *bins = (struct kvtel_bins *)(void *)(memory + at);
    struct maker maker = { .bins = bins,
                           .bounds = (double *)(void *)(memory + bounds_at),
                           .explicit_bins = (uint32_t *)(void *)(memory + explicit_at),
                           .exponential_bins = (uint32_t *)(void *)(memory + exponential_at),
                           .bin_of = (uint16_t *)(void *)(memory + bin_of_at),
                           .splits = (struct kvtel_split *)(void *)(memory + splits_at),
                           .runs = (struct kvtel_run *)(void *)(memory + runs_at) };
    double *copy = (double *)(void *)(memory + copy_at);
    if (explicit_count > 0)
        memcpy(copy, explicit_bounds, explicit_count * sizeof(double));
    const int32_t base = (1023 + octaves.first) * KVTEL_CELLS_OCTAVE - 1;
    *bins = (struct kvtel_bins){ .bounds = maker.bounds,
                                 .explicit_bounds = copy,
                                 .explicit_bins = maker.explicit_bins,
                                 .explicit_count = explicit_count,
                                 .exponential_bins = maker.exponential_bins,
                                 .exponential_count = count,
                                 .exponential_first = first,
                                 .cell_count = cell_count,
                                 .base = { base, base + KVTEL_CELLS_NS_OCTAVES * KVTEL_CELLS_OCTAVE },
                                 .bin_of = maker.bin_of,
                                 .splits = maker.splits,
                                 .runs = maker.runs };
    make(&maker, octaves);
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

void kvtel_bins_free(struct kvtel_bins *list)
{
    for (struct kvtel_bins *next; list; list = next) {
        next = list->next;
        free(list);
    }
}
