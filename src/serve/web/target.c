/* SPDX-License-Identifier: Apache-2.0 */
/* A request's target. */
#include "serve/web/target.h"

#include <string.h>
#include <strings.h>

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = digit ? strchr(digits, digit) : NULL;
    return at ? (int)(at - digits) % 16 : -1;
}

static bool is_unreserved(int byte)
{
    return byte && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", byte);
}

bool target_normalise(char *path)
{
    static const char capitals[] = "0123456789ABCDEF";
    char *to = path;
    for (const char *from = path; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex_value(from[1]), low = high >= 0 ? hex_value(from[2]) : -1;
        if (low < 0)
            return false;
        from += 2;
        if (is_unreserved(high * 16 + low)) {
            *to++ = (char)(high * 16 + low);
            continue;
        }
        *to++ = '%';
        *to++ = capitals[high];
        *to++ = capitals[low];
    }
    *to = '\0';
    return true;
}

/* The text after "http://" or "https://"; NULL: it does not begin like this. */
static char *after_scheme(char *text)
{
    return strncasecmp(text, "http://", 7) == 0 ? text + 7 : strncasecmp(text, "https://", 8) == 0 ? text + 8 : NULL;
}

bool target_parse(char *text, struct target *target)
{
    char *authority = after_scheme(text);
    *target = (struct target){ .path = text, .query = "" };
    if (strcmp(text, "*") == 0)
        return true;
    if (authority) {
        /* The authority is moved one byte to the left, which makes room for its NUL before the path. */
        size_t length = strcspn(authority, "/?");
        if (length == 0 || memchr(authority, '@', length))
            return false;
        memmove(authority - 1, authority, length);
        authority[length - 1] = '\0';
        target->authority = authority - 1;
        target->path = authority + length;
        if (*target->path !=
            /* For "http://host" and "http://host?query" the path is "/". */
            '/') {
            static char root[] = "/";
            target->query = *target->path ? target->path + 1 : "";
            target->path = root;
            return true;
        }
    }
    char *query = strchr(target->path, '?');
    if (query) {
        *query = '\0';
        target->query = query + 1;
    }
    return *target->path == '/' && target_normalise(target->path);
}
