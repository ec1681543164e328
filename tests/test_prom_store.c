/* SPDX-License-Identifier: Apache-2.0 */
/* KVConnectorPromMetrics: the caller's own metric types and those of a store agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "collect/series.h"
#include "support/own_metrics.h"
#include "support/payloads.h"
#include <kvtel/prom.h>
#include <kvtel/snapshot.h>
#include <kvtel/store.h>

/* Golden payloads into the caller's own types and into a store: the same families, series, counts and sums. */
struct both {
    struct own_metrics own;
    struct kvtel_metric_types own_types, store_types;
    struct kvtel_store *store;
    struct kvtel_transfer_config *config;
    struct kvtel_prom *own_prom, *store_prom;
    struct kvtel_stats *stats, *worker;
};

static void feed_both(void *context, const struct kvtel_record *record)
{
    struct both *both = context;
    if (record->kind == KVTEL_RECORD_HEADER) {
        char numbers[16][16];
        const char *values[16][2];
        struct kvtel_engine_labels engines[16];
        assert_true(record->engine_count <= 16);
        for (size_t i = 0; i < record->engine_count; i++) {
            snprintf(numbers[i], sizeof(numbers[i]), "%u", record->engines[i]);
            values[i][0] = record->model_name;
            values[i][1] = numbers[i];
            engines[i] = (struct kvtel_engine_labels){ .engine = record->engines[i], .values = values[i] };
        }
        static const char *const labelnames[] = { "model_name", "engine" };
        struct kvtel_prom_options options = { .config = record->config,
                                              .types = both->own_types,
                                              .labelnames = labelnames,
                                              .label_count = 2,
                                              .engines = engines,
                                              .engine_count = record->engine_count };
        both->config = record->config;
        assert_int_equal(kvtel_prom_create(&options, &both->own_prom), KVTEL_OK);
        options.types = both->store_types;
        assert_int_equal(kvtel_prom_create(&options, &both->store_prom), KVTEL_OK);
        both->stats = kvtel_stats_create(kvtel_transfer_config_connector(both->config), NULL);
        both->worker = kvtel_stats_create(kvtel_transfer_config_connector(both->config), NULL);
    }
    if (record->kind != KVTEL_RECORD_PAYLOADS)
        return;
    for (size_t i = 0; i < record->payload_count; i++) {
        struct kvtel_buffer bytes = { 0 };
        write_value(&bytes, KVTEL_MSGPACK, &record->payloads[i]);
        assert_int_equal(
            kvtel_stats_decode(i ? both->worker : both->stats, KVTEL_MSGPACK, bytes.bytes, bytes.size, NULL), KVTEL_OK);
        assert_int_equal(i ? kvtel_stats_aggregate(both->stats, both->worker) : KVTEL_OK, KVTEL_OK);
        kvtel_buffer_free(&bytes);
    }
    assert_int_equal(kvtel_prom_observe(both->own_prom, both->stats, record->engine), KVTEL_OK);
    assert_int_equal(kvtel_prom_observe(both->store_prom, both->stats, record->engine), KVTEL_OK);
}

static void assert_near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-12 * fabs(b)))
        fail_msg("%.17g is not %.17g", a, b);
}

static void check_series(const struct own_family *own, const struct own_child *child,
                         const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series)
{
    for (size_t k = 0; k < family->label_count; k++)
        assert_string_equal(series->values[k], child->labels[k]);
    if (own->type != KVTEL_HISTOGRAM) {
        assert_near(series->value, child->value);
        return;
    }
    assert_int_equal(series->count, child->count);
    assert_near(series->sum, child->sum);
    uint64_t cumulative = 0, bins = 0;
    size_t bin = 0;
    for (size_t b = 0; b < own->bucket_count; b++) {
        cumulative += child->buckets[b];
        assert_true(family->bounds[family->explicit_bins[b]] == own->bounds[b]);
        for (; bin <= family->explicit_bins[b]; bin++)
            if (bin >= series->first_bin && bin - series->first_bin < series->bin_count)
                bins += series->bins[bin - series->first_bin];
        assert_int_equal(bins, cumulative);
    }
}

static void test_own_types_agree_with_the_store(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(golden_cases); i++) {
        struct both both = { .store = kvtel_store_create(NULL) };
        own_init(&both.own, &both.own_types);
        assert_int_equal(kvtel_store_metric_types(both.store, &both.store_types), KVTEL_OK);
        read_golden(golden_cases[i], KVTEL_MSGPACK, &both, feed_both);
        struct kvtel_snapshot *snapshot = kvtel_snapshot_create();
        assert_int_equal(kvtel_snapshot_add(snapshot, both.store), KVTEL_OK);
        assert_int_equal(kvtel_snapshot_family_count(snapshot), both.own.family_count);
        for (size_t f = 0; f < both.own.family_count; f++) {
            const struct own_family *own = &both.own.families[f];
            const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, f);
            assert_string_equal(family->name, own->name);
            assert_int_equal(family->type, own->type);
            assert_int_equal(family->series_count, own->child_count);
            assert_int_equal(family->explicit_count, own->bucket_count);
            for (size_t c = 0; c < own->child_count; c++)
                check_series(own, &own->children[c], family, &family->series[c]);
        }
        assert_int_equal(both.own.wrong, 0);
        kvtel_snapshot_destroy(snapshot);
        kvtel_prom_destroy(both.own_prom);
        kvtel_prom_destroy(both.store_prom);
        kvtel_stats_destroy(both.stats);
        kvtel_stats_destroy(both.worker);
        kvtel_transfer_config_destroy(both.config);
        kvtel_store_close(both.store);
        free(both.own.families);
    }
}

/* All label sets that are asked for together have room together, or none is made. */
static void room_for_label_sets_of_one_family(void **state)
{
    (void)state;
    struct kvtel_store *store = kvtel_store_create(KVTEL_STORE_OPTIONS(.max_series = 3));
    struct kvtel_metric_types types;
    static const char *const label = "n", *const values[] = { "0", "1", "2", "3" };
    const struct kvtel_family_spec spec = {
        .name = "c", .type = KVTEL_COUNTER, .help = "C.", .labelnames = &label, .label_count = 1
    };
    struct kvtel_store_info info;
    void *family, *child;
    assert_int_equal(kvtel_store_metric_types(store, &types), KVTEL_OK);
    assert_int_equal(types.family(types.context, &spec, &family), KVTEL_OK);
    assert_int_equal(types.child(types.context, family, &values[0], 1, &child), KVTEL_OK);
    struct kvtel_child_spec children[4];
    for (int i = 0; i < 4; i++)
        children[i] = (struct kvtel_child_spec){ .family = family, .values = &values[i], .count = 1 };
    for (int round = 0; round < 2; round++) {
        assert_int_equal(types.room(types.context, children + 1, 2), KVTEL_OK);
        assert_int_equal(types.room(types.context, children, 3), KVTEL_OK); /* one of them is there */
        assert_int_equal(types.room(types.context, children + 1, 3), KVTEL_E_LIMIT);
    }
    kvtel_store_describe(store, &info);
    assert_int_equal(info.series_dropped, 6);
    kvtel_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_for_label_sets_of_one_family),
        cmocka_unit_test(test_own_types_agree_with_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
