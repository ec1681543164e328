/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text, and rounding: equal to Python's, read back as the same number, and of the shortest form. */
#include "base/number.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Texts written by Python 3.11 and prometheus_client 0.26. */
static const struct {
    double value;
    const char *repr;
    const char *exposition; /* NULL: the same */
} texts[] = {
    { 0.0, "0.0", NULL },
    { -0.0, "-0.0", NULL },
    { 1.0, "1.0", NULL },
    { 3.0, "3.0", NULL },
    { 0.1, "0.1", NULL },
    { -0.5, "-0.5", NULL },
    { 0.001, "0.001", NULL },
    { 0.0001, "0.0001", NULL },
    { 0.00012345678901234567, "0.00012345678901234567", NULL },
    { 1e-5, "1e-05", NULL },
    { 1.5e-7, "1.5e-07", NULL },
    { 0.28746216500130134, "0.28746216500130134", NULL },
    { 2048.0, "2048.0", NULL },
    { 100000.0, "100000.0", NULL },
    { 999999.0, "999999.0", NULL },
    { 999999.5, "999999.5", NULL },
    { 1e6, "1000000.0", "1e+06" },
    { 2097152.0, "2097152.0", "2.097152e+06" },
    { 1234567.5, "1234567.5", "1.2345675e+06" },
    { 1200000000.0, "1200000000.0", "1.2e+09" },
    { 47880174228.0, "47880174228.0", "4.7880174228e+10" },
    { 1053712407504.0, "1053712407504.0", "1.053712407504e+12" },
    { 123456789012345.6, "123456789012345.6", "1.234567890123456e+14" },
    { 9007199254740992.0, "9007199254740992.0", "9.007199254740992e+15" },
    { 9007199254740994.0, "9007199254740994.0", "9.007199254740994e+15" },
    { -1e6, "-1000000.0", NULL },
    { -1e15, "-1000000000000000.0", NULL },
    { 1e16, "1e+16", NULL },
    { 1.5e16, "1.5e+16", NULL },
    { -1.5e16, "-1.5e+16", NULL },
    { 1e22, "1e+22", NULL },
    { 1e23, "1e+23", NULL },
    { 1e100, "1e+100", NULL },
    { 1.7976931348623157e308, "1.7976931348623157e+308", NULL },
    { 2.2250738585072014e-308, "2.2250738585072014e-308", NULL },
    { 2.225073858507201e-308, "2.225073858507201e-308", NULL },
    { 4.9406564584124654e-324, "5e-324", NULL },
    { 9.8813129168249309e-324, "1e-323", NULL },
    { 5.684341886080802e-14, "5.684341886080802e-14", NULL },
    { INFINITY, "inf", "+Inf" },
    { -INFINITY, "-inf", "-Inf" },
    { NAN, "nan", "NaN" },
};

static void check_text(const char *text, size_t length, const char *expected)
{
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

static void test_texts(void **state)
{
    (void)state;
    char out[KVTEL_NUMBER_SIZE];
    for (size_t i = 0; i < COUNT(texts); i++) {
        check_text(out, kvtel_number_repr(texts[i].value, out), texts[i].repr);
        check_text(out, kvtel_number_exposition(texts[i].value, out),
                   texts[i].exposition ? texts[i].exposition : texts[i].repr);
    }
}

/* splitmix64 */
static uint64_t random_bits(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The digits from the first to the last that is not 0. */
static size_t significant_digits(const char *text, char digits[64])
{
    size_t count = 0, kept = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text == '.' || *text == '-' || (*text == '0' && count == 0))
            continue;
        digits[count++] = *text;
        if (*text != '0')
            kept = count;
    }
    digits[kept] = '\0';
    return kept;
}

/* Reads back in both forms; one digit less does not; of the texts with as many digits it is the nearest. */
static void check_shortest(double value)
{
    char out[KVTEL_NUMBER_SIZE], printed[64], digits[64], nearest[64];
    kvtel_number_exposition(value, out);
    assert_true(strtod(out, NULL) == value);
    kvtel_number_repr(value, out);
    assert_true(strtod(out, NULL) == value);
    int count = (int)significant_digits(out, digits);
    if (count > 1) {
        snprintf(printed, sizeof printed, "%.*e", count - 2, value);
        assert_true(strtod(printed, NULL) != value);
    }
    snprintf(printed, sizeof printed, "%.*e", count - 1, value);
    if (strtod(printed, NULL) == value) { /* below a power of two the nearest text may belong to the neighbour */
        significant_digits(printed, nearest);
        assert_string_equal(digits, nearest);
    }
}

static void test_shortest(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 200000; i++) {
        double value = double_of(random_bits(&seed));
        if (isfinite(value) && value != 0)
            check_shortest(value);
        check_shortest((double)(random_bits(&seed) >> 40) * 1e-9 + 1e-9);
    }
    for (int e = -1074; e < 1024; e++) {
        check_shortest(ldexp(1, e));
        check_shortest(nextafter(ldexp(1, e), INFINITY));
        if (e > -1074)
            check_shortest(nextafter(ldexp(1, e), 0));
    }
}

static void test_reads_back(void **state)
{
    (void)state;
    uint64_t seed = 2;
    char out[KVTEL_NUMBER_SIZE];
    for (int i = 0; i < 1000000; i++) {
        double value = double_of(random_bits(&seed));
        if (!isfinite(value))
            continue;
        assert_true(kvtel_number_repr(value, out) < KVTEL_NUMBER_SIZE);
        assert_true(strtod(out, NULL) == value);
    }
}

/* Results written by Python 3.11. */
static const struct {
    double value;
    int digits;
    double rounded;
} roundings[] = {
    { 0.5, 0, 0.0 },
    { 1.5, 0, 2.0 },
    { 2.5, 0, 2.0 },
    { -2.5, 0, -2.0 },
    { 0.125, 2, 0.12 },
    { 0.375, 2, 0.38 },
    { 2.675, 2, 2.67 },
    { 1.005, 2, 1.0 },
    { 1.0005, 3, 1.0 },
    { 2.0015, 3, 2.002 },
    { 1.0625, 3, 1.062 },
    { 1.1875, 3, 1.188 },
    { 0.0005, 3, 0.001 },
    { 5e-324, 3, 0.0 },
    { 123456789.1235, 3, 123456789.124 },
    { 4503599627370495.5, 0, 4503599627370496.0 },
    { 4503599627370495.5, 3, 4503599627370495.5 },
    { 9007199254740993.0, 3, 9007199254740992.0 },
    { 1e300, 3, 1e300 },
    { 0.1, 25, 0.1 },
    { 1e-30, 30, 1e-30 },
    { 1.5e-30, 30, 1e-30 },
    { 0.1, 400, 0.1 },
};

static void test_round(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(roundings); i++)
        assert_true(kvtel_number_round(roundings[i].value, roundings[i].digits) == roundings[i].rounded);
    assert_true(signbit(kvtel_number_round(-0.0001, 3)));
    assert_true(isnan(kvtel_number_round(NAN, 3)));
    assert_true(kvtel_number_round(-INFINITY, 3) == -INFINITY);
}

static void test_round_as_printf(void **state)
{
    (void)state;
    uint64_t seed = 3;
    char printed[384];
    for (int i = 0; i < 200000; i++) {
        int digits = (int)(random_bits(&seed) % 9);
        double value = ldexp((double)(random_bits(&seed) >> 44), (int)(random_bits(&seed) % 40) - 30);
        value = i % 2 ? value : -value;
        snprintf(printed, sizeof printed, "%.*f", digits, value);
        assert_true(kvtel_number_round(value, digits) == strtod(printed, NULL));
        value = (double)(random_bits(&seed) >> 40) / 1e4; /* decimals that end in 5: nearly halfway */
        snprintf(printed, sizeof printed, "%.3f", value);
        assert_true(kvtel_number_round(value, 3) == strtod(printed, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts), cmocka_unit_test(test_shortest),        cmocka_unit_test(test_reads_back),
        cmocka_unit_test(test_round), cmocka_unit_test(test_round_as_printf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
