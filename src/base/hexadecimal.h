/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal digits. */
#ifndef KVTEL_BASE_HEXADECIMAL_H
#define KVTEL_BASE_HEXADECIMAL_H

/* The value of a digit in either case; -1: it is none. */
static inline int kvtel_digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
