/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of names and values. */
#include "otlp/pairs.h"

#include "base/hexadecimal.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void otlp_pairs_free(struct otlp_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        free(pairs->pairs[i].name);
        free(pairs->pairs[i].value);
    }
    free(pairs->pairs);
    *pairs = (struct otlp_pairs){ 0 };
}

static struct otlp_pair *find(const struct otlp_pairs *pairs, const char *name)
{
    for (size_t i = 0; i < pairs->count; i++)
        if ((pairs->any_case ? strcasecmp : strcmp)(pairs->pairs[i].name, name) == 0)
            return &pairs->pairs[i];
    return NULL;
}

const char *otlp_pairs_find(const struct otlp_pairs *pairs, const char *name)
{
    const struct otlp_pair *pair = find(pairs, name);
    return pair ? pair->value : NULL;
}

/* Takes both texts over, in any case. */
static enum kvtel_status set_owned(struct otlp_pairs *pairs, char *name, char *value)
{
    struct otlp_pair *pair = name && value ? find(pairs, name) : NULL;
    if (pair) {
        free(name);
        free(pair->value);
        pair->value = value;
        return KVTEL_OK;
    }
    struct otlp_pair *larger = name && value ? realloc(pairs->pairs, (pairs->count + 1) * sizeof *pairs->pairs) : NULL;
    if (!larger) {
        free(name);
        free(value);
        return KVTEL_E_NOMEM;
    }
    pairs->pairs = larger;
    pairs->pairs[pairs->count++] = (struct otlp_pair){ name, value };
    return KVTEL_OK;
}

enum kvtel_status otlp_pairs_set(struct otlp_pairs *pairs, const char *name, const char *value)
{
    return set_owned(pairs, strdup(name), strdup(value));
}

/* Decodes %XX in place. False: a % without two digits, a NUL, or bytes that are not UTF-8. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = kvtel_digit_of(from[1]), low = high >= 0 ? kvtel_digit_of(from[2]) : -1;
        if (low < 0 || high * 16 + low == 0)
            return false;
        *to++ = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return kvtel_utf8_is_valid(text, (size_t)(to - text));
}

static char *copy_trimmed(const char *from, const char *end)
{
    while (from < end && (*from == ' ' || *from == '\t'))
        from++;
    while (from < end && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return strndup(from, (size_t)(end - from));
}

static enum kvtel_status parse_pair(struct otlp_pairs *pairs, const char *text, const char *end)
{
    const char *equals = memchr(text, '=', (size_t)(end - text));
    if (!equals)
        return KVTEL_E_SYNTAX;
    char *name = copy_trimmed(text, equals), *value = name ? copy_trimmed(equals + 1, end) : NULL;
    if (!value) {
        free(name);
        return KVTEL_E_NOMEM;
    }
    if (!*name || !decode(value)) {
        free(name);
        free(value);
        return KVTEL_E_SYNTAX;
    }
    return set_owned(pairs, name, value);
}

enum kvtel_status otlp_pairs_parse(struct otlp_pairs *pairs, const char *text, size_t *wrong)
{
    enum kvtel_status status = KVTEL_OK;
    *wrong = 0;
    for (bool more = true; more && status == KVTEL_OK;) {
        const char *end = text + strcspn(text, ",");
        ++*wrong;
        if (text[strspn(text, " \t")] != ',' && text[strspn(text, " \t")] != '\0')
            status = parse_pair(pairs, text, end);
        more = *end == ',';
        text = end + 1;
    }
    return status;
}
