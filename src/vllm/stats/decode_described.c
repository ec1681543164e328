/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the samples of a descriptor's entries from a payload of any kind. */
#include "vllm/stats/decode.h"

#include <math.h>
#include <string.h>

/* Whether a path begins with a key, up to its end or a dot. */
static bool path_begins(const char *path, const struct kvtel_value *key)
{
    return kvtel_decode_is_name(key) && strncmp(path, key->text, key->size) == 0 &&
           (path[key->size] == '\0' || path[key->size] == '.');
}

bool kvtel_decode_is_described(const struct kvtel_decoder *decoder, const struct kvtel_value *key)
{
    for (size_t i = 0; decoder->descriptor && i < decoder->descriptor->count; i++)
        if (path_begins(decoder->descriptor->entries[i].path, key))
            return true;
    return false;
}

const struct kvtel_described *kvtel_decode_described_data(const struct kvtel_decoder *decoder,
                                                          const struct kvtel_value *key)
{
    const struct kvtel_described *found = NULL;
    for (size_t i = 0; decoder->descriptor && i < decoder->descriptor->count; i++) {
        const struct kvtel_described *entry = &decoder->descriptor->entries[i];
        if (strncmp(entry->path, "data.", 5) != 0 || !path_begins(entry->path + 5, key))
            continue;
        if (entry->is_definition && entry->path[5 + key->size] == '\0') /* of the whole key: it defines its family */
            return entry;
        found = entry->is_definition || found ? found : entry;
    }
    return found;
}

/* The value at a path; NULL: none. At each level the rest of the path may be one key that has dots. */
static const struct kvtel_value *walk(const struct kvtel_value *value, const char *path)
{
    while (value && value->kind == KVTEL_VALUE_MAP) {
        const struct kvtel_value *whole = kvtel_value_get(value, path), *found = NULL;
        if (whole)
            return whole;
        size_t size = strcspn(path, ".");
        for (uint32_t i = 0; path[size] == '.' && i < value->size; i++)
            if (path_begins(path, &value->items[2 * i]) && value->items[2 * i].size == size)
                found = &value->items[2 * i + 1];
        value = found;
        path += size + 1;
    }
    return NULL;
}

/* Takes a value out of a map from label tuples: that of the empty tuple, or the only one. NULL: several, or no such
 * map; `several` tells the two apart. */
static enum kvtel_status unwrap(struct kvtel_arena *arena, const struct kvtel_value **value, bool *several)
{
    const struct kvtel_value *map = *value, *only = NULL;
    *several = false;
    if (map->kind != KVTEL_VALUE_MAP)
        return KVTEL_OK;
    *value = NULL;
    for (uint32_t i = 0; i < map->size; i++) {
        const char *labels;
        size_t size;
        int count;
        if (kvtel_decode_labels(arena, &map->items[2 * i], &labels, &size, &count) != KVTEL_OK)
            return KVTEL_E_NOMEM;
        if (count == KVTEL_NO_TUPLE)
            return KVTEL_OK;
        only = &map->items[2 * i + 1];
        if (count == 0) {
            *value = only;
            return KVTEL_OK;
        }
    }
    *several = map->size > 1;
    if (map->size == 1)
        *value = only;
    return KVTEL_OK;
}

/* Where an entry's samples go, and what they may be. */
struct sink {
    const struct kvtel_decoder *decoder;
    const struct kvtel_described *entry;
    struct kvtel_number_range range;
    struct kvtel_column *column;
    bool is_whole; /* the sample kind takes whole numbers only */
};

/* Scales a number, or refuses and counts it. */
static bool take_number(const struct sink *sink, const struct kvtel_value *value, struct kvtel_value *number)
{
    enum kvtel_refusal reason = kvtel_decode_judge(value, &sink->range);
    *number = *value;
    if (reason == KVTEL_REFUSAL_COUNT && sink->is_whole && value->kind == KVTEL_VALUE_DOUBLE &&
        value->number != trunc(value->number))
        reason = KVTEL_REFUSED_WRONG_TYPE;
    if (reason == KVTEL_REFUSAL_COUNT && sink->entry->scale != 1) {
        double plain = value->kind == KVTEL_VALUE_DOUBLE ? value->number : (double)value->integer;
        *number = (struct kvtel_value){ .kind = KVTEL_VALUE_DOUBLE, .number = plain * sink->entry->scale };
        reason = kvtel_decode_judge(number, &sink->range);
    }
    if (reason == KVTEL_REFUSAL_COUNT)
        return true;
    kvtel_decode_refuse(sink->decoder, reason, 1, sink->entry->metric->name,
                        reason == KVTEL_REFUSED_WRONG_TYPE ? "is not a number of its sample kind"
                                                           : kvtel_decode_why(reason));
    return false;
}

/* Adds to a counter, whose column has one number at most. */
static enum kvtel_status add_to_counter(struct kvtel_column *column, const struct kvtel_value *number)
{
    union kvtel_number values[1];
    bool is_double = number->kind == KVTEL_VALUE_DOUBLE;
    if (is_double)
        values[0].number = number->number;
    else
        values[0].integer = number->integer;
    const struct kvtel_column more = { .type = is_double ? KVTEL_COLUMN_DOUBLES : KVTEL_COLUMN_INTEGERS,
                                       .count = 1,
                                       .values = values };
    if (kvtel_column_reserve(column, 1, false) != KVTEL_OK)
        return KVTEL_E_NOMEM;
    kvtel_column_add(column, &more);
    return KVTEL_OK;
}

static enum kvtel_status append(const struct sink *sink, const struct kvtel_value *value)
{
    struct kvtel_value number;
    if (!take_number(sink, value, &number))
        return KVTEL_OK;
    if (sink->entry->metric->type == KVTEL_COUNTER)
        return add_to_counter(sink->column, &number);
    if (sink->entry->metric->type == KVTEL_GAUGE)
        sink->column->count = 0;
    return kvtel_decode_number(sink->column, &number);
}

static bool takes_list(enum kvtel_sample_kind kind)
{
    return kind == KVTEL_INC_BY_SUM_U64 || kind == KVTEL_OBSERVE_EACH_F64 || kind == KVTEL_OBSERVE_EACH_U64_AS_F64;
}

static enum kvtel_status find_column(struct kvtel_content *content, const struct kvtel_described *entry,
                                     struct kvtel_column **column)
{
    size_t size = strlen(entry->metric->name);
    struct kvtel_column_set *set = kvtel_content_find_set(content, entry->metric->name, size);
    if (!set)
        set = kvtel_content_add_set(content, entry->metric->name, size);
    if (!set)
        return KVTEL_E_NOMEM;
    set->metric = entry->metric;
    *column = kvtel_column_set_find_labels(set, entry->labels, entry->labels_size, entry->label_count);
    if (!*column)
        *column = kvtel_column_set_add_labels(set, entry->labels, entry->labels_size, entry->label_count);
    return *column ? KVTEL_OK : KVTEL_E_NOMEM;
}

/* Entries may read the same list or map, so what they read is bounded for all of them together: a payload of a few
 * bytes for each value would else fill the memory. Looking through label tuples costs more than reading numbers. */
static bool may_read(struct kvtel_decoder *decoder, const struct kvtel_described *entry,
                     const struct kvtel_value *value)
{
    enum { TUPLE_COST = 8 };
    const size_t cost = value->kind == KVTEL_VALUE_MAP     ? (size_t)TUPLE_COST * value->size
                        : value->kind == KVTEL_VALUE_ARRAY ? value->size
                                                           : 1;
    if (cost <= decoder->described_left) {
        decoder->described_left -= cost;
        return true;
    }
    kvtel_decode_refuse(decoder, KVTEL_REFUSED_DESCRIPTOR, 1, entry->metric->name,
                        "is left out: its descriptor reads more values than one payload can have");
    return false;
}

static enum kvtel_status read_entry(struct kvtel_decoder *decoder, const struct kvtel_described *entry,
                                    const struct kvtel_value *value, struct kvtel_content *content)
{
    const struct kvtel_value *whole = value;
    bool several;
    if (!may_read(decoder, entry, value))
        return KVTEL_OK;
    enum kvtel_status status = unwrap(&decoder->stats->arena, &value, &several);
    if (status != KVTEL_OK)
        return status;
    bool is_list = value && value->kind == KVTEL_VALUE_ARRAY;
    if (!value || (is_list && !takes_list(entry->kind))) {
        kvtel_decode_refuse(decoder, several ? KVTEL_REFUSED_LABEL_COUNT : KVTEL_REFUSED_WRONG_TYPE, 1,
                            entry->metric->name,
                            several ? "has several label sets where its descriptor reads one"
                                    : "is not what its descriptor says that it is");
        return KVTEL_OK;
    }
    enum kvtel_field_kind kind = entry->metric->type == KVTEL_HISTOGRAM ? KVTEL_FIELD_SAMPLES
                                 : entry->metric->type == KVTEL_GAUGE   ? KVTEL_FIELD_LEVEL
                                                                        : KVTEL_FIELD_TOTAL;
    struct sink sink = {
        .decoder = decoder,
        .entry = entry,
        .range = kvtel_number_range(kind, entry->metric->unit),
        .is_whole = entry->kind == KVTEL_INC_BY_U64 || entry->kind == KVTEL_INC_BY_SUM_U64 ||
                    entry->kind == KVTEL_SET_U64 || entry->kind == KVTEL_OBSERVE_EACH_U64_AS_F64,
    };
    if (entry->kind == KVTEL_SET_U64)
        sink.range = kvtel_number_range(KVTEL_FIELD_SAMPLES, KVTEL_UNIT_COUNT);
    if (is_list && value != whole && !may_read(decoder, entry, value)) /* it stood in a map */
        return KVTEL_OK;
    status = find_column(content, entry, &sink.column);
    if (!is_list)
        return status == KVTEL_OK ? append(&sink, value) : status;
    for (uint32_t i = 0; status == KVTEL_OK && i < value->size; i++)
        status = append(&sink, &value->items[i]);
    return status;
}

enum kvtel_status kvtel_decode_described(struct kvtel_decoder *decoder, const struct kvtel_value *payload,
                                         struct kvtel_content *content)
{
    enum kvtel_status status = KVTEL_OK;
    decoder->described_left = KVTEL_VALUE_COUNT;
    for (size_t i = 0; status == KVTEL_OK && i < decoder->descriptor->count; i++) {
        const struct kvtel_described *entry = &decoder->descriptor->entries[i];
        const struct kvtel_value *value = entry->is_definition ? NULL : walk(payload, entry->path);
        if (value && value->kind != KVTEL_VALUE_NIL) /* what a payload lacks has not changed */
            status = read_entry(decoder, entry, value, content);
    }
    return status;
}
