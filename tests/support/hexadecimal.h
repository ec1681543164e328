/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as a test writes them down. Include <cmocka.h> before it. */
#ifndef KVTEL_TEST_HEXADECIMAL_H
#define KVTEL_TEST_HEXADECIMAL_H

#include <stddef.h>
#include <stdio.h>

/* Bytes as hexadecimal digits, and texts in quotes; blanks are passed over. */
static size_t bytes_of(const char *text, char *bytes)
{
    size_t count = 0;
    while (*text) {
        unsigned byte;
        int used;
        if (*text == '\'') {
            for (text++; *text != '\''; text++)
                bytes[count++] = *text;
            text++;
        } else if (*text == ' ') {
            text++;
        } else {
            assert_int_equal(sscanf(text, "%2x%n", &byte, &used), 1);
            bytes[count++] = (char)byte;
            text += used;
        }
    }
    return count;
}

#endif
