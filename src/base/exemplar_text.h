/* SPDX-License-Identifier: Apache-2.0 */
/* The labels of an exemplar as one text: names and values by turns, a NUL behind each. Any thread. */
#ifndef KVTEL_BASE_EXEMPLAR_TEXT_H
#define KVTEL_BASE_EXEMPLAR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum {
    KVTEL_EXEMPLAR_CHARACTERS = 128, /* of all names and values together, at most: the limit of OpenMetrics */
    KVTEL_EXEMPLAR_BYTES = 168       /* of the text, with the NULs, at most */
};

/* Whether the text has labels as they can be shown: names of labels, each once; values that are UTF-8; within both
 * limits. A text of 0 bytes has no labels. */
bool kvtel_exemplar_text_is_valid(const char *text, size_t size);

#endif
