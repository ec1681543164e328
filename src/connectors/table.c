/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/table.h"

#include <string.h>

const struct kvtel_log_rules *kvtel_table_log(const struct kvtel_connector *table)
{
    static const struct kvtel_log_rules none = { .reduce = NULL };
    return table->log ? table->log : &none;
}

static bool has_tier(const struct kvtel_transfer_config *config, const char *wanted)
{
    const char *type;
    for (size_t i = 0; (type = kvtel_transfer_config_tier(config, i)); i++)
        if (strcmp(type, wanted) == 0)
            return true;
    return false;
}

static bool holds(const struct kvtel_condition *condition, const struct kvtel_transfer_config *config)
{
    if (condition->setting && condition->is &&
        strcmp(kvtel_transfer_config_text(config, condition->setting, ""), condition->is) != 0)
        return false;
    if (condition->setting && condition->at_least != 0 &&
        !(kvtel_transfer_config_number(config, condition->setting, 0) >= condition->at_least))
        return false;
    return (!condition->tier || has_tier(config, condition->tier)) &&
           (!condition->cache_metrics || kvtel_transfer_config_cache_metrics(config));
}

bool kvtel_metric_is_conditional(const struct kvtel_metric *metric)
{
    return metric->when || metric->condition;
}

bool kvtel_metric_is_exported(const struct kvtel_metric *metric, const struct kvtel_transfer_config *config)
{
    return (!metric->when || metric->when(config)) &&
           (!metric->condition || holds(metric->condition, config) != metric->condition->negated);
}

size_t kvtel_metric_label_count(const struct kvtel_metric *metric)
{
    size_t count = 0;
    while (count < KVTEL_METRIC_LABELS && metric->labels[count])
        count++;
    return count;
}

const char *kvtel_metric_family_name(const struct kvtel_metric *metric, char *out, size_t size)
{
    size_t length = strlen(metric->name);
    if (metric->type != KVTEL_COUNTER || length < 6 || length >= size ||
        strcmp(metric->name + length - 6, "_total") != 0)
        return metric->name;
    memcpy(out, metric->name, length - 6);
    out[length - 6] = '\0';
    return out;
}

const char *kvtel_failure_label(enum kvtel_failure failure)
{
    static const char *const labels[] = {
#define X(name, label) [name] = label,
        KVTEL_FAILURE_LIST(X)
#undef X
    };
    return (size_t)failure < KVTEL_FAILURE_COUNT ? labels[failure] : NULL;
}

size_t kvtel_table_field_count(const struct kvtel_connector *table)
{
    size_t count = 0;
    while (table->fields && table->fields[count].key)
        count++;
    return count;
}

int kvtel_table_field_near(const struct kvtel_connector *table, const char *key, size_t near)
{
    size_t count = kvtel_table_field_count(table);
    for (size_t i = 0; i < count; i++) {
        size_t k = near + i < count ? near + i : (near + i) % count;
        if (strcmp(table->fields[k].key, key) == 0)
            return (int)k;
    }
    return -1;
}

int kvtel_table_field(const struct kvtel_connector *table, const char *key)
{
    /* Compare pointers first: a table uses the same literals everywhere, and the compiler usually stores each once. */
    for (int i = 0; table->fields && table->fields[i].key; i++)
        if (table->fields[i].key == key)
            return i;
    return kvtel_table_field_near(table, key, 0);
}

const struct kvtel_metric *kvtel_table_metric(const struct kvtel_connector *table, const char *name)
{
    for (const struct kvtel_metric *metric = table->metrics; metric && metric->name; metric++)
        if (strcmp(metric->name, name) == 0)
            return metric;
    return NULL;
}
