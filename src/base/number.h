/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as Python prints and rounds them. Pure functions: any thread. */
#ifndef KVTEL_BASE_NUMBER_H
#define KVTEL_BASE_NUMBER_H

#include <stddef.h>

/* Size that either text needs, with its NUL. */
enum { KVTEL_NUMBER_SIZE = 32 };

/* Python's repr(): the fewest digits that read back as `value`, e.g. "0.0", "1e-05", "-0.0", "inf", "nan". Returns the
 * length. */
size_t kvtel_number_repr(double value, char out[KVTEL_NUMBER_SIZE]);
/* What prometheus_client prints: repr(), but positive numbers from 1e6 on have an exponent ("2.097152e+06"), and
 * "+Inf", "-Inf", "NaN". Returns the length. */
size_t kvtel_number_exposition(double value, char out[KVTEL_NUMBER_SIZE]);
/* Formats like printf's "%.*f" in the C locale, whatever the host's locale is. KVTEL_FIXED_SIZE bytes suffice for
 * any double. digits: 0 to 9. Returns the length. */
enum { KVTEL_FIXED_SIZE = 340 };
size_t kvtel_number_fixed(double value, int digits, char out[KVTEL_FIXED_SIZE]);
/* Python's round(value, digits): the double nearest to the exact value rounded to that many decimals, ties to even.
 * digits >= 0. */
double kvtel_number_round(double value, int digits);

#endif
