/* SPDX-License-Identifier: Apache-2.0 */
/* Finding places in JSON text, which the parsed tree does not record. */
#include "value/scan.h"

#include <jansson.h>
#include <string.h>

void kvtel_error_place(struct kvtel_error *error, const char *text, size_t size)
{
    size_t end = error->offset < size ? error->offset : size;
    size_t line_start = 0;
    const char *feed;
    error->line = 1;
    while (line_start < end && (feed = memchr(text + line_start, '\n', end - line_start)) != NULL) {
        line_start = (size_t)(feed - text) + 1;
        error->line++;
    }
    error->column = (uint32_t)(end - line_start) + 1;
}

/* The place behind the string whose opening quote is at `at`. */
static size_t skip_string(const char *text, size_t size, size_t at)
{
    for (at++; at < size && text[at] != '"'; at++) {
        if (text[at] == '\\')
            at++;
    }
    return at < size ? at + 1 : size;
}

static size_t skip_space(const char *text, size_t size, size_t at)
{
    while (at < size && strchr(" \t\r\n", text[at]) && text[at] != '\0')
        at++;
    return at;
}

/* The place behind a number or a word. */
static size_t skip_scalar(const char *text, size_t size, size_t at)
{
    while (at < size && !strchr(" \t\r\n,:[]{}\"", text[at]))
        at++;
    return at;
}

/* The place behind the value that begins at `at`. */
static size_t skip_value(const char *text, size_t size, size_t at)
{
    size_t depth = 0;
    do {
        at = skip_space(text, size, at);
        if (at == size)
            break;
        if (text[at] == '"') {
            at = skip_string(text, size, at);
        } else if (strchr("[{]},:", text[at]) && text[at] != '\0') {
            depth += text[at] == '[' || text[at] == '{';
            depth -= text[at] == ']' || text[at] == '}';
            at++;
        } else {
            at = skip_scalar(text, size, at + 1);
        }
    } while (depth > 0);
    return at;
}

size_t kvtel_json_too_deep(const char *text, size_t size)
{
    size_t depth = 0;
    for (size_t at = 0; at < size;) {
        if (text[at] == '"') {
            at = skip_string(text, size, at);
            continue;
        }
        if ((text[at] == '[' || text[at] == '{') && depth++ == KVTEL_VALUE_DEPTH)
            return at;
        depth -= (text[at] == ']' || text[at] == '}') && depth > 0;
        at++;
    }
    return size;
}

size_t kvtel_json_too_many(const char *text, size_t size, size_t count)
{
    static const unsigned char weights[256] = { ['['] = 4, ['{'] = 8, [','] = 1, [':'] = 3 };
    enum { HEAVIEST = 8 };
    if (size <= count / HEAVIEST)
        return size;
    for (size_t at = 0; at < size;) {
        if (text[at] == '"') {
            at = skip_string(text, size, at);
            continue;
        }
        size_t weight = weights[(unsigned char)text[at]];
        if (weight > count)
            return at;
        count -= weight;
        at++;
    }
    return size;
}

static bool is_wide_integer(const char *digits, size_t size)
{
    static const char limits[2][20] = { "9223372036854775807", "9223372036854775808" };
    bool negative = size > 0 && digits[0] == '-';
    digits += negative;
    size -= negative;
    for (size_t i = 0; i < size; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
    }
    return size > 19 || (size == 19 && memcmp(digits, limits[negative], 19) > 0);
}

bool kvtel_json_wide_integer(const char *text, size_t size, size_t at, size_t *end)
{
    while (at < size) {
        size_t start = at;
        if (text[at] == '"') {
            at = skip_string(text, size, at);
            continue;
        }
        at = skip_scalar(text, size, at);
        if (is_wide_integer(text + start, at - start)) {
            *end = at;
            return true;
        }
        at += at == start;
    }
    return false;
}

/* Whether the key between `at` and `end`, quotes included, is `key`. */
static bool key_is(const char *text, size_t at, size_t end, const char *key)
{
    size_t size = end - at;
    if (!memchr(text + at, '\\', size))
        return size == strlen(key) + 2 && memcmp(text + at + 1, key, size - 2) == 0;
    json_t *string = json_loadb(text + at, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool same = json_is_string(string) && strcmp(json_string_value(string), key) == 0;
    json_decref(string);
    return same;
}

struct place {
    size_t name, value; /* where the member's key (or the item) and its value begin */
};

/* Finds one step inside the container at `at`. */
static bool find_step(const char *text, size_t size, size_t at, const struct kvtel_value_step *step,
                      struct place *place)
{
    bool found = false;
    if (at >= size || text[at] != (step->key ? '{' : '['))
        return false;
    at = skip_space(text, size, at + 1);
    for (size_t i = 0; at < size && text[at] != '}' && text[at] != ']'; i++) {
        struct place here = { at, at };
        bool match = !step->key && i == step->index;
        if (step->key) {
            at = skip_string(text, size, at);
            match = key_is(text, here.name, at, step->key);
            at = skip_space(text, size, at);
            here.value = skip_space(text, size, at < size ? at + 1 : size);
        }
        if (match) {
            *place = here;
            found = true;
        }
        at = skip_space(text, size, skip_value(text, size, here.value));
        if (at < size && text[at] == ',')
            at = skip_space(text, size, at + 1);
    }
    return found;
}

size_t kvtel_value_locate(const char *json, size_t size, const struct kvtel_value_step *path, size_t depth)
{
    struct place place = { 0, skip_space(json, size, 0) };
    for (size_t i = 0; i < depth && find_step(json, size, place.value, &path[i], &place); i++)
        continue;
    return place.name;
}
