/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes typed payloads into columns: column sets are metrics, and each label set is a column. */
#include "vllm/stats/decode.h"

#include <string.h>

/* TUPLE_LIMIT: size of the JSON of a tuple with the longest labels, each byte of which may be written as \u00xx. */
enum { NO_TUPLE = -1, LONG_LABEL = -2, TUPLE_LIMIT = KVTEL_METRIC_LABELS * (6 * KVTEL_TEXT_LIMIT + 4) + 2 };

/* Decodes a label tuple into texts in the arena, each followed by a NUL. `count` is NO_TUPLE if the key is not a
 * tuple, LONG_LABEL if a label is too long. */
static enum kvtel_status decode_labels(struct kvtel_decoder *decoder, const struct kvtel_value *key,
                                       const char **labels, size_t *size, int *count)
{
    struct kvtel_value parsed;
    *count = key->kind == KVTEL_VALUE_STRING && key->size > TUPLE_LIMIT ? LONG_LABEL : NO_TUPLE;
    if (*count == LONG_LABEL)
        return KVTEL_OK;
    if (key->kind == KVTEL_VALUE_STRING) {
        enum kvtel_status status =
            kvtel_value_decode(KVTEL_JSON, key->text, key->size, &decoder->stats->arena, &parsed, NULL);
        if (status != KVTEL_OK)
            return status == KVTEL_E_NOMEM ? status : KVTEL_OK;
        key = &parsed;
    }
    if (key->kind != KVTEL_VALUE_ARRAY || key->size > KVTEL_METRIC_LABELS)
        return KVTEL_OK;
    *size = 0;
    for (uint32_t i = 0; i < key->size; i++) {
        enum kvtel_refusal reason = kvtel_decode_judge_text(&key->items[i]);
        *count = reason == KVTEL_REFUSED_LONG_TEXT ? LONG_LABEL : NO_TUPLE;
        if (reason != KVTEL_REFUSAL_COUNT)
            return KVTEL_OK;
        *size += key->items[i].size + 1;
    }
    char *out = kvtel_arena_alloc(&decoder->stats->arena, *size + 1);
    if (!out)
        return KVTEL_E_NOMEM;
    *labels = out;
    for (uint32_t i = 0; i < key->size; i++) {
        memcpy(out, key->items[i].text, key->items[i].size + 1);
        out += key->items[i].size + 1;
    }
    *count = (int)key->size;
    return KVTEL_OK;
}

static enum kvtel_status decode_label_set(struct kvtel_decoder *decoder, struct kvtel_column_set *set,
                                          const struct kvtel_value *key)
{
    const struct kvtel_value *value = key + 1;
    const char *labels = "";
    size_t size = 0, expected = kvtel_metric_label_count(set->metric);
    int count;
    enum kvtel_status status = decode_labels(decoder, key, &labels, &size, &count);
    if (status != KVTEL_OK)
        return status;
    uint64_t values = value->kind == KVTEL_VALUE_ARRAY ? value->size : 1;
    if (count == LONG_LABEL) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_LONG_TEXT, values, set->name,
                            kvtel_decode_why(KVTEL_REFUSED_LONG_TEXT));
        return KVTEL_OK;
    }
    if (count < 0 || (size_t)count != expected) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_LABEL_COUNT, values, set->name,
                            "has a wrong number of label values");
        return KVTEL_OK;
    }
    enum kvtel_field_kind kind = set->metric->type == KVTEL_HISTOGRAM ? KVTEL_FIELD_SAMPLES
                                 : set->metric->type == KVTEL_GAUGE   ? KVTEL_FIELD_LEVEL
                                                                      : KVTEL_FIELD_TOTAL;
    const struct kvtel_number_range range = kvtel_number_range(kind, set->metric->unit);
    enum kvtel_refusal reason = kind != KVTEL_FIELD_SAMPLES        ? kvtel_decode_judge(value, &range)
                                : value->kind == KVTEL_VALUE_ARRAY ? KVTEL_REFUSAL_COUNT
                                                                   : KVTEL_REFUSED_WRONG_TYPE;
    if (reason != KVTEL_REFUSAL_COUNT) {
        kvtel_decode_refuse(decoder, reason, 1, set->name,
                            reason == KVTEL_REFUSED_WRONG_TYPE ? "is of the wrong type" : kvtel_decode_why(reason));
        return KVTEL_OK;
    }
    struct kvtel_column *column = kvtel_column_set_find_labels(set, labels, size, (uint32_t)count);
    if (!column && set->column_count >= KVTEL_STATS_NAME_LIMIT) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_SERIES_LIMIT, values, set->name, "has too many label sets");
        return KVTEL_OK;
    }
    if (!column)
        column = kvtel_column_set_add_labels(set, labels, size, (uint32_t)count);
    if (!column)
        return KVTEL_E_NOMEM;
    column->count = 0;
    if (kind != KVTEL_FIELD_SAMPLES)
        return kvtel_decode_number(column, value);
    uint8_t *bad = NULL;
    const char *name = set->name;
    status = kvtel_decode_list(decoder, column, value, &range, &bad);
    if (status == KVTEL_OK)
        kvtel_decode_drop_bad_rows(decoder, &column, &bad, &name, 1);
    return status;
}

static enum kvtel_status decode_typed_metric(struct kvtel_decoder *decoder, const struct kvtel_value *key,
                                             const struct kvtel_value *types)
{
    const struct kvtel_value *sets = key + 1;
    const struct kvtel_metric *metric =
        kvtel_decode_is_name(key) ? kvtel_table_metric(decoder->content.table, key->text) : NULL;
    /* A metric with fields is derived from others; payloads do not contain it. */
    if (!metric || metric->fields[0] || metric->input == KVTEL_INPUT_INFO) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_UNKNOWN_METRIC, 1, kvtel_decode_is_name(key) ? key->text : "?",
                            "is not a metric of this connector");
        return KVTEL_OK;
    }
    const struct kvtel_value *type = types ? kvtel_value_get(types, key->text) : NULL;
    if (sets->kind != KVTEL_VALUE_MAP || !type || !kvtel_value_is_text(type, kvtel_metric_type_name(metric->type))) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, key->text,
                            "is not of the type that this connector gives it");
        return KVTEL_OK;
    }
    struct kvtel_column_set *set = kvtel_content_find_set(&decoder->content, key->text, key->size);
    if (set)
        kvtel_column_set_truncate(set, 0); /* of two equal metrics the last one counts */
    else
        set = kvtel_content_add_set(&decoder->content, key->text, key->size);
    if (!set)
        return KVTEL_E_NOMEM;
    set->metric = metric;
    enum kvtel_status status = KVTEL_OK;
    for (uint32_t i = 0; status == KVTEL_OK && i < sets->size; i++)
        status = decode_label_set(decoder, set, &sets->items[2 * i]);
    return status;
}

/* Whether a value is a list of maps from label to text or number, or nil. */
static bool is_info(const struct kvtel_value *info)
{
    if (info->kind != KVTEL_VALUE_ARRAY)
        return info->kind == KVTEL_VALUE_NIL;
    for (uint32_t i = 0; i < info->size; i++) {
        const struct kvtel_value *map = &info->items[i];
        if (map->kind != KVTEL_VALUE_MAP)
            return false;
        for (uint32_t k = 0; k < map->size; k++)
            if (!kvtel_decode_is_name(&map->items[2 * k]) || map->items[2 * k + 1].kind >= KVTEL_VALUE_ARRAY ||
                (map->items[2 * k + 1].kind == KVTEL_VALUE_STRING && !kvtel_decode_is_name(&map->items[2 * k + 1])))
                return false;
    }
    return true;
}

/* Whether any text in it is too long. */
static bool has_long_text(const struct kvtel_value *info)
{
    for (uint32_t i = 0; i < info->size; i++) {
        const struct kvtel_value *map = &info->items[i];
        for (uint32_t k = 0; k < 2 * map->size; k++)
            if (map->items[k].kind == KVTEL_VALUE_STRING && map->items[k].size > KVTEL_TEXT_LIMIT)
                return true;
    }
    return false;
}

enum kvtel_status kvtel_decode_typed(struct kvtel_decoder *decoder, const struct kvtel_value *map)
{
    const struct kvtel_value *types = kvtel_value_get(map, "types"), *data = kvtel_value_get(map, "data");
    const struct kvtel_value *info = kvtel_value_get(map, "info");
    enum kvtel_status status = KVTEL_OK;
    for (uint32_t i = 0; i < map->size; i++) {
        const struct kvtel_value *key = &map->items[2 * i];
        static const char *const known[] = { "types", "data", "info", "_metrics_descriptor" };
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            found |= kvtel_value_is_text(key, known[k]);
        if (!found)
            kvtel_decode_refuse(decoder, KVTEL_REFUSED_UNKNOWN_KEY, 1, kvtel_decode_is_name(key) ? key->text : "?",
                                "is not a field of this connector");
    }
    if ((data && data->kind != KVTEL_VALUE_MAP) || (types && types->kind != KVTEL_VALUE_MAP)) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, "data", "or \"types\" is not a map");
        data = NULL;
    }
    for (uint32_t i = 0; data && status == KVTEL_OK && i < data->size; i++)
        status = decode_typed_metric(decoder, &data->items[2 * i], types);
    decoder->content.has_info = info != NULL;
    if (status != KVTEL_OK || !info || info->kind == KVTEL_VALUE_NIL)
        return status;
    if (!decoder->content.table->has_info || !is_info(info)) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, "info", "is not a list of maps from label to value");
        return KVTEL_OK;
    }
    if (has_long_text(info)) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_LONG_TEXT, 1, "info", kvtel_decode_why(KVTEL_REFUSED_LONG_TEXT));
        return KVTEL_OK;
    }
    return kvtel_value_copy(&decoder->content.info_arena, info, &decoder->content.info);
}
