/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a connector's table: that each name is well-formed, and that each reference leads to an entry of the table. */
#include "connectors/check.h"
#include "base/error.h"
#include "base/metric.h"
#include "connectors/table.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 128, TOGETHER = 16, BOUNDS = 256 };

struct check {
    const struct kvtel_connector *table;
    struct kvtel_error *error;
    struct kvtel_table_place *place;
};

/* Remembers which entry is being checked. */
static void at(const struct check *check, const char *list, ptrdiff_t index)
{
    check->place->list = list;
    check->place->index = (size_t)index;
}

#define FAIL(check, ...) (kvtel_fail((check)->error, KVTEL_E_ARGUMENT, 0, __VA_ARGS__), false)

/* A word that has a meaning in a later version only: whoever sets it counts on what this version does not do. */
static bool are_unused(const struct check *check, const char *what, const char *name, const void *const *reserved,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (reserved[i])
            return FAIL(check, "%s \"%.64s\": reserved[%zu] is not NULL", what, name, i);
    return true;
}
#define ARE_UNUSED(check, what, name, entry) \
    are_unused(check, what, name, (entry)->reserved, sizeof((entry)->reserved) / sizeof((entry)->reserved[0]))

static bool is_typed(const struct check *check)
{
    return check->table->payload_kind == KVTEL_PAYLOAD_TYPED;
}

/* Checks a name: a class name in Python, or a configured one. */
static bool check_name(const struct check *check, const char *name)
{
    size_t size = name ? strlen(name) : 0;
    if (size == 0 || size >= NAME_SIZE)
        return FAIL(check, "a connector's name is empty or has more than %d bytes", NAME_SIZE - 1);
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7F || *c == '"' || *c == '\\')
            return FAIL(check, "the name \"%.64s\" has a space, a quote or a control character", name);
    return true;
}

static bool check_names(const struct check *check)
{
    const struct kvtel_connector_name *names = check->table->names;
    if (!names || !names[0].name)
        return FAIL(check, "the table has no name");
    for (const struct kvtel_connector_name *name = names; name->name; name++) {
        at(check, "names", name - names);
        if (!check_name(check, name->name) || (name->class_name && !check_name(check, name->class_name)))
            return false;
        if (!ARE_UNUSED(check, "the name", name->name, name))
            return false;
        for (const struct kvtel_connector_name *other = names; other != name; other++)
            if (strcmp(other->name, name->name) == 0)
                return FAIL(check, "the name \"%.64s\" stands twice", name->name);
    }
    return true;
}

static const struct kvtel_field *find_field(const struct kvtel_connector *table, const char *key)
{
    for (const struct kvtel_field *field = table->fields; field && field->key; field++)
        if (strcmp(field->key, key) == 0)
            return field;
    return NULL;
}

/* Finds a metric of a typed payload, which is one without fields. */
static const struct kvtel_metric *find_typed(const struct kvtel_connector *table, const char *name)
{
    for (const struct kvtel_metric *metric = table->metrics; metric && metric->name; metric++)
        if (!metric->fields[0] && strcmp(metric->name, name) == 0)
            return metric;
    return NULL;
}

/* Checks a key to which an entry refers. NULL refers to nothing and is valid. */
static bool check_key(const struct check *check, const char *where, const char *key)
{
    if (!key || (is_typed(check) ? find_typed(check->table, key) != NULL : find_field(check->table, key) != NULL))
        return true;
    return FAIL(check, "%.64s names \"%.64s\", which is not a %s of the table", where, key,
                is_typed(check) ? "metric" : "field");
}

static bool check_fields(const struct check *check)
{
    const struct kvtel_connector *table = check->table;
    bool has_fields = table->fields && table->fields[0].key;
    if (has_fields == is_typed(check))
        return FAIL(check, is_typed(check) ? "a table of typed metrics has fields" : "the table has no fields");
    for (const struct kvtel_field *field = table->fields; field && field->key; field++) {
        size_t together = 0;
        at(check, "fields", field - table->fields);
        if (!*field->key)
            return FAIL(check, "a field's key is empty");
        if ((unsigned)field->kind > KVTEL_FIELD_READING || (unsigned)field->unit > KVTEL_UNIT_RATIO)
            return FAIL(check, "the field \"%.64s\" is of no kind, or of no unit", field->key);
        if (field->kind == KVTEL_FIELD_READING && (table->payload_kind != KVTEL_PAYLOAD_COLUMNS || field->row > 0))
            return FAIL(check, "the field \"%.64s\" is a reading, which only columns have, and no row", field->key);
        if (field->kind == KVTEL_FIELD_TEXT && table->payload_kind != KVTEL_PAYLOAD_ROWS)
            return FAIL(check, "the field \"%.64s\" is text, which only rows have", field->key);
        if (!ARE_UNUSED(check, "the field", field->key, field))
            return false;
        for (const struct kvtel_field *other = table->fields; other != field; other++) {
            if (strcmp(other->key, field->key) == 0)
                return FAIL(check, "the field \"%.64s\" stands twice", field->key);
            together += other->row == field->row && field->row > 0;
        }
        if (table->payload_kind == KVTEL_PAYLOAD_COLUMNS && together >= TOGETHER)
            return FAIL(check, "more than %d columns have the row %u", TOGETHER, field->row);
    }
    return true;
}

static bool check_labels(const struct check *check, const struct kvtel_metric *metric)
{
    static const char *const taken[] = { "model_name", "engine", "le", "quantile" };
    size_t count = kvtel_metric_label_count(metric);
    for (size_t i = 0; i < count; i++) {
        const char *label = metric->labels[i];
        if (!kvtel_is_name(label, false) || strncmp(label, "__", 2) == 0)
            return FAIL(check, "the metric \"%.64s\": \"%.64s\" is not a valid name of a label", metric->name, label);
        for (size_t k = 0; k < sizeof(taken) / sizeof(taken[0]); k++)
            if (strcmp(label, taken[k]) == 0)
                return FAIL(check, "the metric \"%.64s\": the label \"%s\" is not its own to give", metric->name,
                            label);
        for (size_t k = 0; k < i; k++)
            if (strcmp(label, metric->labels[k]) == 0)
                return FAIL(check, "the metric \"%.64s\": the label \"%.64s\" stands twice", metric->name, label);
    }
    if (metric->values[0] && count != 1)
        return FAIL(check, "the metric \"%.64s\" has values of its only label, but %zu labels", metric->name, count);
    for (size_t i = 0; metric->values[0] && i < KVTEL_METRIC_FIELDS; i++)
        if (!metric->values[i] != !metric->fields[i] &&
            (check->table->payload_kind == KVTEL_PAYLOAD_COLUMNS || is_typed(check)))
            return FAIL(check, "the metric \"%.64s\" has not as many values as fields", metric->name);
    return true;
}

static bool check_buckets(const struct check *check, const struct kvtel_metric *metric)
{
    const struct kvtel_buckets *buckets = metric->buckets;
    if (!buckets)
        return true;
    if (!ARE_UNUSED(check, "the buckets of the metric", metric->name, buckets))
        return false;
    if (metric->type != KVTEL_HISTOGRAM)
        return FAIL(check, "the metric \"%.64s\" has buckets, but is not a histogram", metric->name);
    if (buckets->count > BOUNDS || (buckets->count > 0 && !buckets->bounds))
        return FAIL(check, "the metric \"%.64s\" has no bounds, or more than %d", metric->name, BOUNDS);
    for (size_t i = 0; i < buckets->count; i++)
        if (!kvtel_is_bound(buckets->bounds[i], i > 0 ? buckets->bounds[i - 1] : -1))
            return FAIL(check, "the metric \"%.64s\": its bounds do not ascend, or are below 0 or not finite",
                        metric->name);
    return true;
}

static bool check_feeds(const struct check *check, const struct kvtel_metric *metric)
{
    if (!metric->fields[0] && !is_typed(check))
        return FAIL(check, "the metric \"%.64s\" is fed by no field", metric->name);
    for (size_t i = 0; i < KVTEL_METRIC_FIELDS && metric->fields[i]; i++) {
        const struct kvtel_field *field = find_field(check->table, metric->fields[i]);
        if (!check_key(check, metric->name, metric->fields[i]))
            return false;
        if (field && field->kind == KVTEL_FIELD_TEXT)
            return FAIL(check, "the metric \"%.64s\" is fed by \"%.64s\", which is text", metric->name, field->key);
    }
    if ((unsigned)metric->input > KVTEL_INPUT_INFO ||
        (metric->input == KVTEL_INPUT_COUNT && metric->type != KVTEL_COUNTER))
        return FAIL(check, "the metric \"%.64s\" takes what its type cannot", metric->name);
    if (metric->input == KVTEL_INPUT_INFO && (metric->type != KVTEL_GAUGE || !check->table->has_info))
        return FAIL(check, "the metric \"%.64s\" is of the payload's info: a gauge, in a table that has it",
                    metric->name);
    return true;
}

static bool check_metrics(const struct check *check)
{
    char name[256], other_name[256];
    for (const struct kvtel_metric *metric = check->table->metrics; metric && metric->name; metric++) {
        at(check, "metrics", metric - check->table->metrics);
        if (!kvtel_is_name(metric->name, true) || strlen(metric->name) >= sizeof(name))
            return FAIL(check, "\"%.64s\" is not a valid name of a metric", metric->name);
        if ((unsigned)metric->type > KVTEL_HISTOGRAM || (unsigned)metric->unit > KVTEL_UNIT_RATIO)
            return FAIL(check, "the metric \"%.64s\" is of no type, or of no unit", metric->name);
        if (!ARE_UNUSED(check, "the metric", metric->name, metric) || !check_labels(check, metric) ||
            !check_buckets(check, metric) || !check_feeds(check, metric))
            return false;
        const char *family = kvtel_metric_family_name(metric, name, sizeof(name));
        for (const struct kvtel_metric *other = check->table->metrics; other != metric; other++)
            if (!kvtel_metric_is_conditional(metric) && !kvtel_metric_is_conditional(other) &&
                strcmp(family, kvtel_metric_family_name(other, other_name, sizeof(other_name))) == 0)
                return FAIL(check, "the metric \"%.64s\" stands twice", metric->name);
    }
    return true;
}

static bool check_reductions(const struct check *check)
{
    for (const struct kvtel_reduction *entry = kvtel_table_log(check->table)->reduce; entry && entry->key; entry++) {
        check->place->in_log = true;
        at(check, "reduce", entry - kvtel_table_log(check->table)->reduce);
        if ((unsigned)entry->kind > KVTEL_REDUCE_MATCHES || entry->digits < 0 || !entry->fields[0])
            return FAIL(check, "the entry \"%.64s\" of the log line is of no kind, or of no field", entry->key);
        if (!ARE_UNUSED(check, "the entry of the log line", entry->key, entry))
            return false;
        if ((entry->kind == KVTEL_REDUCE_MATCHES && !entry->match) ||
            (entry->kind == KVTEL_REDUCE_RATE && !entry->fields[1]))
            return FAIL(check, "the entry \"%.64s\" of the log line lacks what its kind needs", entry->key);
        for (size_t i = 0; i < KVTEL_METRIC_FIELDS; i++)
            if (!check_key(check, entry->key, entry->fields[i]))
                return false;
    }
    check->place->in_log = false;
    return true;
}

static bool check_flows(const struct check *check)
{
    bool by_operation =
        check->table->payload_kind == KVTEL_PAYLOAD_ROWS || check->table->payload_kind == KVTEL_PAYLOAD_COUNTS;
    for (const struct kvtel_flow *flow = check->table->flows; flow && flow->name; flow++) {
        const char *const keys[] = { flow->time,  flow->post,    flow->bytes,  flow->sizes, flow->descriptors,
                                     flow->count, flow->started, flow->failed, flow->status };
        at(check, "flows", flow - check->table->flows);
        if (!*flow->name || (strcmp(flow->name, "*") == 0) != by_operation)
            return FAIL(check, "the flow \"%.64s\": \"*\" is the flow of each operation, and of nothing else",
                        flow->name);
        if (!ARE_UNUSED(check, "the flow", flow->name, flow))
            return false;
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            if (!check_key(check, flow->name, keys[i]))
                return false;
    }
    for (const struct kvtel_failure_field *entry = check->table->failures; entry && entry->field; entry++) {
        at(check, "failures", entry - check->table->failures);
        if ((unsigned)entry->failure >= KVTEL_FAILURE_COUNT)
            return FAIL(check, "a failure that \"%.64s\" counts is of no class", entry->field);
        if (!ARE_UNUSED(check, "the failure", entry->field, entry))
            return false;
        if (!check_key(check, kvtel_failure_label(entry->failure), entry->field))
            return false;
    }
    return true;
}

static bool check_keys(const struct check *check)
{
    for (const char *const *key = check->table->content; key && *key; key++) {
        at(check, "content", key - check->table->content);
        if (!check_key(check, "content", *key))
            return false;
    }
    const struct kvtel_log_rules *log = kvtel_table_log(check->table);
    check->place->in_log = true;
    for (const char *const *key = log->hidden; key && *key; key++) {
        at(check, "hidden", key - log->hidden);
        if (!check_key(check, "hidden", *key))
            return false;
    }
    at(check, NULL, 0);
    return check_key(check, "primary", log->primary);
}

static bool check_table(const struct check *check)
{
    const struct kvtel_connector *table = check->table;
    if ((unsigned)table->payload_kind > KVTEL_PAYLOAD_MULTI ||
        (unsigned)kvtel_table_log(table)->arithmetic > KVTEL_EXACT)
        return FAIL(check, "the table is of no kind of payload, or of no arithmetic");
    const char *name = table->names ? table->names[0].name : NULL; /* the table of older payloads has none */
    if (!ARE_UNUSED(check, "the table", name ? name : "", table) ||
        (table->log && !ARE_UNUSED(check, "the log rules of the table", name ? name : "", table->log)))
        return false;
    if (table->payload_kind == KVTEL_PAYLOAD_NONE || table->payload_kind == KVTEL_PAYLOAD_MULTI)
        return true;
    return check_fields(check) && check_metrics(check) && check_reductions(check) && check_flows(check) &&
           check_keys(check);
}

bool kvtel_connector_check_at(const struct kvtel_connector *table, struct kvtel_table_place *place,
                              struct kvtel_error *error)
{
    const struct check check = { table, error, place };
    if (!check_names(&check))
        return false;
    at(&check, NULL, 0);
    if (!check_table(&check))
        return false;
    if (!table->older)
        return true;
    *place = (struct kvtel_table_place){ .is_older = true };
    const struct check older = { table->older, error, place };
    return table->older->older ? FAIL(&older, "the table of an older payload has one of its own") : check_table(&older);
}

bool kvtel_connector_check(const struct kvtel_connector *table, struct kvtel_error *error)
{
    struct kvtel_table_place place = { .list = NULL };
    return kvtel_connector_check_at(table, &place, error);
}
