/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

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
