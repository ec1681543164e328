/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing and matching selectors of label sets. */
#include "collect/series.h"
#include "totals/selector.h"

#include "base/error.h"
#include "record/store.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

struct matcher {
    char *label, *value;
    bool negative, is_pattern;
    regex_t pattern;
};

struct selector {
    char *name; /* "": any name */
    size_t count;
    struct matcher matchers[KVTEL_LAYOUT_LABELS];
};

struct parser {
    const char *text, *at;
    struct kvtel_error *error;
};

static enum kvtel_status fail(const struct parser *parser, const char *what)
{
    enum kvtel_status status =
        kvtel_fail(parser->error, KVTEL_E_SYNTAX, (size_t)(parser->at - parser->text), "%s", what);
    if (parser->error)
        parser->error->column = (uint32_t)(parser->at - parser->text) + 1;
    return status;
}

static void skip_spaces(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t");
}

static bool skip(struct parser *parser, const char *what)
{
    skip_spaces(parser);
    if (strncmp(parser->at, what, strlen(what)) != 0)
        return false;
    parser->at += strlen(what);
    return true;
}

/* Takes a metric's or label's name. NULL: no memory. */
static char *take_name(struct parser *parser)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:";
    skip_spaces(parser);
    size_t size = strspn(parser->at, letters);
    char *name = strndup(parser->at, size);
    parser->at += size;
    return name;
}

/* Takes a text in quotes, in which \" \\ and \n are escapes. */
static enum kvtel_status take_value(struct parser *parser, char **value)
{
    if (!skip(parser, "\""))
        return fail(parser, "a value in double quotes is wanted here");
    char *to = *value = malloc(strlen(parser->at) + 1);
    if (!to)
        return kvtel_fail(parser->error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    for (; *parser->at && *parser->at != '"'; parser->at++) {
        bool escaped = *parser->at == '\\' && parser->at[1];
        parser->at += escaped;
        *to++ = escaped && *parser->at == 'n' ? '\n' : *parser->at;
    }
    *to = '\0';
    return skip(parser, "\"") ? KVTEL_OK : fail(parser, "the quotes are not closed");
}

/* Compiles a pattern. A pattern must match the whole value. */
static enum kvtel_status compile(struct parser *parser, struct matcher *matcher)
{
    char *whole = NULL;
    if (asprintf(&whole, "^(%s)$", matcher->value) < 0)
        return kvtel_fail(parser->error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    matcher->is_pattern = regcomp(&matcher->pattern, whole, REG_EXTENDED | REG_NOSUB) == 0;
    free(whole);
    return matcher->is_pattern ? KVTEL_OK : fail(parser, "this is not a regular expression (POSIX, extended)");
}

static enum kvtel_status take_matcher(struct parser *parser, struct selector *selector)
{
    if (selector->count == KVTEL_LAYOUT_LABELS)
        return fail(parser, "too many labels");
    struct matcher *matcher = &selector->matchers[selector->count++];
    matcher->label = take_name(parser);
    if (!matcher->label)
        return kvtel_fail(parser->error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    if (!kvtel_is_name(matcher->label, false))
        return fail(parser, "the name of a label is wanted here");
    bool pattern = skip(parser, "=~");
    matcher->negative = !pattern && (skip(parser, "!=") || (pattern = skip(parser, "!~")));
    if (!pattern && !matcher->negative && !skip(parser, "="))
        return fail(parser, "=, !=, =~ or !~ is wanted here");
    enum kvtel_status status = take_value(parser, &matcher->value);
    return status == KVTEL_OK && pattern ? compile(parser, matcher) : status;
}

enum kvtel_status selector_parse(const char *text, struct selector **made, struct kvtel_error *error)
{
    struct parser parser = { text, text, error };
    struct selector *selector = calloc(1, sizeof *selector);
    if (selector)
        selector->name = take_name(&parser);
    if (!selector || !selector->name) {
        free(selector);
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "%s", kvtel_status_text(KVTEL_E_NOMEM));
    }
    enum kvtel_status status = KVTEL_OK;
    if (*selector->name && !kvtel_is_name(selector->name, true))
        status = fail(&parser, "this is not the name of a metric");
    if (status == KVTEL_OK && skip(&parser, "{")) {
        bool more = !skip(&parser, "}");
        while (status == KVTEL_OK && more) {
            status = take_matcher(&parser, selector);
            bool comma = status == KVTEL_OK && skip(&parser, ",");
            more = status == KVTEL_OK && !skip(&parser, "}");
            if (more && !comma)
                status = fail(&parser, ", or } is wanted here");
        }
    }
    skip_spaces(&parser);
    if (status == KVTEL_OK && *parser.at)
        status = fail(&parser, "nothing may come here; a selector is NAME{LABEL=\"VALUE\",...}");
    if (status == KVTEL_OK && !*selector->name && selector->count == 0)
        status = fail(&parser, "a selector names a metric or a label");
    if (status != KVTEL_OK)
        selector_free(selector);
    else
        *made = selector;
    return status;
}

void selector_free(struct selector *selector)
{
    if (!selector)
        return;
    for (size_t i = 0; i < selector->count; i++) {
        if (selector->matchers[i].is_pattern)
            regfree(&selector->matchers[i].pattern);
        free(selector->matchers[i].label);
        free(selector->matchers[i].value);
    }
    free(selector->name);
    free(selector);
}

static bool is_named(const struct kvtel_snapshot_family *family, const char *name)
{
    static const char *const of_counter[] = { "", "_total", NULL }, *const of_gauge[] = { "", NULL },
                             *const of_histogram[] = { "", "_count", "_sum", "_bucket", NULL };
    static const char *const *const endings[] = {
        [KVTEL_COUNTER] = of_counter, [KVTEL_GAUGE] = of_gauge, [KVTEL_HISTOGRAM] = of_histogram
    };
    size_t size = strlen(family->name);
    if (strncmp(name, family->name, size) != 0)
        return false;
    for (const char *const *ending = endings[family->type]; *ending; ending++)
        if (strcmp(name + size, *ending) == 0)
            return true;
    return false;
}

static bool matches(const struct matcher *matcher, const char *value)
{
    bool same =
        matcher->is_pattern ? regexec(&matcher->pattern, value, 0, NULL, 0) == 0 : strcmp(matcher->value, value) == 0;
    return same != matcher->negative;
}

bool selector_matches(const struct selector *selector, const struct kvtel_snapshot_family *family,
                      const struct kvtel_snapshot_series *series)
{
    if (*selector->name && !is_named(family, selector->name))
        return false;
    for (size_t i = 0; i < selector->count; i++) {
        const char *value = "";
        for (size_t k = 0; k < family->label_count; k++)
            if (strcmp(family->labelnames[k], selector->matchers[i].label) == 0)
                value = series->values[k];
        if (!matches(&selector->matchers[i], value))
            return false;
    }
    return true;
}
