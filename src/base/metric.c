/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a metric's table. */
#include "base/metric.h"

#include <string.h>

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
    if (metric->type != KVTEL_COUNTER || length < 6 || length >= size || strcmp(metric->name + length - 6, "_total") != 0)
        return metric->name;
    memcpy(out, metric->name, length - 6);
    out[length - 6] = '\0';
    return out;
}

const char *kvtel_metric_type_name(enum kvtel_metric_type type)
{
    return type == KVTEL_COUNTER ? "counter" : type == KVTEL_GAUGE ? "gauge" : "histogram";
}

bool kvtel_is_name(const char *name, bool colons)
{
    if (!name || !*name)
        return false;
    for (const char *c = name; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' || (colons && *c == ':');
        if (!letter && (c == name || *c < '0' || *c > '9'))
            return false;
    }
    return true;
}

bool kvtel_is_bound(double bound, double before)
{
    return bound >= 0 && bound <= __DBL_MAX__ && !__builtin_signbit(bound) && bound > before;
}
