/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/parse/shape.h"

static const char *const payloads[] = { "none", "columns", "rows", "counts", "typed", "multi", NULL };
static const char *const kinds[] = { "samples", "events", "level", "total", "text", "reading", NULL };
static const char *const units[] = { "count", "seconds", "bytes", "ratio", NULL };
static const char *const types[] = { "counter", "gauge", "histogram", NULL };
static const char *const inputs[] = { "values", "count", "info", NULL };
static const char *const reductions[] = { "count", "total", "mean", "p90", "rate", "last", "matches", NULL };
static const char *const arithmetics[] = { "numpy", "plain", "exact", NULL };
static const char *const failure_names[] = {
#define X(name, label) label,
    KVTEL_FAILURE_LIST(X)
#undef X
        NULL
};

#define MEMBER(type, key_text, kind_name, member, ...)                                                           \
    {                                                                                                            \
        .key = key_text, .kind = KVTEL_SHAPE_##kind_name, .offset = offsetof(struct type, member), ##__VA_ARGS__ \
    }
#define SHAPE(type, what_text, end_member, list, ...)                                                                \
    {                                                                                                                \
        .what = what_text, .size = sizeof(struct type), .end = offsetof(struct type, end_member), .members = (list), \
        .count = sizeof(list) / sizeof((list)[0]), ##__VA_ARGS__                                                     \
    }

static const struct kvtel_shape_member name_members[] = {
    MEMBER(kvtel_connector_name, "name", TEXT, name, .is_required = true),
    MEMBER(kvtel_connector_name, "class", TEXT, class_name),
};
static const struct kvtel_shape name_shape =
    SHAPE(kvtel_connector_name, "a name", name, name_members, .short_key = "name");

static const struct kvtel_shape_member field_members[] = {
    MEMBER(kvtel_field, "key", TEXT, key, .is_required = true),
    MEMBER(kvtel_field, "kind", ENUM, kind, .names = kinds, .is_required = true),
    MEMBER(kvtel_field, "unit", ENUM, unit, .names = units),
    MEMBER(kvtel_field, "row", UNSIGNED, row),
};
static const struct kvtel_shape field_shape = SHAPE(kvtel_field, "a field", key, field_members);

static const struct kvtel_shape_member condition_members[] = {
    MEMBER(kvtel_condition, "setting", TEXT, setting),
    MEMBER(kvtel_condition, "is", TEXT, is),
    MEMBER(kvtel_condition, "at_least", NUMBER, at_least),
    MEMBER(kvtel_condition, "tier", TEXT, tier),
    MEMBER(kvtel_condition, "cache_metrics", BOOL, cache_metrics),
    MEMBER(kvtel_condition, "not", BOOL, negated),
};
static const struct kvtel_shape condition_shape = SHAPE(kvtel_condition, "a condition", setting, condition_members);

static const struct kvtel_shape_member metric_members[] = {
    MEMBER(kvtel_metric, "name", TEXT, name, .is_required = true),
    MEMBER(kvtel_metric, "type", ENUM, type, .names = types, .is_required = true),
    MEMBER(kvtel_metric, "help", TEXT, help, .is_required = true),
    MEMBER(kvtel_metric, "fields", TEXTS, fields, .count = KVTEL_METRIC_FIELDS),
    MEMBER(kvtel_metric, "input", ENUM, input, .names = inputs),
    MEMBER(kvtel_metric, "labels", TEXTS, labels, .count = KVTEL_METRIC_LABELS),
    MEMBER(kvtel_metric, "values", TEXTS, values, .count = KVTEL_METRIC_FIELDS),
    MEMBER(kvtel_metric, "buckets", BUCKETS, buckets),
    MEMBER(kvtel_metric, "unit", ENUM, unit, .names = units),
    MEMBER(kvtel_metric, "condition", RECORD, condition, .shape = &condition_shape),
};
static const struct kvtel_shape metric_shape = SHAPE(kvtel_metric, "a metric", name, metric_members);

static const struct kvtel_shape_member flow_members[] = {
    MEMBER(kvtel_flow, "name", TEXT, name, .is_required = true),
    MEMBER(kvtel_flow, "time", TEXT, time),
    MEMBER(kvtel_flow, "post", TEXT, post),
    MEMBER(kvtel_flow, "bytes", TEXT, bytes),
    MEMBER(kvtel_flow, "sizes", TEXT, sizes),
    MEMBER(kvtel_flow, "descriptors", TEXT, descriptors),
    MEMBER(kvtel_flow, "count", TEXT, count),
    MEMBER(kvtel_flow, "started", TEXT, started),
    MEMBER(kvtel_flow, "failed", TEXT, failed),
    MEMBER(kvtel_flow, "status", TEXT, status),
};
static const struct kvtel_shape flow_shape = SHAPE(kvtel_flow, "a flow", name, flow_members);

static const struct kvtel_shape_member failure_members[] = {
    MEMBER(kvtel_failure_field, "failure", ENUM, failure, .names = failure_names, .is_required = true),
    MEMBER(kvtel_failure_field, "field", TEXT, field, .is_required = true),
};
static const struct kvtel_shape failure_shape = SHAPE(kvtel_failure_field, "a failure", field, failure_members);

static const struct kvtel_shape_member reduction_members[] = {
    MEMBER(kvtel_reduction, "key", TEXT, key, .is_required = true),
    MEMBER(kvtel_reduction, "kind", ENUM, kind, .names = reductions, .is_required = true),
    MEMBER(kvtel_reduction, "fields", TEXTS, fields, .count = KVTEL_METRIC_FIELDS),
    MEMBER(kvtel_reduction, "scale", NUMBER, scale),
    MEMBER(kvtel_reduction, "digits", INT, digits),
    MEMBER(kvtel_reduction, "always", BOOL, always),
    MEMBER(kvtel_reduction, "finite", BOOL, finite),
    MEMBER(kvtel_reduction, "match", TEXT, match),
};
static const struct kvtel_shape reduction_shape =
    SHAPE(kvtel_reduction, "an entry of the log line", key, reduction_members);

static const struct kvtel_shape_member log_members[] = {
    MEMBER(kvtel_log_rules, "reduce", LIST, reduce, .shape = &reduction_shape),
    MEMBER(kvtel_log_rules, "primary", TEXT, primary),
    MEMBER(kvtel_log_rules, "hidden", KEYS, hidden),
    MEMBER(kvtel_log_rules, "arithmetic", ENUM, arithmetic, .names = arithmetics),
    MEMBER(kvtel_log_rules, "silent_when_empty", BOOL, silent_when_empty),
    MEMBER(kvtel_log_rules, "sorted", BOOL, sorted),
};
static const struct kvtel_shape log_shape = SHAPE(kvtel_log_rules, "the rules of the log line", reduce, log_members);

#define TABLE_MEMBERS                                                                                           \
    MEMBER(kvtel_connector, "payload", ENUM, payload_kind, .names = payloads, .is_required = true),             \
        MEMBER(kvtel_connector, "fields", LIST, fields, .shape = &field_shape),                                 \
        MEMBER(kvtel_connector, "metrics", LIST, metrics, .shape = &metric_shape),                              \
        MEMBER(kvtel_connector, "flows", LIST, flows, .shape = &flow_shape),                                    \
        MEMBER(kvtel_connector, "failures", LIST, failures, .shape = &failure_shape),                           \
        MEMBER(kvtel_connector, "content", KEYS, content), MEMBER(kvtel_connector, "has_info", BOOL, has_info), \
        MEMBER(kvtel_connector, "log", RECORD, log, .shape = &log_shape)

static const struct kvtel_shape_member older_members[] = { TABLE_MEMBERS };
const struct kvtel_shape kvtel_shape_older =
    SHAPE(kvtel_connector, "the table of older payloads", names, older_members);

static const struct kvtel_shape_member connector_members[] = {
    MEMBER(kvtel_connector, "names", LIST, names, .shape = &name_shape, .is_required = true),
    TABLE_MEMBERS,
    MEMBER(kvtel_connector, "older", RECORD, older, .shape = &kvtel_shape_older),
};
const struct kvtel_shape kvtel_shape_connector = SHAPE(kvtel_connector, "a connector", names, connector_members);
