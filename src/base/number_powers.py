#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes number_powers.inc: powers of ten for kvtel_number_repr(), `python3 number_powers.py > number_powers.inc`.

Entry e (LOWEST .. HIGHEST) is 10^e * 2^s rounded up to an integer of 128 bits, where s makes its top bit 1. The range is what the
exponents of a double need: k of number.c runs from -324 to 292, and the table is read at -k.
"""

LOWEST, HIGHEST = -292, 324


def power(e: int) -> int:
    if e >= 0:
        value = 10**e
        shift = value.bit_length() - 128
        return value << -shift if shift <= 0 else -(-value >> shift)
    divisor = 10**-e
    shift = 127 + divisor.bit_length()
    quotient = -(-(1 << shift) // divisor)
    return quotient if quotient.bit_length() == 128 else -(-(1 << (shift - 1)) // divisor)


def main() -> None:
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Written by number_powers.py: 10^e as 128 bits, high and low half, for e from -292 to 324. */")
    entries = []
    for e in range(LOWEST, HIGHEST + 1):
        value = power(e)
        assert value.bit_length() == 128
        entries.append(f"{{0x{value >> 64:016x}, 0x{value & (1 << 64) - 1:016x}}},")
    for i in range(0, len(entries), 3):
        print(" ".join(entries[i : i + 3]))


if __name__ == "__main__":
    main()
