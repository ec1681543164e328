/* SPDX-License-Identifier: Apache-2.0 */
/* Reading UTF-8: well-formed sequences are those of the Unicode standard's table 3-7. */
#include "base/utf8.h"

#include <string.h>

size_t kvtel_utf8_next(const char *text, size_t size, uint32_t *code, bool *valid)
{
    const unsigned char *bytes = (const unsigned char *)text;
    unsigned char lead = bytes[0];
    /* bounds of the second byte: they exclude overlong forms, surrogates and code points above U+10FFFF */
    unsigned char low = 0x80, high = 0xBF;
    size_t length = 0;
    uint32_t point = lead;
    if (lead < 0x80) {
        length = 1;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
        length = 2;
        point = lead & 0x1F;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        length = 3;
        point = lead & 0x0F;
        low = lead == 0xE0 ? 0xA0 : low;
        high = lead == 0xED ? 0x9F : high;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        length = 4;
        point = lead & 0x07;
        low = lead == 0xF0 ? 0x90 : low;
        high = lead == 0xF4 ? 0x8F : high;
    }
    size_t used = 1;
    while (used < length && used < size && bytes[used] >= low && bytes[used] <= high) {
        point = point << 6 | (bytes[used++] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    bool whole = length > 0 && used == length;
    *code = whole ? point : KVTEL_UTF8_REPLACEMENT;
    if (valid)
        *valid = whole;
    return used;
}

bool kvtel_utf8_is_valid(const char *text, size_t size)
{
    uint64_t eight;
    uint32_t code;
    bool valid = true;
    for (size_t at = 0; at < size && valid;) {
        if (size - at >= sizeof(eight) &&
            (memcpy(&eight, text + at, sizeof(eight)), (eight & 0x8080808080808080u) == 0))
            at += sizeof(eight);
        else
            at += kvtel_utf8_next(text + at, size - at, &code, &valid);
    }
    return valid;
}

size_t kvtel_utf8_repair(const char *text, size_t size, char *copy)
{
    size_t made = 0, used;
    for (size_t at = 0; at < size; at += used) {
        uint32_t code;
        bool valid;
        used = kvtel_utf8_next(text + at, size - at, &code, &valid);
        memcpy(copy + made, valid ? text + at : "\xEF\xBF\xBD", valid ? used : 3);
        made += valid ? used : 3;
    }
    return made;
}
