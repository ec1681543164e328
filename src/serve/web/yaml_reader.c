/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of YAML with libyaml's documents. */
#include "serve/web/yaml_reader.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DEPTH = 16 };

static enum kvtel_status place(struct kvtel_error *error, enum kvtel_status status, const yaml_mark_t *mark,
                               const char *message)
{
    kvtel_fail(error, status, mark->index, "%s", message);
    if (error) {
        error->line = (uint32_t)mark->line + 1;
        error->column = (uint32_t)mark->column + 1;
    }
    return status;
}

enum kvtel_status yaml_fail(struct yaml_reader *reader, const yaml_node_t *node, const char *format, ...)
{
    char message[sizeof reader->error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return place(reader->error, KVTEL_E_SYNTAX, &node->start_mark, message);
}

bool yaml_is_null(const yaml_node_t *node)
{
    static const char *const names[] = { "", "~", "null", "Null", "NULL" };
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp((const char *)node->data.scalar.value, names[i]) == 0)
            return true;
    return false;
}

enum kvtel_status yaml_read_text(struct yaml_reader *reader, const char *key, const yaml_node_t *node,
                                 const char **text)
{
    if (node->type != YAML_SCALAR_NODE)
        return yaml_fail(reader, node, "%s: one value is expected here, not a list or a mapping", key);
    if (node->tag && strcmp((const char *)node->tag, YAML_STR_TAG) != 0)
        return yaml_fail(reader, node, "%s: a tag is not allowed here", key);
    if (strlen((const char *)node->data.scalar.value) != node->data.scalar.length)
        return yaml_fail(reader, node, "%s: a NUL character is not allowed here", key);
    *text = yaml_is_null(node) ? "" : (const char *)node->data.scalar.value;
    return KVTEL_OK;
}

enum kvtel_status yaml_read_copy(struct yaml_reader *reader, const char *key, const yaml_node_t *node, char **text)
{
    const char *value = NULL;
    enum kvtel_status status = yaml_read_text(reader, key, node, &value);
    if (status != KVTEL_OK)
        return status;
    char *copy = strdup(value);
    if (!copy)
        return kvtel_fail(reader->error, KVTEL_E_NOMEM, 0, "out of memory");
    free(*text);
    *text = copy;
    return KVTEL_OK;
}

enum kvtel_status yaml_read_bool(struct yaml_reader *reader, const char *key, const yaml_node_t *node, bool *value)
{
    static const struct {
        const char *name;
        bool value;
    } names[] = { { "true", true }, { "false", false }, { "yes", true }, { "no", false },
                  { "on", true },   { "off", false },   { "y", true },   { "n", false } };
    const char *text;
    enum kvtel_status status = yaml_read_text(reader, key, node, &text);
    if (status != KVTEL_OK || yaml_is_null(node))
        return status;
    for (size_t i = 0; i < sizeof names / sizeof *names && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE; i++)
        if (strcasecmp(text, names[i].name) == 0) {
            *value = names[i].value;
            return KVTEL_OK;
        }
    return yaml_fail(reader, node, "%s: true or false is expected", key);
}

/* Reads the key of a pair. A key that occurred before is an error. */
static enum kvtel_status read_key(struct yaml_reader *reader, yaml_node_t *mapping, yaml_node_pair_t *pair,
                                  const char **name)
{
    yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
    enum kvtel_status status = yaml_read_text(reader, "key", key, name);
    if (status != KVTEL_OK)
        return status;
    for (yaml_node_pair_t *earlier = mapping->data.mapping.pairs.start; earlier < pair; earlier++) {
        const yaml_node_t *other = yaml_document_get_node(reader->document, earlier->key);
        if (strcmp((const char *)other->data.scalar.value, (const char *)key->data.scalar.value) == 0)
            return yaml_fail(reader, key, "key \"%.64s\" is there twice, first in line %zu", *name,
                             other->start_mark.line + 1);
    }
    return KVTEL_OK;
}

static yaml_read_fn find(const struct yaml_key *keys, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i].name, name) == 0)
            return keys[i].read;
    return NULL;
}

/* Reads all pairs with `any` or, if it is NULL, with the function of the key. */
static enum kvtel_status read_pairs(struct yaml_reader *reader, yaml_node_t *node, const struct yaml_key *keys,
                                    size_t count, yaml_read_fn any)
{
    if (yaml_is_null(node))
        return KVTEL_OK;
    if (node->type != YAML_MAPPING_NODE)
        return yaml_fail(reader, node, "a mapping (key: value) is expected here");
    enum kvtel_status status = KVTEL_OK;
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         status == KVTEL_OK && pair < node->data.mapping.pairs.top; pair++) {
        const char *name;
        status = read_key(reader, node, pair, &name);
        if (status != KVTEL_OK)
            return status;
        yaml_read_fn read = any ? any : find(keys, count, name);
        if (!read)
            return yaml_fail(reader, yaml_document_get_node(reader->document, pair->key), "unknown key \"%.64s\"",
                             name);
        status = read(reader, name, yaml_document_get_node(reader->document, pair->value));
    }
    return status;
}

enum kvtel_status yaml_read_mapping(struct yaml_reader *reader, yaml_node_t *node, const struct yaml_key *keys,
                                    size_t count)
{
    return read_pairs(reader, node, keys, count, NULL);
}

enum kvtel_status yaml_read_pairs(struct yaml_reader *reader, yaml_node_t *node, yaml_read_fn read)
{
    return read_pairs(reader, node, NULL, 0, read);
}

enum kvtel_status yaml_read_sequence(struct yaml_reader *reader, const char *key, yaml_node_t *node, yaml_read_fn read)
{
    if (yaml_is_null(node))
        return KVTEL_OK;
    if (node->type != YAML_SEQUENCE_NODE)
        return yaml_fail(reader, node, "%s: a list is expected here", key);
    enum kvtel_status status = KVTEL_OK;
    yaml_node_item_t *end = node->data.sequence.items.top;
    for (yaml_node_item_t *item = node->data.sequence.items.start; status == KVTEL_OK && item < end; item++)
        status = read(reader, key, yaml_document_get_node(reader->document, *item));
    return status;
}

static enum kvtel_status fail_parser(const yaml_parser_t *parser, struct kvtel_error *error)
{
    if (parser->error == YAML_MEMORY_ERROR)
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    char message[sizeof error->message];
    snprintf(message, sizeof message, "%s%s%s", parser->problem ? parser->problem : "not YAML",
             parser->context ? " " : "", parser->context ? parser->context : "");
    /* an error of the encoding has an offset only */
    yaml_mark_t mark = parser->error == YAML_READER_ERROR ? parser->mark : parser->problem_mark;
    return place(error, KVTEL_E_SYNTAX, &mark, message);
}

/* Fails if lists and mappings are nested deeper than any key needs: libyaml's time grows with the square of the depth.
 * What cannot be parsed is left to the caller's parser. */
static enum kvtel_status check_depth(const char *text, size_t size, struct kvtel_error *error)
{
    yaml_parser_t parser;
    enum kvtel_status status = KVTEL_OK;
    bool goes_on = true;
    unsigned depth = 0;
    if (!yaml_parser_initialize(&parser))
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    while (goes_on) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event))
            break;
        depth += event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT;
        depth -= event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        if (depth > DEPTH)
            status = place(error, KVTEL_E_SYNTAX, &event.start_mark, "lists and mappings are nested too deeply");
        goes_on = status == KVTEL_OK && event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}

/* Fails if something follows the document: it would be ignored silently. */
static enum kvtel_status expect_end(yaml_parser_t *parser, struct kvtel_error *error)
{
    yaml_document_t next;
    if (!yaml_parser_load(parser, &next))
        return fail_parser(parser, error);
    yaml_node_t *root = yaml_document_get_root_node(&next);
    yaml_mark_t mark = root ? root->start_mark : parser->mark;
    yaml_document_delete(&next);
    return root ? place(error, KVTEL_E_SYNTAX, &mark, "only one document is expected") : KVTEL_OK;
}

enum kvtel_status yaml_read(const char *text, size_t size, const struct yaml_key *keys, size_t count, void *target,
                            struct kvtel_error *error)
{
    yaml_parser_t parser;
    yaml_document_t document;
    enum kvtel_status status = check_depth(text, size, error);
    if (status != KVTEL_OK)
        return status;
    if (!yaml_parser_initialize(&parser))
        return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    if (!yaml_parser_load(&parser, &document)) {
        status = fail_parser(&parser, error);
    } else {
        struct yaml_reader reader = { .document = &document, .target = target, .error = error };
        yaml_node_t *root = yaml_document_get_root_node(&document);
        if (root)
            status = yaml_read_mapping(&reader, root, keys, count);
        if (root && status == KVTEL_OK)
            status = expect_end(&parser, error);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return status;
}
