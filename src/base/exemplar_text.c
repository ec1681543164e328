/* SPDX-License-Identifier: Apache-2.0 */
/* The labels of an exemplar as one text. */
#include "base/exemplar_text.h"
#include "base/metric.h"
#include "base/utf8.h"

#include <string.h>

/* Counts the characters of a text that is followed by a NUL. False: it is not UTF-8. */
static bool count_characters(const char *text, size_t *count)
{
    const size_t size = strlen(text);
    uint32_t code;
    bool valid = true;
    for (size_t at = 0; at < size && valid; (*count)++)
        at += kvtel_utf8_next(text + at, size - at, &code, &valid);
    return valid;
}

/* Whether a label before this one has its name. */
static bool is_twice(const char *text, const char *name)
{
    while (text < name && strcmp(text, name) != 0) {
        text += strlen(text) + 1;
        text += strlen(text) + 1;
    }
    return text < name;
}

bool kvtel_exemplar_text_is_valid(const char *text, size_t size)
{
    size_t characters = 0;
    if (size == 0)
        return true;
    if (size > KVTEL_EXEMPLAR_BYTES || text[size - 1] != '\0')
        return false;
    const char *const end = text + size;
    for (const char *name = text; name < end;) {
        const char *value = name + strlen(name) + 1;
        if (value >= end || !kvtel_is_name(name, false) || is_twice(text, name) ||
            !count_characters(name, &characters) || !count_characters(value, &characters))
            return false;
        name = value + strlen(value) + 1;
    }
    return characters <= KVTEL_EXEMPLAR_CHARACTERS;
}
