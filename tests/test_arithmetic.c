/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and percentiles to the last bit as numpy, math.fsum and sum() of Python 3.11 gave them for the same values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vllm/stats/arithmetic.h"

/* Marsaglia's xorshift: 53 random bits and an exponent, the same in the Python that made the table. */
static void fill(double *values, size_t count)
{
    uint64_t x = 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        values[i] = ldexp((double)(x >> 11), (int)(x & 31) - 64);
    }
}

static const struct {
    size_t count;
    double pairwise, exact, plain, p90_linear, p90_nearest, p50_linear;
} known[] = {
    { 1, 0x1.e5a425d7ef784p+3, 0x1.e5a425d7ef784p+3, 0x1.e5a425d7ef784p+3, 0x1.e5a425d7ef784p+3, 0x1.e5a425d7ef784p+3,
      0x1.e5a425d7ef784p+3 },
    { 2, 0x1.521503c6e761ep+13, 0x1.521503c6e761ep+13, 0x1.521503c6e761ep+13, 0x1.2fe4fc2b71db6p+13,
      0x1.519b9abd71660p+13, 0x1.521503c6e761ep+12 },
    { 3, 0x1.5244f2d761893p+13, 0x1.5244f2d761893p+13, 0x1.5244f2d761893p+13, 0x1.0e2e5d997250dp+13,
      0x1.519b9abd71660p+13, 0x1.e5a425d7ef784p+3 },
    { 7, 0x1.01b13ae7bbf8dp+18, 0x1.01b13ae7bbf8dp+18, 0x1.01b13ae7bbf8dp+18, 0x1.a49670bb293cdp+16,
      0x1.ee15766830ea0p+17, 0x1.86e5ef352c870p+4 },
    { 8, 0x1.05524f29375bfp+18, 0x1.05524f29375bfp+18, 0x1.05524f29375bfp+18, 0x1.45fdb1624a785p+16,
      0x1.ee15766830ea0p+17, 0x1.45738df3994ecp+5 },
    { 9, 0x1.05541e1f78b98p+18, 0x1.05541e1f78b98p+18, 0x1.05541e1f78b98p+18, 0x1.cec9e412d7699p+15,
      0x1.ee15766830ea0p+17, 0x1.86e5ef352c870p+4 },
    { 10, 0x1.0560bbfc07bdap+18, 0x1.0560bbfc07bdap+18, 0x1.0560bbfc07bdap+18, 0x1.1198656119e0ap+15,
      0x1.519b9abd71660p+13, 0x1.2b9744bd8d992p+5 },
    { 11, 0x1.0560bcfa65ad9p+18, 0x1.0560bcfa65ad9p+18, 0x1.0560bcfa65ad9p+18, 0x1.519b9abd71660p+13,
      0x1.519b9abd71660p+13, 0x1.86e5ef352c870p+4 },
    { 15, 0x1.4b5ccbafa1ceep+19, 0x1.4b5ccbafa1cedp+19, 0x1.4b5ccbafa1ceep+19, 0x1.486ca4443781ap+17,
      0x1.ee15766830ea0p+17, 0x1.93bb91e084eebp+5 },
    { 17, 0x1.4b5d3acf4a022p+19, 0x1.4b5d3acf4a022p+19, 0x1.4b5d3acf4a023p+19, 0x1.eb307664759bbp+16,
      0x1.ee15766830ea0p+17, 0x1.86e5ef352c870p+4 },
    { 100, 0x1.eee515a5c1beep+21, 0x1.eee515a5c1bedp+21, 0x1.eee515a5c1befp+21, 0x1.75d9d07375f9ep+16,
      0x1.66dd63954b1dcp+16, 0x1.823200c48a5e2p+4 },
    { 127, 0x1.2e16e10390fc2p+22, 0x1.2e16e10390fc1p+22, 0x1.2e16e10390fc2p+22, 0x1.67be14e0a0d47p+16,
      0x1.690f1ed1a1668p+16, 0x1.92e37d4d4d5e0p+5 },
    { 128, 0x1.2e16e107d63b1p+22, 0x1.2e16e107d63b1p+22, 0x1.2e16e107d63b2p+22, 0x1.6785e88dcb66cp+16,
      0x1.690f1ed1a1668p+16, 0x1.8eba8c09e8b28p+5 },
    { 129, 0x1.3a8fa71b6b79bp+22, 0x1.3a8fa71b6b79ap+22, 0x1.3a8fa71b6b79cp+22, 0x1.86979fe84c411p+16,
      0x1.fcb9a442f7a8ep+16, 0x1.92e37d4d4d5e0p+5 },
    { 136, 0x1.3b923297f0a9ap+22, 0x1.3b923297f0a99p+22, 0x1.3b923297f0a9ap+22, 0x1.67f6413376422p+16,
      0x1.690f1ed1a1668p+16, 0x1.8eba8c09e8b28p+5 },
    { 255, 0x1.ed1b3a1cb32eep+22, 0x1.ed1b3a1cb32edp+22, 0x1.ed1b3a1cb32e9p+22, 0x1.5982c820311c3p+16,
      0x1.66dd63954b1dcp+16, 0x1.2a3a6bc9f963cp+4 },
    { 256, 0x1.ed1b3a75ffa64p+22, 0x1.ed1b3a75ffa64p+22, 0x1.ed1b3a75ffa5fp+22, 0x1.562c2142ea9c1p+16,
      0x1.66dd63954b1dcp+16, 0x1.28f50d8ed5223p+4 },
    { 257, 0x1.f4df4966481b2p+22, 0x1.f4df4966481b1p+22, 0x1.f4df4966481adp+22, 0x1.67be14e0a0d47p+16,
      0x1.690f1ed1a1668p+16, 0x1.2a3a6bc9f963cp+4 },
    { 1000, 0x1.f29dc8f509599p+24, 0x1.f29dc8f509599p+24, 0x1.f29dc8f509596p+24, 0x1.c649c933ef41dp+15,
      0x1.c62885687c700p+15, 0x1.341d66bd8c79ep+3 },
    { 1024, 0x1.024910a1d2e4ep+25, 0x1.024910a1d2e4ep+25, 0x1.024910a1d2e4cp+25, 0x1.c48104f4435a6p+15,
      0x1.c62885687c700p+15, 0x1.3f636ad81c22ep+3 },
    { 4097, 0x1.e545b4be9374ap+26, 0x1.e545b4be9374ap+26, 0x1.e545b4be9374ap+26, 0x1.9ab42c2165178p+15,
      0x1.9aeb62988a880p+15, 0x1.e19c085a5b3a8p+2 },
};

#define assert_same(a, b)                           \
    do {                                            \
        double got = (a), wanted = (b);             \
        if (memcmp(&got, &wanted, sizeof got) != 0) \
            fail_msg("%a is not %a", got, wanted);  \
    } while (0)

static void test_known_values(void **state)
{
    (void)state;
    static double values[8192];
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        fill(values, known[i].count);
        assert_same(kvtel_sum_pairwise(values, known[i].count), known[i].pairwise);
        assert_same(kvtel_sum_exact(values, known[i].count), known[i].exact);
        assert_same(kvtel_sum_plain(values, known[i].count), known[i].plain);
        assert_same(kvtel_sum_for(KVTEL_NUMPY, values, known[i].count), known[i].pairwise);
        assert_same(kvtel_sum_for(KVTEL_EXACT, values, known[i].count), known[i].exact);
        assert_same(kvtel_sum_for(KVTEL_PLAIN, values, known[i].count), known[i].plain);
        assert_same(kvtel_percentile_90(KVTEL_NUMPY, values, known[i].count), known[i].p90_linear);
        fill(values, known[i].count);
        assert_same(kvtel_percentile_90(KVTEL_EXACT, values, known[i].count), known[i].p90_nearest);
        fill(values, known[i].count);
        assert_same(kvtel_percentile(values, known[i].count, 0.5), known[i].p50_linear);
        assert_same(kvtel_percentile_90(KVTEL_PLAIN, values, known[i].count), known[i].p90_linear); /* in any order */
    }
}

static void test_exact_sums(void **state)
{
    (void)state;
    static const struct {
        double values[6], sum;
        size_t count;
    } rows[] = {
        { { 0 }, 0, 0 },
        { { 0.1, 0.1, 0.1 }, 0x1.3333333333334p-2, 3 }, /* one after the other it is 0.30000000000000004 */
        { { 1e100, 1, -1e100 }, 1, 3 },
        { { 1e16, 1, 1e-16 }, 0x1.1c37937e08001p+53, 3 }, /* just above a tie: up */
        { { 1e16, 1 }, 0x1.1c37937e08p+53, 2 },           /* a tie: to even */
        { { 0x1p53, 1, 0x1p-60, -0x1p-60 }, 0x1p53, 4 },  /* the tie's remains cancel */
        { { DBL_MAX, 0x1p969, -0x1p969 }, DBL_MAX, 3 },
        { { DBL_TRUE_MIN, DBL_TRUE_MIN, DBL_MAX }, DBL_MAX, 3 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_same(kvtel_sum_exact(rows[i].values, rows[i].count), rows[i].sum);
}

/* Sums past the largest double are infinite, however many values follow. */
static void test_overflow(void **state)
{
    (void)state;
    static double values[1000];
    for (size_t i = 0; i < 1000; i++)
        values[i] = i < 2 ? DBL_MAX : 0x1p-1000 * (double)i;
    for (int arithmetic = KVTEL_NUMPY; arithmetic <= KVTEL_EXACT; arithmetic++)
        assert_same(kvtel_sum_for((enum kvtel_arithmetic)arithmetic, values, 1000), INFINITY);
}

static void test_percentiles(void **state)
{
    (void)state;
    double one[] = { 7 }, two[] = { 3, 1 }, equal[] = { 2, 2, 2, 2, 2 },
           eleven[] = { 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 };
    assert_same(kvtel_percentile_90(KVTEL_NUMPY, one, 1), 7);
    assert_same(kvtel_percentile_90(KVTEL_EXACT, one, 1), 7);
    assert_same(kvtel_percentile(two, 2, 0), 1);
    assert_same(kvtel_percentile(two, 2, 1), 3);
    assert_same(kvtel_percentile(two, 2, 0.5), 2);
    assert_same(kvtel_percentile_90(KVTEL_EXACT, two, 2), 3);
    assert_same(kvtel_percentile(equal, 5, 0.3), 2);
    assert_same(kvtel_percentile_90(KVTEL_NUMPY, eleven, 11), 9);
    assert_same(kvtel_percentile_90(KVTEL_EXACT, eleven, 11), 9);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Many small inputs of many equal values, at every position, against sorting. */
static void test_selection_is_sorting(void **state)
{
    (void)state;
    uint64_t x = 7;
    for (int round = 0; round < 3000; round++) {
        double values[24], sorted[24];
        size_t count = (size_t)round % 24 + 1;
        for (size_t i = 0; i < count; i++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            sorted[i] = values[i] = (double)(x >> 33) * 0x1p-31 < 0.5 ? (double)(x >> 61) : (double)(x >> 40);
        }
        qsort(sorted, count, sizeof *sorted, compare);
        double rank = 0.9 * (double)count - 1e-12;
        assert_same(kvtel_percentile_90(KVTEL_EXACT, values, count), sorted[(size_t)rank]);
    }
}

/* Made against a pivot that is the median of the first, the middle and the last value: each round puts only two values
 * aside, so that a selection without a bound takes a second and more. */
static void make_killer(double *values, size_t count)
{
    /* the smallest two of what is left go where the first and the middle are */
    size_t *place = malloc(count * sizeof *place);
    assert_non_null(place);
    for (size_t i = 0; i < count; i++)
        place[i] = i;
    for (size_t low = 0; low + 2 < count; low += 2) {
        size_t middle = low + (count - 1 - low) / 2;
        values[place[low]] = (double)low;
        values[place[middle]] = (double)low + 1;
        place[middle] = place[low + 1];
    }
    for (size_t i = count - (count % 2 ? 1 : 2); i < count; i++)
        values[place[i]] = (double)i;
    free(place);
}

static void test_selection_is_never_quadratic(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    static double values[COUNT];
    struct timespec start, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (int kind = 0; kind < 4; kind++) {
        if (kind == 0)
            make_killer(values, COUNT);
        for (size_t i = 0; kind > 0 && i < COUNT; i++)
            values[i] = kind == 1 ? 1 : kind == 2 ? (double)i : (double)(i < COUNT / 2 ? i : COUNT - i);
        kvtel_percentile_90(KVTEL_NUMPY, values, COUNT);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    /* a quadratic selection of 100,000 takes billions of steps, a good one a few milliseconds */
    assert_true((double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9 < 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_exact_sums),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_selection_is_sorting),
        cmocka_unit_test(test_selection_is_never_quadratic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
