/* SPDX-License-Identifier: Apache-2.0 */
/* Parses filter=TEXT&offset=NUMBER, percent-encoded. */
#include "serve/summary_query.h"

#include <string.h>

enum { OFFSET_DIGITS = 9 };

static int hex(char digit)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = digit ? strchr(digits, digit >= 'A' && digit <= 'F' ? digit + ('a' - 'A') : digit) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Decodes `size` characters into `out`. A NUL is refused. */
static bool decode(const char *text, size_t size, char out[SUMMARY_FILTER_SIZE])
{
    size_t length = 0;
    for (size_t i = 0; i < size; i++) {
        char one = text[i] == '+' ? ' ' : text[i];
        if (one == '%') {
            int high = size - i > 2 ? hex(text[i + 1]) : -1, low = high < 0 ? -1 : hex(text[i + 2]);
            one = low < 0 ? '\0' : (char)(unsigned char)(16 * high + low);
            i += 2;
        }
        if (one == '\0' || length + 1 == SUMMARY_FILTER_SIZE)
            return false;
        out[length++] = one;
    }
    out[length] = '\0';
    return true;
}

static bool parse_offset(const char *text, size_t size, size_t *offset)
{
    *offset = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *offset = 10 * *offset + (size_t)(text[i] - '0');
    }
    return size > 0 && size <= OFFSET_DIGITS;
}

static bool begins(const char *text, size_t size, const char *name)
{
    return size >= strlen(name) && memcmp(text, name, strlen(name)) == 0;
}

const char *summary_query_parse(const char *query, struct summary_query *parsed)
{
    static const char filter[] = "filter=", offset[] = "offset=";
    *parsed = (struct summary_query){ 0 };
    while (*query) {
        const size_t size = strcspn(query, "&");
        if (begins(query, size, filter) && !decode(query + strlen(filter), size - strlen(filter), parsed->filter))
            return "filter is a percent-encoded text of at most 255 bytes, without NUL\n";
        if (begins(query, size, offset) &&
            !parse_offset(query + strlen(offset), size - strlen(offset), &parsed->offset))
            return "offset is a whole number of at most nine digits\n";
        query += size + (query[size] == '&');
    }
    return NULL;
}
