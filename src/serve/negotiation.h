/* SPDX-License-Identifier: Apache-2.0 */
/* Which format of the metrics a client gets. */
#ifndef KVTEL_SERVE_NEGOTIATION_H
#define KVTEL_SERVE_NEGOTIATION_H

#include <kvtel/exposition.h>

struct negotiated {
    enum kvtel_exposition_format format;
    const char *content_type; /* lives for ever */
};

/* Chooses by the text of an Accept header; NULL: the client sent none. The element with the highest weight wins, of
 * equal ones the first. A range with a star, a media type that is not known, and a header that cannot be read mean text
 * 0.0.4: there is always an answer. Where the element asks for an escaping of names, the content type tells which one
 * was used: no name here has a character that must be escaped. */
struct negotiated negotiate(const char *accept);

#endif
