/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what a client takes. */
#include "serve/web/accept.h"

#include <string.h>
#include <strings.h>

struct piece {
    const char *text;
    size_t size;
};

struct parameter {
    struct piece name, value; /* the value as it stands, with quotes if it has any */
};

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct piece trimmed(const char *text, const char *end)
{
    while (text < end && is_blank(*text))
        text++;
    while (text < end && is_blank(end[-1]))
        end--;
    return (struct piece){ text, (size_t)(end - text) };
}

/* The first `stop` outside of a quoted text; the end where there is none. A quote that is not closed lasts until the
 * end. `end` NULL: until the text's NUL. */
static const char *find_outside_quotes(const char *text, const char *end, char stop)
{
    bool quoted = false;
    for (; text != end && *text && (quoted || *text != stop); text++) {
        if (quoted && *text == '\\' && text + 1 != end && text[1])
            text++;
        else if (*text == '"')
            quoted = !quoted;
    }
    return text;
}

static bool is_text(struct piece piece, const char *text)
{
    return piece.size == strlen(text) && strncasecmp(piece.text, text, piece.size) == 0;
}

/* Reads the parameter whose ';' is at *at, and moves *at behind it. False: there is no further one. */
static bool next_parameter(const char **at, const char *end, struct parameter *parameter)
{
    if (*at >= end)
        return false;
    const char *text = *at + 1, *behind = find_outside_quotes(text, end, ';');
    const char *equals = find_outside_quotes(text, behind, '=');
    parameter->name = trimmed(text, equals);
    parameter->value = equals < behind ? trimmed(equals + 1, behind) : (struct piece){ behind, 0 };
    *at = behind;
    return true;
}

static bool find_parameter(const struct accept_element *element, const char *name, struct piece *value)
{
    struct parameter parameter;
    for (const char *at = element->parameters; next_parameter(&at, element->end, &parameter);) {
        if (is_text(parameter.name, name)) {
            *value = parameter.value;
            return true;
        }
    }
    return false;
}

/* A weight: 0, or 0 to 1 with at most three decimals. -1: it is none. */
static int read_weight(struct piece text)
{
    static const int steps[] = { 100, 10, 1 };
    if (text.size == 0 || text.size > 5 || (text.text[0] != '0' && text.text[0] != '1') ||
        (text.size > 1 && text.text[1] != '.'))
        return -1;
    int weight = (text.text[0] - '0') * ACCEPT_MOST;
    for (size_t i = 2; i < text.size; i++) {
        if (text.text[i] < '0' || text.text[i] > '9')
            return -1;
        weight += (text.text[i] - '0') * steps[i - 2];
    }
    return weight <= ACCEPT_MOST ? weight : -1;
}

bool accept_next(const char **at, struct accept_element *element)
{
    while (**at) {
        const char *end = find_outside_quotes(*at, NULL, ',');
        const char *semicolon = find_outside_quotes(*at, end, ';');
        struct piece name = trimmed(*at, semicolon), weight;
        *at = *end ? end + 1 : end;
        if (name.size == 0)
            continue;
        *element = (struct accept_element){ name.text, name.size, semicolon, end, ACCEPT_MOST };
        if (find_parameter(element, "q", &weight)) {
            int read = read_weight(weight);
            element->weight = read < 0 ? 0 : read;
        }
        return true;
    }
    return false;
}

bool accept_is(const struct accept_element *element, const char *name)
{
    return is_text((struct piece){ element->name, element->name_size }, name);
}

bool accept_has(const struct accept_element *element, const char *name, const char *value)
{
    struct piece found;
    if (!find_parameter(element, name, &found))
        return false;
    size_t size = strlen(value), done = 0;
    if (found.size == 0 || found.text[0] != '"')
        return found.size == size && memcmp(found.text, value, size) == 0;
    for (size_t i = 1; i < found.size && found.text[i] != '"'; i++) {
        if (found.text[i] == '\\' && i + 1 < found.size)
            i++;
        if (done == size || found.text[i] != value[done++])
            return false;
    }
    return done == size && found.size > 1 && found.text[found.size - 1] == '"';
}

bool accept_names(const struct accept_element *element, const char *name)
{
    struct piece found;
    return find_parameter(element, name, &found);
}
