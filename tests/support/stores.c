/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "collect/series.h"
#include "support/stores.h"

struct kvtel_store *create_store(uint32_t engine)
{
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.model_name = "m", .engine = engine));
    assert_non_null(store);
    return store;
}

uint32_t make_labelled(struct kvtel_store *store, const char *name, enum kvtel_metric_type type, const char *value)
{
    static const char *const labelnames[] = { "n" };
    const struct kvtel_family_spec spec = {
        .name = name, .type = type, .help = "Help.", .labelnames = labelnames, .label_count = 1
    };
    uint32_t family, series;
    assert_int_equal(kvtel_store_family(store, &spec, &family), KVTEL_OK);
    assert_int_equal(kvtel_store_series(store, family, &value, 1, &series), KVTEL_OK);
    return series;
}

struct kvtel_recorder *create_recorder(struct kvtel_store *store, const char *connector)
{
    struct kvtel_recorder *recorder = kvtel_recorder_create(store, kvtel_connector_find(connector), NULL);
    assert_non_null(recorder);
    return recorder;
}

struct kvtel_snapshot *snapshot_of(const struct kvtel_store *store)
{
    struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
    assert_non_null(snapshot);
    if (store)
        assert_int_equal(kvtel_snapshot_add(snapshot, store), KVTEL_OK);
    return snapshot;
}

const struct kvtel_snapshot_series *find_series(const struct kvtel_snapshot *snapshot, const char *name,
                                                const char *own)
{
    const struct kvtel_snapshot_family *family = kvtel_snapshot_find(snapshot, name);
    assert_non_null(family);
    for (size_t i = 0; i < family->series_count; i++) {
        char joined[256] = "";
        for (size_t k = 2; k < family->label_count; k++) {
            strcat(joined, k > 2 ? "," : "");
            strcat(joined, family->series[i].values[k]);
        }
        if (strcmp(joined, own) == 0)
            return &family->series[i];
    }
    fail_msg("%s has no series {%s}", name, own);
    return NULL;
}

void check_sum(const struct kvtel_snapshot *snapshot, const char *name, const char *own, uint64_t count, double sum)
{
    const struct kvtel_snapshot_series *series = find_series(snapshot, name, own);
    assert_int_equal(series->count, count);
    assert_true(fabs(series->sum - sum) <= 1e-9 * sum);
}

void check_value(const struct kvtel_snapshot *snapshot, const char *name, const char *own, double value)
{
    double found = find_series(snapshot, name, own)->value;
    if (fabs(found - value) > 1e-9 * fabs(value))
        fail_msg("%s{%s} is %g, not %g", name, own, found, value);
}
