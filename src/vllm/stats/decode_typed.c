/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes typed payloads into columns: column sets are metrics, and each label set is a column. */
#include "vllm/stats/decode.h"

#include <string.h>

static enum kvtel_status decode_label_set(struct kvtel_decoder *decoder, struct kvtel_column_set *set,
                                          const struct kvtel_value *key)
{
    const struct kvtel_value *value = key + 1;
    const char *labels = "";
    size_t size = 0, expected = kvtel_metric_label_count(set->metric);
    int count;
    enum kvtel_status status = kvtel_decode_labels(&decoder->stats->arena, key, &labels, &size, &count);
    if (status != KVTEL_OK)
        return status;
    uint64_t values = value->kind == KVTEL_VALUE_ARRAY ? value->size : 1;
    if (count == KVTEL_LONG_LABEL) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_LONG_TEXT, values, set->name,
                            kvtel_decode_why(KVTEL_REFUSED_LONG_TEXT));
        return KVTEL_OK;
    }
    /* Without labels: as a vLLM in which the metric had none yet. A learned metric is what its payloads make of it. */
    bool is_older = count == 0 && !kvtel_learned_of(decoder->content.table);
    if (count < 0 || ((size_t)count != expected && !is_older)) {
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

/* What a payload says of its metrics. */
struct typed {
    const struct kvtel_value *types, *labels; /* {metric: type}, {metric: [names of labels]}; NULL: not given */
};

/* Fills the names of a metric's labels: those that the payload gives, else label_1, label_2, ... False: those that it
 * gives cannot be used. `key`: the metric, `count`: the number of its labels. */
static bool name_labels(const struct typed *typed, const struct kvtel_value *key, int count, struct kvtel_metric *draft)
{
    static const char *const numbered[KVTEL_METRIC_LABELS] = { "label_1", "label_2", "label_3", "label_4",
                                                               "label_5", "label_6", "label_7", "label_8" };
    const struct kvtel_value *names = typed->labels ? kvtel_value_get(typed->labels, key->text) : NULL;
    if (names && (names->kind != KVTEL_VALUE_ARRAY || names->size != (uint32_t)count))
        return false;
    for (int i = 0; i < count; i++) {
        if (names && !kvtel_decode_is_name(&names->items[i]))
            return false;
        draft->labels[i] = names ? names->items[i].text : numbered[i];
    }
    return true;
}

static bool read_type(const struct kvtel_value *type, enum kvtel_metric_type *out)
{
    for (int i = KVTEL_COUNTER; i <= KVTEL_HISTOGRAM; i++)
        if (type && kvtel_value_is_text(type, kvtel_metric_type_name((enum kvtel_metric_type)i))) {
            *out = (enum kvtel_metric_type)i;
            return true;
        }
    return false;
}

/* Learns a metric of a connector without a table. `metric` out; NULL: it was refused, or has no label set yet. */
static enum kvtel_status learn_metric(struct kvtel_decoder *decoder, const struct kvtel_value *key,
                                      const struct typed *typed, const struct kvtel_metric **metric)
{
    struct kvtel_metric draft = { .name = key->text, .unit = kvtel_learned_unit(key->text) };
    const struct kvtel_value *sets = key + 1, *type = typed->types ? kvtel_value_get(typed->types, key->text) : NULL;
    const char *labels, *why = NULL;
    size_t size;
    int count = 0;
    *metric = NULL;
    if (sets->kind == KVTEL_VALUE_MAP && sets->size == 0)
        return KVTEL_OK;
    if (sets->kind == KVTEL_VALUE_MAP &&
        kvtel_decode_labels(&decoder->stats->arena, sets->items, &labels, &size, &count) != KVTEL_OK)
        return KVTEL_E_NOMEM;
    if (!read_type(type, &draft.type) || sets->kind != KVTEL_VALUE_MAP || count == KVTEL_NO_TUPLE) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, key->text,
                            "has no type (counter, gauge, histogram), or is no map of label values");
        return KVTEL_OK;
    }
    if (count == KVTEL_LONG_LABEL) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_LONG_TEXT, 1, key->text, kvtel_decode_why(KVTEL_REFUSED_LONG_TEXT));
        return KVTEL_OK;
    }
    draft.help = "As the payloads of a connector without a table give it; they say no more of it.";
    draft.buckets = draft.type == KVTEL_HISTOGRAM ? kvtel_learned_buckets(draft.unit) : NULL;
    enum kvtel_status status = KVTEL_E_ARGUMENT;
    if (!name_labels(typed, key, count, &draft))
        why = "has not as many names of labels as labels";
    else
        status = kvtel_learned_add(decoder->open, &draft, metric, &why);
    if (status == KVTEL_OK || status == KVTEL_E_NOMEM)
        return status;
    *metric = NULL;
    kvtel_decode_refuse(decoder, status == KVTEL_E_LIMIT ? KVTEL_REFUSED_SERIES_LIMIT : KVTEL_REFUSED_DESCRIPTOR, 1,
                        key->text, why);
    return KVTEL_OK;
}

/* Finds the metric of a key. `metric` out; NULL: there is nothing to decode here. */
static enum kvtel_status find_metric(struct kvtel_decoder *decoder, const struct kvtel_value *key, uint32_t place,
                                     const struct typed *typed, const struct kvtel_metric **metric)
{
    const struct kvtel_described *described = kvtel_decode_described_data(decoder, key);
    struct kvtel_learned *open = kvtel_learned_of(decoder->content.table);
    *metric = NULL;
    if (described && described->is_definition)
        *metric = described->metric;
    if (described && (open || described->is_definition))
        return KVTEL_OK; /* others are read by the descriptor's path */
    if (!open) {
        *metric = kvtel_decode_is_name(key) ? kvtel_table_metric(decoder->content.table, key->text) : NULL;
        /* A metric with fields is derived from others; payloads do not contain it. */
        if (*metric && !(*metric)->fields[0] && (*metric)->input != KVTEL_INPUT_INFO)
            return KVTEL_OK;
        *metric = NULL;
        if (described)
            return KVTEL_OK;
    } else if (kvtel_decode_is_name(key)) {
        *metric = kvtel_learned_metric(open, key->text, place);
        return *metric ? KVTEL_OK : learn_metric(decoder, key, typed, metric);
    }
    kvtel_decode_refuse(decoder, KVTEL_REFUSED_UNKNOWN_METRIC, 1, kvtel_decode_is_name(key) ? key->text : "?",
                        "is not a metric of this connector");
    return KVTEL_OK;
}

static enum kvtel_status decode_typed_metric(struct kvtel_decoder *decoder, const struct kvtel_value *key,
                                             uint32_t place, const struct typed *typed)
{
    const struct kvtel_value *sets = key + 1;
    const struct kvtel_metric *metric;
    enum kvtel_status status = find_metric(decoder, key, place, typed, &metric);
    if (status != KVTEL_OK || !metric)
        return status;
    const struct kvtel_value *type = typed->types ? kvtel_value_get(typed->types, key->text) : NULL;
    if (sets->kind != KVTEL_VALUE_MAP || !type || !kvtel_value_is_text(type, kvtel_metric_type_name(metric->type))) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, key->text,
                            "is not of the type that this connector gives it");
        return KVTEL_OK;
    }
    size_t size = strlen(metric->name);
    struct kvtel_column_set *set = kvtel_content_find_set(&decoder->content, metric->name, size);
    if (set)
        kvtel_column_set_truncate(set, 0); /* of two equal metrics the last one counts */
    else if (decoder->content.set_count < KVTEL_STATS_NAME_LIMIT)
        set = kvtel_content_add_set(&decoder->content, metric->name, size);
    if (!set)
        return KVTEL_E_NOMEM;
    set->metric = metric;
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

bool kvtel_decode_is_typed(const struct kvtel_value *payload)
{
    const struct kvtel_value *types = kvtel_value_get(payload, "types"), *data = kvtel_value_get(payload, "data");
    return types && types->kind == KVTEL_VALUE_MAP && data && data->kind == KVTEL_VALUE_MAP;
}

enum kvtel_status kvtel_decode_typed(struct kvtel_decoder *decoder, const struct kvtel_value *map)
{
    const struct kvtel_value *types = kvtel_value_get(map, "types"), *data = kvtel_value_get(map, "data");
    const struct kvtel_value *info = kvtel_value_get(map, "info"), *labels = kvtel_value_get(map, "labels");
    bool is_open = kvtel_learned_of(decoder->content.table) != NULL;
    enum kvtel_status status = KVTEL_OK;
    if (is_open && !kvtel_decode_is_typed(map)) {
        decoder->content.has_info = false;
        return KVTEL_OK; /* its descriptor says what is read of it */
    }
    for (uint32_t i = 0; i < map->size; i++) {
        const struct kvtel_value *key = &map->items[2 * i];
        static const char *const known[] = { "types", "data", "info", "_metrics_descriptor" };
        bool found = (is_open && (kvtel_value_is_text(key, "labels") || kvtel_value_is_text(key, KVTEL_READ_KEY))) ||
                     kvtel_decode_is_described(decoder, key);
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
    const struct typed typed = { types, labels && labels->kind == KVTEL_VALUE_MAP ? labels : NULL };
    for (uint32_t i = 0; data && status == KVTEL_OK && i < data->size; i++)
        status = decode_typed_metric(decoder, &data->items[2 * i], i, &typed);
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
