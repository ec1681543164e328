/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing a KVTransferConfig. */
#include "config/parse/transfer_config.h"

#include <stdlib.h>
#include <string.h>

#include <kvtel/connector.h>

#include "base/error.h"
#include "config/transfer_config.h"

/* Limit of children of a MultiConnector, larger than any real configuration. It keeps the search by name cheap. */
enum { CHILD_LIMIT = 1000 };

static void push(struct kvtel_value_path *path, struct kvtel_value_step step)
{
    path->steps[path->depth++] = step;
}

static enum kvtel_status no_memory(struct kvtel_error *error)
{
    return kvtel_fail(error, KVTEL_E_NOMEM, 0, "out of memory");
}

/* Finds the member of `map`, which must be of `kind`. `*member` is NULL when the member is missing or null. */
static enum kvtel_status get(const struct kvtel_value *map, const char *key, enum kvtel_value_kind kind,
                             const char *kind_name, struct kvtel_value_path *path, const struct kvtel_value **member,
                             struct kvtel_error *error)
{
    *member = kvtel_value_get(map, key);
    if (*member && (*member)->kind == KVTEL_VALUE_NIL)
        *member = NULL;
    const char *fault = *member && (*member)->kind == KVTEL_VALUE_STRING ? kvtel_value_text_fault(*member) : NULL;
    if (!*member || ((*member)->kind == kind && !fault))
        return KVTEL_OK;
    push(path, (struct kvtel_value_step){ .key = key });
    if ((*member)->kind == kind)
        return kvtel_fail(error, KVTEL_E_TYPE, 0, "%s %s", key, fault);
    return kvtel_fail(error, KVTEL_E_TYPE, 0, "%s is not %s", key, kind_name);
}

/* Reads the settings. A setting that is longer than KVTEL_TEXT_LIMIT belongs to other software and is skipped. A NUL
 * in a text is an error, because a C string would end there and mean something else. */
static enum kvtel_status read_settings(struct kvtel_transfer_config *config, const struct kvtel_value *extra,
                                       struct kvtel_value_path *path, struct kvtel_error *error)
{
    config->settings = calloc((size_t)extra->size + 1, sizeof(*config->settings));
    if (!config->settings)
        return no_memory(error);
    for (size_t i = 0; i < extra->size; i++) {
        const struct kvtel_value *key = &extra->items[2 * i];
        const struct kvtel_value *value = &extra->items[2 * i + 1];
        struct kvtel_setting *setting = &config->settings[config->setting_count];
        bool is_text = value->kind == KVTEL_VALUE_STRING;
        if (key->kind != KVTEL_VALUE_STRING || (!is_text && !kvtel_value_number(value, &setting->number)))
            continue;
        if (strlen(key->text) < key->size || (is_text && strlen(value->text) < value->size)) {
            if (strlen(key->text) == key->size)
                push(path, (struct kvtel_value_step){ .key = key->text });
            return kvtel_fail(error, KVTEL_E_TYPE, 0, "%.64s holds a NUL character, which no text may hold", key->text);
        }
        if (key->size > KVTEL_TEXT_LIMIT || (is_text && value->size > KVTEL_TEXT_LIMIT))
            continue;
        config->setting_count++;
        setting->key = strdup(key->text);
        setting->text = is_text ? strdup(value->text) : NULL;
        if (!setting->key || (is_text && !setting->text))
            return no_memory(error);
    }
    return KVTEL_OK;
}

static enum kvtel_status read_tiers(struct kvtel_transfer_config *config, const struct kvtel_value *tiers,
                                    struct kvtel_value_path *path, struct kvtel_error *error)
{
    config->tiers = calloc((size_t)tiers->size + 1, sizeof(*config->tiers));
    if (!config->tiers)
        return no_memory(error);
    for (size_t i = 0; i < tiers->size; i++) {
        const struct kvtel_value *type = kvtel_value_get(&tiers->items[i], "type");
        const char *fault = type && type->kind == KVTEL_VALUE_STRING ? kvtel_value_text_fault(type) : NULL;
        if (fault) {
            push(path, (struct kvtel_value_step){ .key = "secondary_tiers" });
            push(path, (struct kvtel_value_step){ .index = i });
            push(path, (struct kvtel_value_step){ .key = "type" });
            return kvtel_fail(error, KVTEL_E_TYPE, 0, "the type of a secondary tier %s", fault);
        }
        char *text = strdup(type && type->kind == KVTEL_VALUE_STRING ? type->text : "");
        if (!text)
            return no_memory(error);
        config->tiers[config->tier_count++] = text;
    }
    return KVTEL_OK;
}

/* Reads the children. The decoder's limit of nesting bounds the recursion. */
static enum kvtel_status read_children(struct kvtel_transfer_config *config, const struct kvtel_value *children,
                                       struct kvtel_value_path *path, struct kvtel_error *error)
{
    push(path, (struct kvtel_value_step){ .key = "connectors" });
    if (children->size > CHILD_LIMIT)
        return kvtel_fail(error, KVTEL_E_LIMIT, 0, "connectors has more than %d entries", CHILD_LIMIT);
    config->children = calloc((size_t)children->size + 1, sizeof(*config->children));
    if (!config->children)
        return no_memory(error);
    for (size_t i = 0; i < children->size; i++) {
        push(path, (struct kvtel_value_step){ .index = i });
        enum kvtel_status status =
            kvtel_transfer_config_from_value(&children->items[i], path, &config->children[i], error);
        if (status != KVTEL_OK)
            return status;
        config->child_count++;
        path->depth--;
    }
    path->depth--;
    return KVTEL_OK;
}

static enum kvtel_status read_extra(struct kvtel_transfer_config *config, const struct kvtel_value *extra,
                                    struct kvtel_value_path *path, struct kvtel_error *error)
{
    const struct kvtel_connector *connector = kvtel_transfer_config_connector(config);
    const struct kvtel_value *tiers = kvtel_value_get(extra, "secondary_tiers");
    const struct kvtel_value *children = NULL;
    push(path, (struct kvtel_value_step){ .key = "kv_connector_extra_config" });
    enum kvtel_status status = read_settings(config, extra, path, error);
    if (status == KVTEL_OK && tiers && tiers->kind == KVTEL_VALUE_ARRAY)
        status = read_tiers(config, tiers, path, error);
    if (status == KVTEL_OK && connector && connector->payload_kind == KVTEL_PAYLOAD_MULTI)
        status = get(extra, "connectors", KVTEL_VALUE_ARRAY, "a list", path, &children, error);
    if (status == KVTEL_OK && children)
        status = read_children(config, children, path, error);
    if (status == KVTEL_OK)
        path->depth--;
    return status;
}

enum kvtel_status kvtel_transfer_config_from_value(const struct kvtel_value *value, struct kvtel_value_path *path,
                                                   struct kvtel_transfer_config **config, struct kvtel_error *error)
{
    const struct kvtel_value *name, *extra;
    if (value->kind != KVTEL_VALUE_MAP)
        return kvtel_fail(error, KVTEL_E_TYPE, 0, "a transfer configuration is not an object");
    enum kvtel_status status = get(value, "kv_connector", KVTEL_VALUE_STRING, "a string", path, &name, error);
    if (status == KVTEL_OK && !name)
        status = kvtel_fail(error, KVTEL_E_TYPE, 0, "a transfer configuration has no kv_connector");
    if (status == KVTEL_OK)
        status = get(value, "kv_connector_extra_config", KVTEL_VALUE_MAP, "an object", path, &extra, error);
    if (status != KVTEL_OK)
        return status;
    struct kvtel_transfer_config *made = kvtel_transfer_config_of(name->text);
    if (!made)
        return no_memory(error);
    if (extra)
        status = read_extra(made, extra, path, error);
    if (status == KVTEL_OK)
        *config = made;
    else
        kvtel_transfer_config_destroy(made);
    return status;
}

enum kvtel_status kvtel_transfer_config_parse(enum kvtel_format format, const void *bytes, size_t size,
                                              struct kvtel_transfer_config **config, struct kvtel_error *error)
{
    struct kvtel_arena arena = { 0 };
    struct kvtel_value value;
    struct kvtel_value_path path = { .depth = 0 };
    enum kvtel_status status = kvtel_value_decode(format, bytes, size, &arena, &value, error);
    if (status == KVTEL_OK) {
        status = kvtel_transfer_config_from_value(&value, &path, config, error);
        if (status != KVTEL_OK && error && format == KVTEL_JSON) {
            error->offset = kvtel_value_locate(bytes, size, path.steps, path.depth);
            kvtel_error_place(error, bytes, size);
        }
    }
    kvtel_arena_free(&arena);
    return status;
}
