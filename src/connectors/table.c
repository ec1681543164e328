/* SPDX-License-Identifier: Apache-2.0 */
#include "connectors/table.h"

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
