/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the headers that determine where a request ends and to whom it is addressed. libmicrohttpd is lenient about
 * them. */
#include "serve/web/framing.h"

#include <string.h>
#include <strings.h>

static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!memchr("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", text[i], 15 + 62))
            return false;
    return size > 0;
}

/* Whether the text consists of RFC 3986's characters of a host and port. */
static bool is_host(const char *text, size_t size)
{
    static const char may[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:%[]";
    for (size_t i = 0; i < size; i++)
        if (!memchr(may, text[i], sizeof may - 1))
            return false;
    return true;
}

static bool is_header(const char *key, size_t size, const char *name)
{
    return size == strlen(name) && strncasecmp(key, name, size) == 0;
}

static bool read_length(const char *text, size_t size, uint64_t *length)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(sum, 10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(text[i] - '0'), &sum))
            return false;
    *length = sum;
    return size > 0;
}

/* Finds headers that a continued line damaged: libmicrohttpd joins the line to the header's name, so
 * "Content-Length:" and " 5" become "Content-Length5". */
static bool begins_with_framing(const char *key, size_t size)
{
    static const char *const names[] = { MHD_HTTP_HEADER_CONTENT_LENGTH, MHD_HTTP_HEADER_TRANSFER_ENCODING };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (size > strlen(names[i]) && strncasecmp(key, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool has_control(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return true;
    return false;
}

/* Whether the header is one by which a request is judged, and this is its second: another program might judge by the
 * other. */
static bool is_second(struct framing *framing, const char *key, size_t size)
{
    static const char *const names[] = { MHD_HTTP_HEADER_AUTHORIZATION, MHD_HTTP_HEADER_ORIGIN, "Sec-Fetch-Site",
                                         MHD_HTTP_HEADER_CONTENT_TYPE, MHD_HTTP_HEADER_CONTENT_ENCODING };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!is_header(key, size, names[i]))
            continue;
        bool second = framing->once >> i & 1;
        framing->once |= 1u << i;
        return second;
    }
    return false;
}

static enum MHD_Result look_at_header(void *context, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                      const char *value, size_t value_size)
{
    struct framing *framing = context;
    (void)kind;
    if (!is_token(key, key_size) || begins_with_framing(key, key_size) || !value || has_control(value, value_size))
        framing->malformed = true;
    else if (is_header(key, key_size, MHD_HTTP_HEADER_CONTENT_LENGTH))
        framing->malformed |= framing->lengths++ > 0 || !read_length(value, value_size, &framing->length);
    else if (is_header(key, key_size, MHD_HTTP_HEADER_TRANSFER_ENCODING))
        framing->malformed |= framing->encodings++ > 0 || !(framing->chunked = is_header(value, value_size, "chunked"));
    else if (is_header(key, key_size, MHD_HTTP_HEADER_HOST))
        framing->malformed |= framing->hosts++ > 0 || !is_host(value, value_size);
    else
        framing->malformed |= is_second(framing, key, key_size);
    return MHD_YES;
}

struct framing framing_of(struct MHD_Connection *connection, const char *version)
{
    struct framing framing = { 0 };
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at_header, &framing);
    bool old = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
    framing.malformed |= framing.encodings > 0 && (framing.lengths > 0 || old);
    framing.malformed |= framing.hosts == 0 && !old;
    return framing;
}
