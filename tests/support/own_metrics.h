/* SPDX-License-Identifier: Apache-2.0 */
/* A caller's own metric types, for tests: plain arrays, with explicit buckets only. Include after cmocka.h. */
#ifndef KVTEL_TEST_OWN_METRICS_H
#define KVTEL_TEST_OWN_METRICS_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kvtel/prom.h>

enum { OWN_FAMILIES = 64, OWN_CHILDREN = 64, OWN_BUCKETS = 40, OWN_LABELS = 8, OWN_TEXT = 128 };

struct own_child {
    const struct own_family *family;
    char labels[OWN_LABELS][OWN_TEXT];
    size_t label_count;
    double value, sum;
    uint64_t count, buckets[OWN_BUCKETS + 1];
};

struct own_family {
    struct own_metrics *metrics;
    char name[128];
    enum kvtel_metric_type type;
    size_t label_count, bucket_count;
    double bounds[OWN_BUCKETS];
    struct own_child children[OWN_CHILDREN];
    size_t child_count;
};

struct own_metrics {
    struct own_family *families;
    size_t family_count, child_limit;
    unsigned wrong;    /* calls that the seam promises not to make */
    const char *taken; /* a family that another definition has */
};

static enum kvtel_status own_make_family(void *context, const struct kvtel_family_spec *spec, void **family)
{
    struct own_metrics *own = context;
    if (own->taken && strcmp(spec->name, own->taken) == 0)
        return KVTEL_E_MISMATCH;
    for (size_t i = 0; i < own->family_count; i++) {
        if (strcmp(own->families[i].name, spec->name) == 0) {
            *family = &own->families[i];
            return KVTEL_OK;
        }
    }
    assert_true(own->family_count < OWN_FAMILIES);
    struct own_family *made = &own->families[own->family_count++];
    made->metrics = own;
    snprintf(made->name, sizeof(made->name), "%s", spec->name);
    made->type = spec->type;
    made->label_count = spec->label_count;
    made->bucket_count = spec->buckets ? spec->buckets->count : 0;
    assert_true(made->bucket_count <= OWN_BUCKETS && spec->label_count <= OWN_LABELS);
    assert_int_equal(spec->buckets != NULL, spec->type == KVTEL_HISTOGRAM);
    assert_string_equal(spec->labelnames[0], "model_name");
    assert_non_null(spec->help);
    for (size_t i = 0; i < made->bucket_count; i++)
        made->bounds[i] = spec->buckets->bounds[i];
    *family = made;
    return KVTEL_OK;
}

static enum kvtel_status own_make_child(void *context, void *family, const char *const *values, size_t count,
                                        void **child)
{
    struct own_metrics *own = context;
    struct own_family *of = family;
    assert_int_equal(count, of->label_count);
    for (size_t i = 0; i < of->child_count; i++) {
        bool same = true;
        for (size_t k = 0; k < count; k++)
            same &= strcmp(of->children[i].labels[k], values[k]) == 0;
        if (same) {
            *child = &of->children[i];
            return KVTEL_OK;
        }
    }
    if (of->child_count == own->child_limit)
        return KVTEL_E_LIMIT;
    struct own_child *made = &of->children[of->child_count++];
    made->family = of;
    made->label_count = count;
    for (size_t k = 0; k < count; k++)
        snprintf(made->labels[k], OWN_TEXT, "%s", values[k]);
    *child = made;
    return KVTEL_OK;
}

static void own_increase(void *context, void *child, double amount)
{
    struct own_child *of = child;
    ((struct own_metrics *)context)->wrong += of->family->type != KVTEL_COUNTER || !(amount >= 0) || !isfinite(amount);
    of->value += amount;
}

static void own_set(void *context, void *child, double value)
{
    struct own_child *of = child;
    ((struct own_metrics *)context)->wrong += of->family->type != KVTEL_GAUGE || !isfinite(value);
    of->value = value;
}

static void own_observe(void *context, void *child, const double *values, size_t count)
{
    struct own_child *of = child;
    ((struct own_metrics *)context)->wrong += of->family->type != KVTEL_HISTOGRAM;
    for (size_t i = 0; i < count; i++) {
        size_t bucket = 0;
        ((struct own_metrics *)context)->wrong += !(values[i] >= 0) || !isfinite(values[i]);
        while (bucket < of->family->bucket_count && values[i] > of->family->bounds[bucket])
            bucket++;
        of->buckets[bucket]++;
        of->count++;
        of->sum += values[i];
    }
}

static void own_init(struct own_metrics *own, struct kvtel_metric_types *types)
{
    *own = (struct own_metrics){ .families = calloc(OWN_FAMILIES, sizeof(struct own_family)),
                                 .child_limit = OWN_CHILDREN };
    assert_non_null(own->families);
    *types = (struct kvtel_metric_types){ .context = own,
                                          .family = own_make_family,
                                          .child = own_make_child,
                                          .increase = own_increase,
                                          .set = own_set,
                                          .observe = own_observe };
}

static inline const struct own_family *own_find(const struct own_metrics *own, const char *name)
{
    for (size_t i = 0; i < own->family_count; i++)
        if (strcmp(own->families[i].name, name) == 0)
            return &own->families[i];
    return NULL;
}

#endif
