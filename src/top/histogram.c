/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles and octaves of what came between two states of a histogram. */
#include "top/state.h"

#include <math.h>

/* Bins are 1/64 of an octave wide: from the upper bound to the middle. */
static const double HALF_BIN = 0.99459942348363317565; /* 2^(-1/128) */

/* How many values came into the bin `i` of `later`. `*k` is a place in `earlier` that moves up with i. */
static uint64_t came(const struct top_bins *earlier, const struct top_bins *later, size_t i, size_t *k)
{
    if (!earlier)
        return later->counts[i];
    while (*k < earlier->size && earlier->bounds[*k] < later->bounds[i])
        ++*k;
    uint64_t before = *k < earlier->size && !(earlier->bounds[*k] > later->bounds[i]) ? earlier->counts[*k] : 0;
    return later->counts[i] > before ? later->counts[i] - before : 0;
}

static uint64_t total(const struct top_bins *earlier, const struct top_bins *later)
{
    uint64_t sum = 0;
    for (size_t i = 0, k = 0; i < later->size; i++)
        sum += came(earlier, later, i, &k);
    return sum;
}

double top_bins_quantile(const struct top_bins *earlier, const struct top_bins *later, double q)
{
    const double wanted = q * (double)total(earlier, later);
    double last = (double)NAN;
    uint64_t below = 0;
    for (size_t i = 0, k = 0; i < later->size; i++) {
        uint64_t count = came(earlier, later, i, &k);
        if (count == 0)
            continue;
        below += count;
        if (isfinite(later->bounds[i]))
            last = later->bounds[i] * HALF_BIN;
        else if (isnan(last))
            last = later->bounds[i];
        if ((double)below >= wanted)
            return last;
    }
    return last;
}

/* The octave of a bound: it is above 2^(octave - 1) and at most 2^octave. Times are from 1 ns to 2^33 s; what is beside
 * goes to the ends. */
static int octave_of(double bound)
{
    if (!(bound > 0x1p-40))
        return -40;
    return bound < ldexp(1, TOP_OCTAVE_BEYOND) ? (int)ceil(log2(bound) - 1e-9) : TOP_OCTAVE_BEYOND;
}

uint64_t top_bins_octave(const struct top_bins *earlier, const struct top_bins *later, int octave)
{
    uint64_t sum = 0;
    for (size_t i = 0, k = 0; i < later->size; i++) {
        uint64_t count = came(earlier, later, i, &k);
        sum += octave_of(later->bounds[i]) == octave ? count : 0;
    }
    return sum;
}

bool top_bins_range(const struct top_bins *earlier, const struct top_bins *later, int *first, int *last)
{
    bool any = false;
    for (size_t i = 0, k = 0; i < later->size; i++) {
        if (came(earlier, later, i, &k) == 0)
            continue;
        *last = octave_of(later->bounds[i]);
        *first = any ? *first : *last;
        any = true;
    }
    return any;
}
