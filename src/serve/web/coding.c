/* SPDX-License-Identifier: Apache-2.0 */
/* What an Accept-Encoding header means. */
#include "serve/web/coding.h"

#include "serve/web/accept.h"

#include <stddef.h>

static const struct {
    const char *name, *sent;
    enum coding coding;
} names[] = {
    { "identity", NULL, CODING_PLAIN },
    { "gzip", "gzip", CODING_GZIP },
    { "x-gzip", "gzip", CODING_GZIP },
    { "zstd", "zstd", CODING_ZSTD },
};

enum { NAMES = sizeof names / sizeof *names };

/* A coding has no parameter but its weight: an element with another one is refused. */
static int weight_of(const struct accept_element *element)
{
    return element->parameters == element->end || accept_names(element, "q") ? element->weight : 0;
}

enum coding coding_choose(const char *accept_encoding)
{
    int weights[] = { [CODING_PLAIN] = -1, [CODING_GZIP] = -1, [CODING_ZSTD] = -1 }, rest = -1;
    enum coding best = CODING_PLAIN;
    struct accept_element element;
    while (accept_encoding && accept_next(&accept_encoding, &element)) {
        for (size_t i = 0; i < NAMES; i++)
            if (accept_is(&element, names[i].name))
                weights[names[i].coding] = weight_of(&element);
        if (accept_is(&element, "*"))
            rest = weight_of(&element);
    }
    if (weights[CODING_GZIP] < 0)
        weights[CODING_GZIP] = rest;
    for (enum coding coding = CODING_GZIP; coding <= CODING_ZSTD; coding++)
        if (weights[coding] > 0 && weights[coding] >= weights[best])
            best = coding;
    return best;
}

const char *coding_name(enum coding coding)
{
    for (size_t i = 0; i < NAMES; i++)
        if (names[i].coding == coding)
            return names[i].sent;
    return NULL;
}
