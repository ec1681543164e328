/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as Python prints and rounds them.
 *
 * The fewest digits are found as in Raffaello Giulietti, "The Schubfach way to render doubles" (2020). A double and
 * the two midpoints to its neighbours are scaled by a power of ten, chosen so that the interval between the
 * midpoints contains at least one and at most a few integers. The scaled numbers are kept as integers whose lowest
 * bit is set if they were cut (round to odd). This is enough to compare them, so one product of 64 by 128 bits for
 * each of them decides, without loops or big integers. */
#include "base/double.h"
#include "base/number.h"

#include <endian.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOWEST_POWER = -292, REPR_LIMIT = 16, EXPOSITION_LIMIT = 6 };

static const uint64_t powers[][2] = {
#include "base/number_powers.inc"
};

__extension__ typedef unsigned __int128 uint128;

/* floor(log10(2^q)), floor(log10(3/4 * 2^q)), floor(log2(10^e)): products by rounded logarithms, exact far beyond a
 * double's range. */
static int floor_log10_pow2(int q)
{
    return (q * 1262611) >> 22;
}

static int floor_log10_three_quarters_pow2(int q)
{
    return (q * 1262611 - 524031) >> 22;
}

static int floor_log2_pow10(int e)
{
    return (e * 1741647) >> 19;
}

/* The top 64 bits of power * c, lowest bit set if the rest is not 0. The power is rounded up by less than one unit,
 * hence "> 1". */
static uint64_t scale_to_odd(const uint64_t power[2], uint64_t c)
{
    uint128 product = (uint128)power[0] * c + (uint64_t)(((uint128)power[1] * c) >> 64);
    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

/* The shortest decimal digits * 10^exponent that reads back as the positive finite double of these bits; may end in
 * zeros. */
static uint64_t shortest(uint64_t bits, int *exponent)
{
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    int biased = (int)(bits >> 52);
    uint64_t c = biased ? fraction | (uint64_t)1 << 52 : fraction;
    int q = (biased ? biased : 1) - 1075;
    /* a power of two's lower neighbour is only half as far away as its upper one */
    bool narrow = fraction == 0 && biased > 1;
    int k = narrow ? floor_log10_three_quarters_pow2(q) : floor_log10_pow2(q);
    int h = q + floor_log2_pow10(-k) + 1;
    const uint64_t *power = powers[-k - LOWEST_POWER];

    uint64_t open = c & 1; /* a midpoint reads back as its even neighbour */
    uint64_t low = scale_to_odd(power, (4 * c - (narrow ? 1 : 2)) << h) + open;
    uint64_t mid = scale_to_odd(power, (4 * c) << h);
    uint64_t high = scale_to_odd(power, (4 * c + 2) << h) - open;

    uint64_t unit = mid / 4;
    uint64_t ten = unit / 10;
    bool below_fits = low <= 40 * ten, above_fits = 40 * ten + 40 <= high;
    if (below_fits != above_fits) {
        *exponent = k + 1;
        return ten + above_fits;
    }
    *exponent = k;
    below_fits = low <= 4 * unit;
    above_fits = 4 * unit + 4 <= high;
    if (below_fits != above_fits)
        return unit + above_fits;
    uint64_t half = 4 * unit + 2;
    return unit + (mid > half || (mid == half && (unit & 1)));
}

/* Eight digits of a number below 10^8, the first one in the lowest byte: halves, quarters and eighths are split side by
 * side in one register, after Paul Khuong, "How to print integers really fast" (2017). */
static uint64_t eight_digits(uint32_t number)
{
    uint64_t fours = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t hundreds = ((fours * 10486) >> 20) & 0x0000007f0000007f; /* 10486 / 2^20 = 1/100 for up to 9999 */
    uint64_t pairs = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = ((pairs * 103) >> 10) & 0x000f000f000f000f; /* 103 / 2^10 = 1/10 for up to 99 */
    return tens | (pairs - 10 * tens) << 8;
}

/* A number's significant digits as text: text[first] to text[first + count - 1], and the place of the decimal point
 * relative to the first digit. */
struct digits {
    char text[24];
    size_t first, count;
    int point;
};

static void digits_of(uint64_t number, int exponent, struct digits *digits)
{
    uint64_t high = number / 100000000; /* at most 10 digits */
    uint64_t blocks[3] = { eight_digits((uint32_t)(high / 100000000)), eight_digits((uint32_t)(high % 100000000)),
                           eight_digits((uint32_t)(number % 100000000)) };
    size_t first = blocks[0] ? 0 : blocks[1] ? 1 : 2;
    size_t last = blocks[2] ? 2 : blocks[1] ? 1 : 0;
    digits->first = 8 * first + (size_t)__builtin_ctzll(blocks[first]) / 8;
    digits->count = 8 * (last + 1) - (size_t)__builtin_clzll(blocks[last]) / 8 - digits->first;
    digits->point = (int)(24 - digits->first) + exponent;
    for (size_t i = 0; i < 3; i++)
        blocks[i] = htole64(blocks[i] | 0x3030303030303030);
    memcpy(digits->text, blocks, sizeof blocks);
}

static size_t write_exponent(int exponent, char *out)
{
    unsigned size = (unsigned)abs(exponent);
    size_t at = 0;
    out[at++] = 'e';
    out[at++] = exponent < 0 ? '-' : '+';
    if (size >= 100)
        out[at++] = (char)('0' + size / 100);
    out[at++] = (char)('0' + size / 10 % 10);
    out[at++] = (char)('0' + size % 10);
    return at;
}

/* Writes the digits. There are at most 17, so copies of a fixed 17 bytes stay inside both texts. */
static size_t write_digits(const struct digits *digits, int limit, char *out)
{
    const char *text = digits->text + digits->first;
    size_t count = digits->count, at;
    if (digits->point > limit || digits->point <= -4) {
        out[0] = text[0];
        out[1] = '.';
        memcpy(out + 2, text + 1, count - 1);
        at = count > 1 ? count + 1 : 1;
        return at + write_exponent(digits->point - 1, out + at);
    }
    if (digits->point <= 0) {
        memcpy(out, "0.000", 5);
        at = (size_t)(2 - digits->point);
        memcpy(out + at, text, count);
        return at + count;
    }
    size_t whole = (size_t)digits->point;
    if (count > whole) {
        memcpy(out, text, whole);
        out[whole] = '.';
        memcpy(out + whole + 1, text + whole, count - whole);
        return count + 1;
    }
    memcpy(out, text, count);
    memset(out + count, '0', whole - count);
    memcpy(out + whole, ".0", 2);
    return whole + 2;
}

/* Writes a whole number below 10^8. */
static size_t write_whole(uint32_t number, char *out)
{
    uint64_t digits = eight_digits(number);
    size_t zeros = number ? (size_t)__builtin_ctzll(digits) / 8 : 7;
    digits = htole64((digits | 0x3030303030303030) >> 8 * zeros);
    memcpy(out, &digits, sizeof digits);
    memcpy(out + 8 - zeros, ".0", 2);
    return 10 - zeros;
}

static size_t write_number(double value, int limit, char *out)
{
    uint64_t bits = kvtel_double_bits(value);
    size_t sign = bits >> 63, length;
    bits &= ~((uint64_t)1 << 63);
    out[0] = '-';
    out += sign;
    double magnitude = fabs(value);
    uint64_t number = magnitude < 0x1p53 ? (uint64_t)magnitude : 0;
    /* below 2^53 doubles are at most 1 apart: a whole one's own digits are its shortest */
    bool whole = (double)number == magnitude;
    if (whole && number < 1000000) { /* always printed without an exponent */
        length = write_whole((uint32_t)number, out);
    } else {
        struct digits digits;
        int exponent = 0;
        if (!whole)
            number = shortest(bits, &exponent);
        digits_of(number, exponent, &digits);
        length = write_digits(&digits, limit, out);
    }
    out[length] = '\0';
    return sign + length;
}

static size_t write_text(const char *text, char *out)
{
    size_t length = strlen(text);
    memcpy(out, text, length + 1);
    return length;
}

size_t kvtel_number_repr(double value, char out[KVTEL_NUMBER_SIZE])
{
    if (!isfinite(value))
        return write_text(isnan(value) ? "nan" : value > 0 ? "inf" : "-inf", out);
    return write_number(value, REPR_LIMIT, out);
}

size_t kvtel_number_exposition(double value, char out[KVTEL_NUMBER_SIZE])
{
    if (!isfinite(value))
        return write_text(isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf", out);
    return write_number(value, value > 0 ? EXPOSITION_LIMIT : REPR_LIMIT, out);
}

/* The decimal point of a locale may be several bytes: it is the text between the digits. */
size_t kvtel_number_fixed(double value, int digits, char out[KVTEL_FIXED_SIZE])
{
    int length = snprintf(out, KVTEL_FIXED_SIZE, "%.*f", digits, value);
    size_t whole = out[0] == '-';
    while (out[whole] >= '0' && out[whole] <= '9')
        whole++;
    if (length <= 0 || digits == 0 || !isfinite(value))
        return length > 0 ? (size_t)length : 0;
    out[whole] = '.';
    memmove(out + whole + 1, out + length - digits, (size_t)digits + 1);
    return whole + 1 + (size_t)digits;
}

/* Rounds by way of text. Used for the few numbers whose scaled value is above 2^52. */
static double round_by_text(double value, int digits)
{
    char text[384]; /* 16 digits before the point, 323 behind it */
    snprintf(text, sizeof text, "%.*f", digits, value);
    return strtod(text, NULL);
}

double kvtel_number_round(double value, int digits)
{
    enum { EXACT_POWERS = 23, MOST_DIGITS = 323 };
    static const double tens[EXACT_POWERS] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                               1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    if (!(fabs(value) < 0x1p52) || digits > MOST_DIGITS)
        return value;
    if (digits >= EXACT_POWERS)
        return round_by_text(value, digits);
    /* volatile, so that the compiler does not fuse it with the next operation */
    volatile double product = value * tens[digits];
    double scaled = product;
    if (!(fabs(scaled) < 0x1p52))
        return round_by_text(value, digits);
    /* scaled + error is exact. It can differ from scaled in its rounding only where scaled itself is halfway. */
    double error = fma(value, tens[digits], -scaled);
    double rounded = rint(scaled);
    double rest = scaled - rounded;
    if (rest == 0.5 && error > 0)
        rounded += 1;
    else if (rest == -0.5 && error < 0)
        rounded -= 1;
    return rounded / tens[digits];
}
