/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes a payload into columns. Unusable fields, rows or values are refused and counted, and the rest is applied. */
#include "base/diagnostics.h"
#include "base/error.h"
#include "vllm/stats/decode.h"

#include <string.h>

enum { COLUMNS_TOGETHER = 16 };

/* Cuts the columns of a transfer to the length of the shortest. An empty column counts as missing, as in payloads of
 * older versions of vLLM. */
static void align_columns(struct kvtel_decoder *decoder, struct kvtel_column_set *set, unsigned row, uint8_t **all_bad)
{
    const struct kvtel_field *fields = decoder->content.table->fields;
    struct kvtel_column *columns[COLUMNS_TOGETHER];
    uint8_t *bad[COLUMNS_TOGETHER];
    const char *keys[COLUMNS_TOGETHER];
    size_t count = 0, shortest = SIZE_MAX, longest = 0;
    for (size_t i = 0; i < set->column_count && count < COLUMNS_TOGETHER; i++) {
        size_t length = set->columns[i].count;
        if (fields[i].row != row || length == 0)
            continue;
        columns[count] = &set->columns[i];
        bad[count] = all_bad[i];
        keys[count++] = fields[i].key;
        shortest = length < shortest ? length : shortest;
        longest = length > longest ? length : longest;
    }
    if (count == 0)
        return;
    if (shortest != longest)
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_UNEQUAL_COLUMNS, longest - shortest, keys[0],
                            "and the columns beside it are not equally long");
    for (size_t c = 0; c < count; c++)
        columns[c]->count = shortest;
    kvtel_decode_drop_bad_rows(decoder, columns, bad, keys, count);
}

static enum kvtel_status decode_field(struct kvtel_decoder *decoder, struct kvtel_column *column,
                                      const struct kvtel_field *field, const struct kvtel_value *value, uint8_t **bad)
{
    const struct kvtel_number_range range = kvtel_number_range(field->kind, field->unit);
    column->count = 0; /* of two equal keys the last one counts */
    *bad = NULL;
    if (field->kind != KVTEL_FIELD_TOTAL && field->kind != KVTEL_FIELD_READING) {
        if (value->kind != KVTEL_VALUE_ARRAY) {
            kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, field->key, "is not a list");
            return KVTEL_OK;
        }
        column->present = true;
        return kvtel_decode_list(decoder, column, value, &range, bad);
    }
    enum kvtel_refusal reason = kvtel_decode_judge(value, &range);
    if (reason != KVTEL_REFUSAL_COUNT) {
        kvtel_decode_refuse(decoder, reason, 1, field->key,
                            reason == KVTEL_REFUSED_WRONG_TYPE ? "is not a number" : kvtel_decode_why(reason));
        return KVTEL_OK;
    }
    column->present = true;
    return kvtel_decode_number(column, value);
}

/* Decodes fields by key, for COLUMNS and for one operation of COUNTS. */
static enum kvtel_status decode_fields(struct kvtel_decoder *decoder, struct kvtel_column_set *set,
                                       const struct kvtel_value *map)
{
    const struct kvtel_connector *table = decoder->content.table;
    size_t bytes = set->column_count * sizeof(uint8_t *);
    uint8_t **bad = kvtel_arena_alloc(&decoder->stats->arena, bytes + 1);
    if (!bad)
        return KVTEL_E_NOMEM;
    memset(bad, 0, bytes);
    for (uint32_t i = 0; i < map->size; i++) {
        const struct kvtel_value *key = &map->items[2 * i];
        if (kvtel_value_is_text(key, "_metrics_descriptor"))
            continue;
        int field = kvtel_decode_is_name(key) ? kvtel_table_field_near(table, key->text, i) : -1;
        if (field < 0) {
            if (!kvtel_decode_is_described(decoder, key))
                kvtel_decode_refuse(decoder, KVTEL_REFUSED_UNKNOWN_KEY, 1, kvtel_decode_is_name(key) ? key->text : "?",
                                    "is not a field of this connector");
            continue;
        }
        enum kvtel_status status =
            decode_field(decoder, &set->columns[field], &table->fields[field], key + 1, &bad[field]);
        if (status != KVTEL_OK)
            return status;
    }
    for (size_t i = 0; i < set->column_count; i++) {
        const struct kvtel_field *field = &table->fields[i];
        bool seen = false;
        if (field->row == 0) {
            struct kvtel_column *column = &set->columns[i];
            kvtel_decode_drop_bad_rows(decoder, &column, &bad[i], &field->key, 1);
            continue;
        }
        for (size_t k = 0; k < i && !seen; k++)
            seen = table->fields[k].row == field->row;
        if (!seen)
            align_columns(decoder, set, field->row, bad);
    }
    return KVTEL_OK;
}

/* Decodes one row of an operation: all fields or none. `found`: room for one value of each field. */
static enum kvtel_status decode_row(struct kvtel_decoder *decoder, struct kvtel_column_set *set,
                                    const struct kvtel_value *row, const struct kvtel_value **found)
{
    const struct kvtel_connector *table = decoder->content.table;
    if (row->kind != KVTEL_VALUE_MAP) {
        kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, set->name, "has a row that is not a map");
        return KVTEL_OK;
    }
    for (size_t i = 0; i < set->column_count; i++)
        found[i] = NULL;
    for (uint32_t i = 0; i < row->size; i++) {
        const struct kvtel_value *key = &row->items[2 * i];
        int field = kvtel_decode_is_name(key) ? kvtel_table_field_near(table, key->text, i) : -1;
        if (field < 0)
            kvtel_decode_refuse(decoder, KVTEL_REFUSED_UNKNOWN_KEY, 1, kvtel_decode_is_name(key) ? key->text : "?",
                                "is not a field of this connector");
        else
            found[field] = key + 1;
    }
    for (size_t i = 0; i < set->column_count; i++) {
        const struct kvtel_field *field = &table->fields[i];
        const struct kvtel_number_range range = kvtel_number_range(field->kind, field->unit);
        enum kvtel_refusal reason = !found[i]                         ? KVTEL_REFUSED_UNEQUAL_COLUMNS
                                    : field->kind != KVTEL_FIELD_TEXT ? kvtel_decode_judge(found[i], &range)
                                                                      : kvtel_decode_judge_text(found[i]);
        if (reason != KVTEL_REFUSAL_COUNT) {
            kvtel_decode_refuse(
                decoder, reason, 1, field->key,
                found[i] ? (reason == KVTEL_REFUSED_WRONG_TYPE ? "is of the wrong type" : kvtel_decode_why(reason))
                         : "is missing in a row");
            return KVTEL_OK;
        }
    }
    struct kvtel_value text_id = { .kind = KVTEL_VALUE_INTEGER };
    for (size_t i = 0; i < set->column_count; i++) {
        size_t id = 0;
        enum kvtel_status status;
        if (table->fields[i].kind == KVTEL_FIELD_TEXT) {
            status = kvtel_content_text(&decoder->content, found[i]->text, found[i]->size, &id);
            if (status == KVTEL_E_LIMIT) {
                kvtel_decode_refuse(decoder, KVTEL_REFUSED_SERIES_LIMIT, 1, table->fields[i].key,
                                    "has too many different texts");
                for (size_t k = 0; k < i; k++)
                    set->columns[k].count--;
                return KVTEL_OK;
            }
            if (status != KVTEL_OK)
                return status;
            text_id.integer = (int64_t)id;
            found[i] = &text_id;
        }
        status = kvtel_decode_number(&set->columns[i], found[i]);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

/* Whether a value can be what an operation has: a list of rows, or a map of counts. */
static bool is_operation(const struct kvtel_value *value, bool rows)
{
    if (!rows)
        return value->kind == KVTEL_VALUE_MAP;
    return value->kind == KVTEL_VALUE_ARRAY && (value->size == 0 || value->items[0].kind == KVTEL_VALUE_MAP);
}

/* Decodes the kinds ROWS and COUNTS. */
static enum kvtel_status decode_operations(struct kvtel_decoder *decoder, const struct kvtel_value *map)
{
    bool rows = decoder->content.table->payload_kind == KVTEL_PAYLOAD_ROWS;
    const struct kvtel_value **found =
        kvtel_arena_alloc(&decoder->stats->arena, kvtel_table_field_count(decoder->content.table) * sizeof *found + 1);
    if (!found)
        return KVTEL_E_NOMEM;
    for (uint32_t i = 0; i < map->size; i++) {
        const struct kvtel_value *key = &map->items[2 * i], *value = key + 1;
        if (kvtel_value_is_text(key, "_metrics_descriptor") ||
            (!is_operation(value, rows) && kvtel_decode_is_described(decoder, key)))
            continue;
        if (!kvtel_decode_is_name(key) || value->kind != (rows ? KVTEL_VALUE_ARRAY : KVTEL_VALUE_MAP)) {
            kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, kvtel_decode_is_name(key) ? key->text : "?",
                                rows ? "is not a list of rows" : "is not a map of counts");
            continue;
        }
        if (kvtel_decode_judge_text(key) != KVTEL_REFUSAL_COUNT) {
            kvtel_decode_refuse(decoder, KVTEL_REFUSED_LONG_TEXT, 1, key->text,
                                kvtel_decode_why(KVTEL_REFUSED_LONG_TEXT));
            continue;
        }
        struct kvtel_column_set *set = kvtel_content_find_set(&decoder->content, key->text, key->size);
        if (!set && decoder->content.set_count >= KVTEL_STATS_NAME_LIMIT) {
            kvtel_decode_refuse(decoder, KVTEL_REFUSED_SERIES_LIMIT, 1, "operations", "has too many different names");
            continue;
        }
        for (size_t c = 0; set && c < set->column_count; c++) {
            kvtel_column_clear(&set->columns[c]); /* of two equal operations the last one counts */
            set->columns[c].present = false;
        }
        if (!set)
            set = kvtel_content_add_set(&decoder->content, key->text, key->size);
        if (!set)
            return KVTEL_E_NOMEM;
        enum kvtel_status status = KVTEL_OK;
        if (!rows)
            status = decode_fields(decoder, set, value);
        for (uint32_t r = 0; rows && status == KVTEL_OK && r < value->size; r++)
            status = decode_row(decoder, set, &value->items[r], found);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

/* Says that a child's descriptor names another connector; the child's key is what counts. */
static void check_identity(const struct kvtel_decoder *decoder, const char *name, const struct kvtel_value *payload)
{
    const struct kvtel_value *descriptor = kvtel_value_get(payload, "_metrics_descriptor"),
                             *id = descriptor ? kvtel_value_get(descriptor, "connector_id") : NULL;
    if (id && kvtel_decode_is_name(id) && strcmp(id->text, name) != 0)
        kvtel_diagnostics_refuse(decoder->stats->diagnostics, KVTEL_REFUSED_DESCRIPTOR, 0, id->text,
                                 "MultiConnector: the descriptor of the child %.64s says that it is of \"%.64s\"", name,
                                 id->text);
}

bool kvtel_payload_is_described(const char *name, const struct kvtel_value *payload)
{
    return payload->kind == KVTEL_VALUE_MAP &&
           (kvtel_decode_is_typed(payload) || kvtel_value_get(payload, "_metrics_descriptor") ||
            kvtel_learned_described(name));
}

/* Decodes a payload into an open table that nobody else has. `taught` out: it has metrics now. */
static enum kvtel_status try_payload(const char *name, const struct kvtel_value *payload,
                                     struct kvtel_diagnostics *diagnostics, bool *taught)
{
    struct kvtel_learned *open = kvtel_learned_make(name, NULL);
    struct kvtel_stats *stats = open ? kvtel_stats_create(&open->table, diagnostics) : NULL;
    enum kvtel_status status = stats ? kvtel_stats_decode_value(stats, payload, NULL) : KVTEL_E_NOMEM;
    *taught = status == KVTEL_OK && atomic_load(&open->metric_count) > 0;
    kvtel_stats_destroy(stats);
    kvtel_learned_free(open);
    return status;
}

enum kvtel_status kvtel_payload_table(const char *name, const struct kvtel_value *payload,
                                      struct kvtel_diagnostics *diagnostics, const struct kvtel_connector **table)
{
    const struct kvtel_connector *known = kvtel_connector_find(name);
    const struct kvtel_learned *open = kvtel_learned_find(name);
    bool taught;
    *table = known && known->payload_kind != KVTEL_PAYLOAD_NONE ? known : open ? &open->table : NULL;
    if (*table)
        return KVTEL_OK;
    enum kvtel_status status = try_payload(name, payload, NULL, &taught);
    if (status == KVTEL_E_NOMEM)
        return status;
    if (!taught) /* once more, to count why */
        return try_payload(name, payload, diagnostics, &taught);
    *table = kvtel_connector_open(name);
    if (*table)
        return KVTEL_OK;
    kvtel_diagnostics_refuse(diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1, name,
                             "connector \"%.64s\": there are %d connectors without a table already; its payloads are "
                             "not used",
                             name, KVTEL_LEARNED_TABLES);
    return KVTEL_E_LIMIT;
}

/* The table of a child; an open one if it has none, or none with stats, and its payload describes itself. `table` out;
 * NULL: none, which was counted, or the payload has nothing to take. Status: KVTEL_OK, KVTEL_E_NOMEM. */
static enum kvtel_status table_of_child(const struct kvtel_decoder *decoder, const struct kvtel_value *key,
                                        const struct kvtel_value *payload, const struct kvtel_connector **table)
{
    bool is_name = kvtel_decode_is_name(key);
    const struct kvtel_connector *known = is_name ? kvtel_connector_find(key->text) : NULL;
    *table = known;
    if (known && known->payload_kind != KVTEL_PAYLOAD_NONE)
        return KVTEL_OK;
    const struct kvtel_value *inner = kvtel_value_get(payload, "data");
    const struct kvtel_value *described =
        is_name && kvtel_payload_is_described(key->text, payload)                                ? payload
        : is_name && inner && payload->size == 1 && kvtel_payload_is_described(key->text, inner) ? inner
                                                                                                 : NULL;
    *table = NULL;
    if (!described) {
        kvtel_decode_refuse(decoder, known ? KVTEL_REFUSED_NO_STATS : KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1,
                            is_name ? key->text : "?",
                            known ? "is a connector without stats" : "is not a known connector");
        return KVTEL_OK;
    }
    enum kvtel_status status = kvtel_payload_table(key->text, described, decoder->stats->diagnostics, table);
    return status == KVTEL_E_NOMEM ? status : KVTEL_OK;
}

static enum kvtel_status decode_children(struct kvtel_decoder *decoder, const struct kvtel_value *map)
{
    for (uint32_t i = 0; i < map->size; i++) {
        const struct kvtel_value *key = &map->items[2 * i], *payload = key + 1;
        if (kvtel_value_is_text(key, "_metrics_descriptor"))
            continue;
        const struct kvtel_connector *connector;
        enum kvtel_status status = table_of_child(decoder, key, payload, &connector);
        if (status != KVTEL_OK)
            return status;
        if (!connector)
            continue;
        const struct kvtel_value *inner = payload->kind == KVTEL_VALUE_MAP ? kvtel_value_get(payload, "data") : NULL;
        bool wrapped = inner && inner->kind == KVTEL_VALUE_MAP && !kvtel_value_get(payload, "types") &&
                       (!kvtel_learned_of(connector) || payload->size == 1);
        if (payload->kind != KVTEL_VALUE_MAP) {
            kvtel_decode_refuse(decoder, KVTEL_REFUSED_WRONG_TYPE, 1, key->text, "is not a map");
            continue;
        }
        check_identity(decoder, key->text, payload);
        size_t before = decoder->content.child_count;
        struct kvtel_child *child = kvtel_content_find_child(&decoder->content, key->text);
        if (!child)
            child = kvtel_content_add_child(&decoder->content, key->text, connector, decoder->stats->diagnostics);
        if (!child)
            return KVTEL_E_NOMEM;
        child->wrapped = wrapped;
        child->stats->sample_limit = decoder->stats->sample_limit;
        status = kvtel_stats_decode_value(child->stats, wrapped ? inner : payload, NULL);
        if (status == KVTEL_E_UNKNOWN) /* which was counted */
            kvtel_content_truncate_children(&decoder->content, before);
        else if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

static const struct kvtel_connector *table_of(const struct kvtel_connector *connector,
                                              const struct kvtel_value *payload)
{
    if (!connector->older || payload->size == 0 || kvtel_value_get(payload, "data") ||
        kvtel_value_get(payload, "types") || kvtel_value_get(payload, "info"))
        return connector;
    return connector->older;
}

static enum kvtel_status decode_kind(struct kvtel_decoder *decoder, const struct kvtel_value *payload)
{
    switch (decoder->content.table->payload_kind) {
    case KVTEL_PAYLOAD_COLUMNS:
        return decode_fields(decoder, &decoder->content.sets[0], payload);
    case KVTEL_PAYLOAD_ROWS:
    case KVTEL_PAYLOAD_COUNTS:
        return decode_operations(decoder, payload);
    case KVTEL_PAYLOAD_TYPED:
        return kvtel_decode_typed(decoder, payload);
    case KVTEL_PAYLOAD_MULTI:
        return decode_children(decoder, payload);
    case KVTEL_PAYLOAD_NONE:
        break;
    }
    return KVTEL_E_NO_STATS;
}

/* Returns an empty content: the one that was replaced last, if it has the same table. */
static enum kvtel_status take_spare(struct kvtel_stats *stats, const struct kvtel_connector *table,
                                    struct kvtel_content *content)
{
    bool fits = stats->spare.table == table;
    if (fits)
        *content = stats->spare;
    else
        kvtel_content_free(&stats->spare);
    memset(&stats->spare, 0, sizeof stats->spare);
    return fits ? KVTEL_OK : kvtel_content_init(content, table, false);
}

/* Whether anything of a payload can be used: not if its connector has no table and it does not describe itself. */
static bool is_usable(const struct kvtel_decoder *decoder, const struct kvtel_value *payload)
{
    const char *name = decoder->stats->connector->names[0].name;
    if (!kvtel_learned_of(decoder->stats->connector) || kvtel_decode_is_typed(payload) ||
        (decoder->descriptor && decoder->descriptor->count > 0))
        return true;
    if (kvtel_connector_find(name))
        kvtel_diagnostics_refuse(decoder->stats->diagnostics, KVTEL_REFUSED_NO_STATS, 1, name,
                                 "%.64s: this connector has no stats; its payloads are not used", name);
    else
        kvtel_diagnostics_refuse(
            decoder->stats->diagnostics, KVTEL_REFUSED_UNKNOWN_CONNECTOR, 1, name,
            "unknown connector \"%.64s\": its payloads do not describe themselves and are not used", name);
    return false;
}

static size_t count_samples(const struct kvtel_content *content)
{
    size_t samples = 0;
    for (size_t g = 0; g < content->set_count; g++)
        for (size_t c = 0; c < content->sets[g].column_count; c++)
            if (kvtel_kind_is_samples(kvtel_column_kind(content, &content->sets[g], c)))
                samples += content->sets[g].columns[c].count;
    return samples;
}

/* Decodes what a descriptor describes: into the content itself, or beside that of a table into a child. */
static enum kvtel_status decode_described(struct kvtel_decoder *decoder, const struct kvtel_value *payload)
{
    if (!decoder->descriptor || decoder->descriptor->count == 0)
        return KVTEL_OK;
    if (&decoder->open->table == decoder->content.table)
        return kvtel_decode_described(decoder, payload, &decoder->content);
    struct kvtel_child *child = kvtel_content_add_child(&decoder->content, decoder->open->names[0].name,
                                                        &decoder->open->table, decoder->stats->diagnostics);
    if (!child)
        return KVTEL_E_NOMEM;
    child->stats->sample_limit = decoder->stats->sample_limit;
    enum kvtel_status status = kvtel_decode_described(decoder, payload, &child->stats->content);
    child->stats->content.samples = count_samples(&child->stats->content);
    return status;
}

enum kvtel_status kvtel_stats_decode_value(struct kvtel_stats *stats, const struct kvtel_value *payload,
                                           struct kvtel_error *error)
{
    if (payload->kind != KVTEL_VALUE_MAP)
        return kvtel_fail(error, KVTEL_E_TYPE, 0, "the payload is not a map");
    struct kvtel_decoder decoder = { .stats = stats };
    enum kvtel_status status = kvtel_decode_descriptor(&decoder, payload);
    if (status == KVTEL_OK && !is_usable(&decoder, payload))
        return kvtel_fail(error, KVTEL_E_UNKNOWN, 0,
                          "the connector is unknown, and the payload does not describe itself");
    if (status == KVTEL_OK)
        status = take_spare(stats, table_of(stats->connector, payload), &decoder.content);
    if (status == KVTEL_OK)
        status = decode_kind(&decoder, payload);
    if (status == KVTEL_OK)
        status = decode_described(&decoder, payload);
    if (status != KVTEL_OK) {
        kvtel_content_free(&decoder.content);
        return kvtel_fail(error, status, 0, "%s", kvtel_status_text(status));
    }
    decoder.content.samples += count_samples(&decoder.content);
    stats->spare = stats->content;
    stats->content = decoder.content;
    kvtel_content_clear(&stats->spare, false);
    return KVTEL_OK;
}

enum kvtel_status kvtel_stats_decode(struct kvtel_stats *stats, enum kvtel_format format, const void *bytes,
                                     size_t size, struct kvtel_error *error)
{
    struct kvtel_value payload;
    kvtel_arena_reset(&stats->arena);
    enum kvtel_status status = kvtel_value_decode(format, bytes, size, &stats->arena, &payload, error);
    if (status != KVTEL_OK)
        return status;
    status = kvtel_stats_decode_value(stats, &payload, error);
    if (status != KVTEL_OK && error && format == KVTEL_JSON)
        kvtel_error_place(error, bytes, size);
    return status;
}
