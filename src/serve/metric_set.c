/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter's own metrics. */
#include "serve/metric_set.h"

#include <stdlib.h>
#include <string.h>

bool metric_set_init(struct metric_set *set)
{
    *set = (struct metric_set){ .store = kvtel_store_create(NULL) };
    if (set->store && kvtel_store_metric_types(set->store, &set->types) == KVTEL_OK)
        return true;
    metric_set_close(set);
    return false;
}

void metric_set_close(struct metric_set *set)
{
    kvtel_store_close(set->store);
    free(set->shown);
    free(set->series);
    *set = (struct metric_set){ 0 };
}

static void *find_series(struct metric_set *set, const struct kvtel_family_spec *spec, const char *label_value)
{
    void *family, *series;
    if (set->types.family(set->types.context, spec, &family) != KVTEL_OK ||
        set->types.child(set->types.context, family, &label_value, spec->label_count, &series) != KVTEL_OK)
        return NULL;
    return series;
}

/* The value to which a counter was last set. NULL: no memory. */
static double *shown_of(struct metric_set *set, void *series)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->series[i] == series)
            return &set->shown[i];
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? set->capacity * 2 : 64;
        void **all = realloc(set->series, capacity * sizeof *all);
        if (all)
            set->series = all;
        double *shown = all ? realloc(set->shown, capacity * sizeof *shown) : NULL;
        if (!shown)
            return NULL;
        set->shown = shown;
        set->capacity = capacity;
    }
    set->series[set->count] = series;
    set->shown[set->count] = 0;
    return &set->shown[set->count++];
}

/* The unit in which the name ends, as names of Prometheus' conventions do. */
static enum kvtel_unit unit_of(const char *name)
{
    static const struct {
        const char *ending;
        enum kvtel_unit unit;
    } units[] = { { "_seconds", KVTEL_UNIT_SECONDS }, { "_bytes", KVTEL_UNIT_BYTES } };
    size_t size = strlen(name);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t ending = strlen(units[i].ending);
        if (size > ending && strcmp(name + size - ending, units[i].ending) == 0)
            return units[i].unit;
    }
    return KVTEL_UNIT_COUNT;
}

void metric_set_gauge(struct metric_set *set, const char *name, const char *help, const char *label,
                      const char *label_value, double value)
{
    const struct kvtel_family_spec spec = { .name = name,
                                            .type = KVTEL_GAUGE,
                                            .help = help,
                                            .labelnames = &label,
                                            .label_count = label != NULL,
                                            .unit = unit_of(name) };
    void *series = find_series(set, &spec, label_value);
    if (series)
        set->types.set(set->types.context, series, value);
}

void metric_set_counter(struct metric_set *set, const char *name, const char *help, const char *label,
                        const char *label_value, double value)
{
    const struct kvtel_family_spec spec = { .name = name,
                                            .type = KVTEL_COUNTER,
                                            .help = help,
                                            .labelnames = &label,
                                            .label_count = label != NULL,
                                            .unit = unit_of(name) };
    void *series = find_series(set, &spec, label_value);
    double *shown = series ? shown_of(set, series) : NULL;
    if (!shown || value < *shown)
        return;
    set->types.increase(set->types.context, series, value - *shown);
    *shown = value;
}
