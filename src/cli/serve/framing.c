/* SPDX-License-Identifier: Apache-2.0 */
/* A request's headers, as far as they say where it ends and whose it is. libmicrohttpd is lenient here. */
#include "cli/serve/framing.h"

#include <string.h>
#include <strings.h>

static bool is_token(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!memchr("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", text[i], 15 + 62))
            return false;
    return size > 0;
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

static enum MHD_Result look_at_header(void *context, enum MHD_ValueKind kind, const char *key, size_t key_size, const char *value,
                                      size_t value_size)
{
    struct framing *framing = context;
    (void)kind;
    if (!is_token(key, key_size) || !value || memchr(value, '\0', value_size))
        framing->malformed = true;
    else if (is_header(key, key_size, MHD_HTTP_HEADER_CONTENT_LENGTH))
        framing->malformed |= framing->lengths++ > 0 || !read_length(value, value_size, &framing->length);
    else if (is_header(key, key_size, MHD_HTTP_HEADER_TRANSFER_ENCODING))
        framing->malformed |= framing->encodings++ > 0 || !(framing->chunked = is_header(value, value_size, "chunked"));
    else if (is_header(key, key_size, MHD_HTTP_HEADER_HOST))
        framing->malformed |= framing->hosts++ > 0;
    else if (is_header(key, key_size, MHD_HTTP_HEADER_AUTHORIZATION))
        framing->malformed |= framing->authorizations++ > 0;
    return MHD_YES;
}

struct framing framing_of(struct MHD_Connection *connection, const char *version)
{
    struct framing framing = { 0 };
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look_at_header, &framing);
    bool has_chunks = strcmp(version, MHD_HTTP_VERSION_1_1) == 0;
    framing.malformed |= framing.encodings > 0 && (framing.lengths > 0 || !has_chunks);
    return framing;
}
