/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of an exposition, and which of them a client gets. */
#ifndef KVTEL_EXPOSITION_FORMAT_H
#define KVTEL_EXPOSITION_FORMAT_H

enum kvtel_exposition_format { KVTEL_FORMAT_TEXT, KVTEL_FORMAT_OPENMETRICS };

struct kvtel_format_choice {
    enum kvtel_exposition_format format;
    const char *content_type; /* lives for ever */
};

/* Chooses by the text of an Accept header; NULL: the client sent none. The element with the highest weight wins, of
 * equal ones the first. A range with a star, a media type that is not known, and a header that cannot be read mean text
 * 0.0.4: there is always an answer. Where the element asks for an escaping of names, the content type tells which one
 * was used: no name here has a character that must be escaped. */
struct kvtel_format_choice kvtel_format_choose(const char *accept);

#endif
