/* SPDX-License-Identifier: Apache-2.0 */
/* The summary that replaces a list of samples when it gets too long. */
#include "histogram/distribution.h"
#include "histogram/bins.h"
#include "histogram/quantile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The bin of a value above 0: the cell that a store would count it in. */
static int32_t bin_of(double value)
{
    return (int32_t)kvtel_cell_key(kvtel_double_bits(value) - 1);
}

static enum kvtel_status reserve_bins(struct kvtel_distribution *distribution, int32_t low, int32_t high)
{
    if (distribution->bin_count > 0) {
        int32_t last = distribution->first + (int32_t)distribution->bin_count - 1;
        if (low >= distribution->first && high <= last)
            return KVTEL_OK;
        low = low < distribution->first ? low : distribution->first;
        high = high > last ? high : last;
    }
    size_t bin_count = (size_t)(high - low) + 1;
    uint64_t *bins = calloc(bin_count, sizeof *bins);
    if (!bins)
        return KVTEL_E_NOMEM;
    if (distribution->bin_count > 0)
        memcpy(bins + (distribution->first - low), distribution->bins, distribution->bin_count * sizeof *bins);
    free(distribution->bins);
    distribution->bins = bins;
    distribution->first = low;
    distribution->bin_count = bin_count;
    return KVTEL_OK;
}

enum kvtel_status kvtel_distribution_reserve(struct kvtel_distribution *distribution, double smallest, double largest)
{
    return reserve_bins(distribution, bin_of(smallest), bin_of(largest));
}

enum kvtel_status kvtel_distribution_reserve_like(struct kvtel_distribution *distribution,
                                                  const struct kvtel_distribution *other)
{
    if (other->bin_count == 0)
        return KVTEL_OK;
    return reserve_bins(distribution, other->first, other->first + (int32_t)other->bin_count - 1);
}

enum kvtel_status kvtel_distribution_reserve_texts(struct kvtel_distribution *distribution, size_t ids)
{
    return ids == 0 ? KVTEL_OK : reserve_bins(distribution, 0, (int32_t)ids - 1);
}

void kvtel_distribution_add_text(struct kvtel_distribution *distribution, size_t id, uint64_t count)
{
    distribution->bins[id] += count;
    distribution->count += count;
}

static void count_value(struct kvtel_distribution *distribution, double value)
{
    if (distribution->count == 0 || value < distribution->smallest)
        distribution->smallest = value;
    if (distribution->count == 0 || value > distribution->largest)
        distribution->largest = value;
    distribution->count++;
    if (value == 0)
        distribution->zeros++;
    else
        distribution->bins[bin_of(value) - distribution->first]++;
}

static void add_to_sum(struct kvtel_distribution *distribution, double value)
{
    double sum = distribution->sum + value;
    distribution->compensation +=
        fabs(distribution->sum) >= fabs(value) ? (distribution->sum - sum) + value : (value - sum) + distribution->sum;
    distribution->sum = sum;
}

void kvtel_distribution_add_integer(struct kvtel_distribution *distribution, int64_t value)
{
    count_value(distribution, (double)value);
    distribution->integers += value;
}

void kvtel_distribution_add_double(struct kvtel_distribution *distribution, double value)
{
    count_value(distribution, value);
    distribution->doubles++;
    add_to_sum(distribution, value);
}

void kvtel_distribution_merge(struct kvtel_distribution *distribution, const struct kvtel_distribution *other)
{
    if (other->count == 0)
        return;
    if (distribution->count == 0 || other->smallest < distribution->smallest)
        distribution->smallest = other->smallest;
    if (distribution->count == 0 || other->largest > distribution->largest)
        distribution->largest = other->largest;
    distribution->count += other->count;
    distribution->zeros += other->zeros;
    distribution->integers += other->integers;
    distribution->doubles += other->doubles;
    add_to_sum(distribution, other->sum);
    distribution->compensation += other->compensation;
    for (size_t i = 0; i < other->bin_count; i++)
        if (other->bins[i] > 0)
            distribution->bins[other->first + (int32_t)i - distribution->first] += other->bins[i];
}

double kvtel_distribution_sum(const struct kvtel_distribution *distribution)
{
    /* An infinite sum is not compensated. */
    double doubles = isfinite(distribution->sum) ? distribution->sum + distribution->compensation : distribution->sum;
    return (double)distribution->integers + doubles;
}

double kvtel_distribution_quantile(const struct kvtel_distribution *distribution, double q)
{
    if (distribution->count == 0)
        return 0;
    uint64_t rank = (uint64_t)(q * (double)(distribution->count - 1));
    if (rank < distribution->zeros)
        return 0;
    size_t i = kvtel_bins_rank(distribution->bins, distribution->bin_count, rank - distribution->zeros);
    if (i == distribution->bin_count)
        return distribution->largest;
    /* The value whose relative distance to both bounds of the bin is equal: 2 * low * high / (low + high). */
    const int64_t key = distribution->first + (int64_t)i;
    const double low = kvtel_cell_low(key), high = kvtel_cell_low(key + 1);
    const double value = high * (2 / (1 + high / low)); /* 0 in the lowest bin */
    return fmin(fmax(value, distribution->smallest), distribution->largest);
}
