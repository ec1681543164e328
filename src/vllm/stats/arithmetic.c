/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and percentiles as the Python that vLLM runs computes them. */
#include "vllm/stats/arithmetic.h"

#include <math.h>
#include <stdlib.h>

double kvtel_sum_plain(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum;
}

double kvtel_sum_pairwise(const double *values, size_t count)
{
    if (count < 8)
        return kvtel_sum_plain(values, count);
    if (count > 128) {
        size_t half = count / 2;
        half -= half % 8;
        return kvtel_sum_pairwise(values, half) + kvtel_sum_pairwise(values + half, count - half);
    }
    double part[8];
    for (size_t k = 0; k < 8; k++)
        part[k] = values[k];
    size_t i = 8;
    for (; i + 8 <= count; i += 8)
        for (size_t k = 0; k < 8; k++)
            part[k] += values[i + k];
    double sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    for (; i < count; i++)
        sum += values[i];
    return sum;
}

/* Shewchuk, "Adaptive precision floating-point arithmetic" (1997), grow-expansion. The partials do not overlap, so
 * 64 partials of 53 bits cover the whole range of doubles, and their sum is exact. If the sum exceeds that range the
 * result is infinite, and the partials are not used. */
double kvtel_sum_exact(const double *values, size_t count)
{
    double part[64];
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        double x = values[i];
        size_t kept = 0;
        for (size_t k = 0; k < used; k++) {
            double big = fabs(x) < fabs(part[k]) ? part[k] : x;
            double small = fabs(x) < fabs(part[k]) ? x : part[k];
            double high = big + small;
            if (!isfinite(high))
                return kvtel_sum_plain(values, count);
            double low = small - (high - big);
            if (low != 0)
                part[kept++] = low;
            x = high;
        }
        part[kept++] = x;
        used = kept;
    }
    if (used == 0)
        return 0;
    /* Adds from the largest down until a sum is rounded; the rounding error decides a tie. */
    double high = part[--used], low = 0;
    while (used > 0) {
        double x = high, y = part[--used];
        high = x + y;
        low = y - (high - x);
        if (low != 0)
            break;
    }
    if (used > 0 && ((low < 0 && part[used - 1] < 0) || (low > 0 && part[used - 1] > 0))) {
        double twice = low * 2, x = high + twice;
        if (twice == x - high)
            high = x;
    }
    return high;
}

double kvtel_sum_for(enum kvtel_arithmetic arithmetic, const double *values, size_t count)
{
    switch (arithmetic) {
    case KVTEL_NUMPY:
        return kvtel_sum_pairwise(values, count);
    case KVTEL_EXACT:
        return kvtel_sum_exact(values, count);
    case KVTEL_PLAIN:
        break;
    }
    return kvtel_sum_plain(values, count);
}

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Moves the value of sorted position `k` to values[k] and all larger values behind it (Hoare's selection, median of
 * three). Input made to defeat the choice of pivots is sorted instead, so that no payload takes quadratic time. */
static void select_position(double *values, size_t count, size_t k)
{
    size_t low = 0, high = count - 1;
    for (int rounds = 0; high > low; rounds++) {
        if (rounds == 64) {
            qsort(values + low, high - low + 1, sizeof *values, compare_doubles);
            return;
        }
        size_t middle = low + (high - low) / 2;
        if (values[middle] < values[low])
            swap(&values[middle], &values[low]);
        if (values[high] < values[low])
            swap(&values[high], &values[low]);
        if (values[high] < values[middle])
            swap(&values[high], &values[middle]);
        double pivot = values[middle];
        size_t i = low, j = high;
        for (;;) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i >= j)
                break;
            swap(&values[i++], &values[j--]);
        }
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
}

double kvtel_percentile(double *values, size_t count, double q)
{
    double position = q * (double)(count - 1);
    size_t below = (size_t)position;
    double t = position - (double)below;
    select_position(values, count, below);
    if (t == 0 || below + 1 >= count)
        return values[below];
    double a = values[below], b = values[below + 1];
    for (size_t i = below + 2; i < count; i++)
        if (values[i] < b)
            b = values[i];
    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}

double kvtel_percentile_90(enum kvtel_arithmetic arithmetic, double *values, size_t count)
{
    if (arithmetic != KVTEL_EXACT)
        return kvtel_percentile(values, count, 0.9);
    double rank = 0.9 * (double)count - 1e-12;
    size_t index = rank > 0 ? (size_t)rank : 0;
    if (index >= count)
        index = count - 1;
    select_position(values, count, index);
    return values[index];
}
