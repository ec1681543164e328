/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as Python prints them. */
#include "base/python.h"

#include "base/buffer.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

bool kvtel_python_is_printable(uint32_t code)
{
    /* categories: control, format, surrogate, private, spaces; unassigned characters are not in the table */
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        { 0x00, 0x1F },       { 0x7F, 0xA0 },        { 0xAD, 0xAD },       { 0x600, 0x605 },     { 0x61C, 0x61C },
        { 0x6DD, 0x6DD },     { 0x70F, 0x70F },      { 0x890, 0x891 },     { 0x8E2, 0x8E2 },     { 0x1680, 0x1680 },
        { 0x180E, 0x180E },   { 0x2000, 0x200F },    { 0x2028, 0x202F },   { 0x205F, 0x206F },   { 0x3000, 0x3000 },
        { 0xD800, 0xF8FF },   { 0xFEFF, 0xFEFF },    { 0xFFF0, 0xFFFB },   { 0xFFFE, 0xFFFF },   { 0x110BD, 0x110BD },
        { 0x110CD, 0x110CD }, { 0x13430, 0x13438 },  { 0x1BCA0, 0x1BCA3 }, { 0x1D173, 0x1D17A }, { 0xE0000, 0xE00FF },
        { 0xE01F0, 0xE0FFF }, { 0xF0000, 0x10FFFF },
    };
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]) && code >= hidden[i].first; i++) {
        if (code <= hidden[i].last)
            return false;
    }
    return true;
}

enum { ESCAPE_SIZE = 16 };

static const char *escape(uint32_t code, char out[ESCAPE_SIZE])
{
    if (code == '\n' || code == '\r' || code == '\t')
        return code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
    if (code <= 0xFF)
        snprintf(out, ESCAPE_SIZE, "\\x%02x", (unsigned)code);
    else
        snprintf(out, ESCAPE_SIZE, code <= 0xFFFF ? "\\u%04x" : "\\U%08x", (unsigned)code);
    return out;
}

static enum kvtel_status append_code(struct kvtel_buffer *buffer, uint32_t code)
{
    char out[ESCAPE_SIZE];
    return kvtel_buffer_append_text(buffer, escape(code, out));
}

/* Appends text with escapes, between quotes unless `quote` is 0; without quotes, backslashes are not escaped. A byte
 * that is not UTF-8 cannot be in a Python str and becomes U+FFFD. */
static enum kvtel_status append_escaped(struct kvtel_buffer *buffer, const char *text, size_t size, char quote)
{
    size_t before = buffer->size;
    enum kvtel_status status = quote ? kvtel_buffer_append_byte(buffer, quote) : KVTEL_OK;
    for (size_t at = 0; at < size && status == KVTEL_OK;) {
        uint32_t code;
        bool valid;
        size_t used = kvtel_utf8_next(text + at, size - at, &code, &valid);
        if (quote && (code == '\\' || code == (unsigned char)quote))
            status = kvtel_buffer_printf(buffer, "\\%c", (int)code);
        else if (!valid)
            status = kvtel_buffer_append_text(buffer, "\xEF\xBF\xBD");
        else if (kvtel_python_is_printable(code))
            status = kvtel_buffer_append(buffer, text + at, used);
        else
            status = append_code(buffer, code);
        at += used;
    }
    if (status == KVTEL_OK && quote)
        status = kvtel_buffer_append_byte(buffer, quote);
    if (status != KVTEL_OK)
        buffer->size = before;
    return status;
}

enum kvtel_status kvtel_python_repr(struct kvtel_buffer *buffer, const char *text, size_t size)
{
    char quote = size > 0 && memchr(text, '\'', size) && !memchr(text, '"', size) ? '"' : '\'';
    return append_escaped(buffer, text, size, quote);
}

enum kvtel_status kvtel_python_line(struct kvtel_buffer *buffer, const char *text, size_t size)
{
    return append_escaped(buffer, text, size, '\0');
}

void kvtel_python_line_into(char *out, size_t size, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        char escaped[ESCAPE_SIZE];
        uint32_t code;
        bool valid;
        size_t used = kvtel_utf8_next(text, left, &code, &valid), length = used;
        const char *piece = text;
        if (!valid)
            piece = "\xEF\xBF\xBD";
        else if (!kvtel_python_is_printable(code))
            piece = escape(code, escaped);
        if (piece != text)
            length = strlen(piece);
        if (length >= size)
            break;
        memcpy(out, piece, length);
        out += length;
        size -= length;
        text += used;
        left -= used;
    }
    *out = '\0';
}
