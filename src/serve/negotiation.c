/* SPDX-License-Identifier: Apache-2.0 */
/* Content negotiation. What real servers send, and what client libraries answer, is listed in tests/test_negotiation.c.
 */
#include "serve/negotiation.h"

#include "serve/web/accept.h"

#include <stdbool.h>
#include <stddef.h>

enum escaping { ESCAPING_UNSAID, ESCAPING_UTF8, ESCAPING_UNDERSCORES, ESCAPINGS };

#define CONTENT_TYPES(type)                                                \
    {                                                                      \
        type, type "; escaping=allow-utf-8", type "; escaping=underscores" \
    }

static const char *const content_types[][ESCAPINGS] = {
    [KVTEL_FORMAT_TEXT] = CONTENT_TYPES(KVTEL_CONTENT_TYPE_TEXT),
    [KVTEL_FORMAT_OPENMETRICS] = CONTENT_TYPES(KVTEL_CONTENT_TYPE_OPENMETRICS),
};

/* What an element of the header must be. A version of NULL: the element may lack one. */
static const struct {
    const char *media, *version;
    enum kvtel_exposition_format format;
} offers[] = {
    { "application/openmetrics-text", "1.0.0", KVTEL_FORMAT_OPENMETRICS },
    { "application/openmetrics-text", NULL, KVTEL_FORMAT_OPENMETRICS },
    { "text/plain", "0.0.4", KVTEL_FORMAT_TEXT },
    { "text/plain", "1.0.0", KVTEL_FORMAT_TEXT }, /* differs only where names are escaped */
    { "text/plain", NULL, KVTEL_FORMAT_TEXT },
    { "text/*", NULL, KVTEL_FORMAT_TEXT },
    { "*/*", NULL, KVTEL_FORMAT_TEXT },
};

static bool find_offer(const struct accept_element *element, enum kvtel_exposition_format *format)
{
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        if (!accept_is(element, offers[i].media))
            continue;
        if (offers[i].version ? accept_has(element, "version", offers[i].version) : !accept_names(element, "version")) {
            *format = offers[i].format;
            return true;
        }
    }
    return false;
}

static enum escaping escaping_of(const struct accept_element *element)
{
    if (!accept_names(element, "escaping"))
        return ESCAPING_UNSAID;
    return accept_has(element, "escaping", "allow-utf-8") ? ESCAPING_UTF8 : ESCAPING_UNDERSCORES;
}

struct negotiated negotiate(const char *accept)
{
    struct accept_element element;
    enum kvtel_exposition_format format = KVTEL_FORMAT_TEXT, offered;
    enum escaping escaping = ESCAPING_UNSAID;
    int best = 0;
    while (accept && accept_next(&accept, &element)) {
        if (element.weight <= best || !find_offer(&element, &offered))
            continue;
        best = element.weight;
        format = offered;
        escaping = escaping_of(&element);
    }
    return (struct negotiated){ format, content_types[format][escaping] };
}
