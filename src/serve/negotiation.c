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
    [KVTEL_FORMAT_PROTOBUF] = CONTENT_TYPES(KVTEL_CONTENT_TYPE_PROTOBUF),
};

enum { PARAMETERS = 2 };

/* What an element of the header must be: its media type, and parameters with these values. A value of NULL: the element
 * must lack the parameter. */
static const struct {
    const char *media;
    struct {
        const char *name, *value;
    } parameters[PARAMETERS];
    enum kvtel_exposition_format format;
} offers[] = {
    { "application/vnd.google.protobuf",
      { { "proto", "io.prometheus.client.MetricFamily" }, { "encoding", "delimited" } },
      KVTEL_FORMAT_PROTOBUF },
    { "application/openmetrics-text", { { "version", "1.0.0" } }, KVTEL_FORMAT_OPENMETRICS },
    { "application/openmetrics-text", { { "version", NULL } }, KVTEL_FORMAT_OPENMETRICS },
    { "text/plain", { { "version", "0.0.4" } }, KVTEL_FORMAT_TEXT },
    { "text/plain", { { "version", "1.0.0" } }, KVTEL_FORMAT_TEXT }, /* differs only where names are escaped */
    { "text/plain", { { "version", NULL } }, KVTEL_FORMAT_TEXT },
    { "text/*", { { "version", NULL } }, KVTEL_FORMAT_TEXT },
    { "*/*", { { "version", NULL } }, KVTEL_FORMAT_TEXT },
};

static bool fits(const struct accept_element *element, size_t offer)
{
    if (!accept_is(element, offers[offer].media))
        return false;
    for (size_t i = 0; i < PARAMETERS && offers[offer].parameters[i].name; i++) {
        const char *name = offers[offer].parameters[i].name, *value = offers[offer].parameters[i].value;
        if (value ? !accept_has(element, name, value) : accept_names(element, name))
            return false;
    }
    return true;
}

static bool find_offer(const struct accept_element *element, enum kvtel_exposition_format *format)
{
    for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
        if (fits(element, i)) {
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
