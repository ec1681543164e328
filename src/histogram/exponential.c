/* SPDX-License-Identifier: Apache-2.0 */
/* Bins into base-2 exponential buckets. A bound of a schema is a bound of every finer one, so that sums of bins are
 * exact. */
#include "histogram/exponential.h"

#include "histogram/cell_sums.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_THRESHOLD 0x1p-128 /* where only 0 itself is in the zero bucket */

/* The smallest multiple of 2^shift that is not below `index`, in units of 2^shift. */
static int32_t round_up(int32_t index, int shift)
{
    return (int32_t)(((int64_t)index + ((INT64_C(1) << shift) - 1)) >> shift);
}

static double bound_of(int32_t index, int schema)
{
    return index % (1 << schema) == 0 ? ldexp(1, index / (1 << schema)) : exp2((double)index / (1 << schema));
}

enum kvtel_status kvtel_exponential_plan_init(struct kvtel_exponential_plan *plan,
                                              const struct kvtel_exponential_bins *bins, int schema)
{
    schema = schema < bins->schema ? schema : bins->schema;
    int shift = bins->schema - schema;
    int32_t last = bins->first + (int32_t)bins->count - 1; /* the highest bound of the bins */
    *plan = (struct kvtel_exponential_plan){
        .schema = schema,
        .zero_end = bins->zero ? 1 : bins->bins[0] + 1,
        .zero = bins->zero,
        .part = bins->first,
        .shift = shift,
        .zero_threshold = bins->zero ? SMALLEST_THRESHOLD : bound_of(bins->first, bins->schema),
        /* where 0 has a bin of its own, the first bucket has all that is above 0 and at most the first bound */
        .first = round_up(bins->first + !bins->zero, shift),
    };
    /* One bucket for each bound up to the last; what is above that is in the next one. */
    plan->count = (uint32_t)(round_up(last + 1, shift) - plan->first) + 1;
    plan->room = bins->count + 1;
    plan->ends = calloc(plan->count, sizeof *plan->ends);
    if (!plan->ends)
        return KVTEL_E_NOMEM;
    for (uint32_t i = 0; i < plan->count; i++) {
        int64_t bound = (int64_t)(plan->first + (int32_t)i) * (INT64_C(1) << shift);
        plan->ends[i] = bound <= last ? bins->bins[bound - bins->first] + 1 : UINT32_MAX;
    }
    return KVTEL_OK;
}

void kvtel_exponential_plan_free(struct kvtel_exponential_plan *plan)
{
    free(plan->ends);
    plan->ends = NULL;
}

/* A series' bins, summed from the lowest on. */
struct walk {
    const struct kvtel_exponential_plan *plan;
    const uint64_t *bins;
    uint32_t first_bin, bin; /* of `bins`; where the walk is */
    size_t mark, marks;
    uint64_t total, *below;
};

static uint64_t sum_up_to(struct walk *walk, uint32_t end)
{
    if (end == walk->bin)
        return 0; /* a series without bins has no array */
    uint64_t bits, all = kvtel_cells_sum(walk->bins + (walk->bin - walk->first_bin), end - walk->bin, &bits);
    walk->bin = end;
    return all;
}

/* The sum of the bins from here up to `end`. Says what is below the marks on the way. */
static uint64_t advance(struct walk *walk, uint32_t end)
{
    const uint32_t *marks = walk->plan->marks;
    uint64_t count = 0;
    for (; walk->mark < walk->marks && marks[walk->mark] < end; walk->mark++) {
        if (marks[walk->mark] >= walk->bin)
            count += sum_up_to(walk, marks[walk->mark] + 1);
        walk->below[walk->mark] = walk->total + count;
    }
    count += sum_up_to(walk, end);
    walk->total += count;
    return count;
}

/* The first bucket that ends behind the bin. */
static uint32_t find_bucket(const struct kvtel_exponential_plan *plan, uint32_t bin)
{
    uint32_t low = 0, high = plan->count - 1;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (plan->ends[middle] > bin)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Leaves out buckets of 0 on both sides. */
static void trim(struct kvtel_exponential *series)
{
    while (series->count > 0 && series->counts[series->count - 1] == 0)
        series->count--;
    while (series->count > 0 && series->counts[0] == 0) {
        series->counts++;
        series->first++;
        series->count--;
    }
}

/* Merges buckets into those of a schema that is lower by `shift`. A bucket's place is never behind its old one. */
static void merge(struct kvtel_exponential *series, int shift)
{
    const int32_t first = round_up(series->first, shift);
    int32_t made = -1;
    for (size_t i = 0; i < series->count; i++) {
        const int32_t place = round_up(series->first + (int32_t)i, shift) - first;
        const uint64_t count = series->counts[i];
        series->memory[place] = count + (place == made ? series->memory[place] : 0);
        made = place;
    }
    series->counts = series->memory;
    series->first = first;
    series->count = (size_t)(made + 1);
}

void kvtel_exponential_halve(struct kvtel_exponential *series)
{
    series->schema--;
    merge(series, 1);
}

static size_t count_used(const struct kvtel_exponential *series)
{
    size_t used = 0;
    for (size_t i = 0; i < series->count; i++)
        used += series->counts[i] > 0;
    return used;
}

static void limit(struct kvtel_exponential *series, size_t most)
{
    while (series->count > most && series->schema > KVTEL_SCHEMA_LEAST && count_used(series) > most)
        kvtel_exponential_halve(series);
}

void kvtel_exponential_fill(const struct kvtel_exponential_plan *plan, const uint64_t *bins, uint32_t first_bin,
                            uint32_t bin_count, size_t most, struct kvtel_exponential *series)
{
    uint32_t end = first_bin + bin_count, zeros = first_bin;
    if (zeros < plan->zero_end)
        zeros = end < plan->zero_end ? end : plan->zero_end;
    struct walk walk = { .plan = plan, .bins = bins, .first_bin = first_bin, .bin = first_bin, .below = series->below };
    walk.marks = series->below ? plan->mark_count : 0;
    series->schema = plan->schema;
    series->zero_count = advance(&walk, zeros);
    uint32_t bucket = find_bucket(plan, zeros);
    series->first = plan->first + (int32_t)bucket;
    series->counts = series->memory;
    series->count = 0;
    for (; walk.bin < end; bucket++)
        series->memory[series->count++] = advance(&walk, plan->ends[bucket] < end ? plan->ends[bucket] : end);
    for (; walk.mark < walk.marks; walk.mark++)
        walk.below[walk.mark] = walk.total;
    trim(series);
    limit(series, most);
}

void kvtel_exponential_fill_parts(const struct kvtel_exponential_plan *plan, const struct kvtel_parts *parts,
                                  uint64_t zeros, size_t most, struct kvtel_exponential *series)
{
    const bool lowest = parts->first == 0 && parts->count > 0;
    const uint32_t left_out = lowest && !plan->zero; /* the lowest part is the zero bucket */
    series->schema = plan->schema;
    series->zero_count = left_out ? parts->counts[0] : lowest ? zeros : 0;
    series->first = plan->part + (int32_t)(parts->first + left_out);
    series->count = parts->count - left_out;
    series->counts = parts->counts + left_out;
    if (lowest && plan->zero && zeros > 0) { /* the zero bucket is some of the lowest part */
        memcpy(series->memory, parts->counts, parts->count * sizeof(*parts->counts));
        series->memory[0] -= zeros;
        series->counts = series->memory;
    }
    trim(series);
    if (plan->shift > 0)
        merge(series, plan->shift);
    limit(series, most);
}
