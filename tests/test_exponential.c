/* SPDX-License-Identifier: Apache-2.0 */
/* Exponential buckets from bins, against a model that puts each value into its bucket by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <kvtel/metric.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "histogram/bins.h"
#include "histogram/exponential.h"
#include "support/failing.h"

enum { ROOM = 8192, VALUES = 20000, FINEST = KVTEL_LAYOUT_SCHEMA };

static uint64_t seed = 7;

static double uniform(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return ((double)(seed >> 11) + 0.5) * 0x1p-53;
}

/* 2^(index / 2^schema) as nearest double. long double has 11 more bits. */
static double model_bound(int32_t index, int schema)
{
    return (double)exp2l(ldexpl(index, -schema));
}

/* The index of a value's bucket: the smallest bound that is not below it, found by trying. */
static int32_t model_index(double value, int schema)
{
    int32_t index = (int32_t)ceil(ldexp(log2(value), schema)) - 2;
    while (model_bound(index, schema) < value)
        index++;
    return index;
}

struct family {
    struct kvtel_bins *list;
    const struct kvtel_bins *bins;
    struct kvtel_exponential_bins exponential;
};

static struct family family_from(int32_t first, uint32_t count, const double *explicit_bounds, uint32_t explicit_count)
{
    struct family family = { .list = NULL };
    family.bins = kvtel_bins_get(&family.list, explicit_bounds, explicit_count, first, count);
    assert_non_null(family.bins);
    family.exponential = (struct kvtel_exponential_bins){
        .schema = FINEST,
        .first = family.bins->exponential_first,
        .count = family.bins->exponential_count,
        .bins = family.bins->exponential_bins,
        .zero = family.bins->bounds[0] == 0,
    };
    return family;
}

static struct family family_of(enum kvtel_unit unit, const double *explicit_bounds, uint32_t explicit_count)
{
    int32_t first;
    uint32_t count;
    kvtel_bins_range(unit, &first, &count);
    return family_from(first, count, explicit_bounds, explicit_count);
}

/* A family's bins with values in them, and the values. */
struct data {
    uint64_t bins[ROOM];
    double values[VALUES];
    size_t count;
};

static void add(const struct family *family, struct data *data, double value)
{
    uint64_t bits;
    if (data->count == VALUES || value < 0)
        return;
    memcpy(&bits, &value, sizeof bits);
    data->bins[kvtel_bins_find(family->bins, bits)]++;
    data->values[data->count++] = value;
}

static uint64_t count_of(const struct kvtel_exponential *series, int32_t index)
{
    const int64_t place = (int64_t)index - series->first;
    return place >= 0 && place < (int64_t)series->count ? series->counts[place] : 0;
}

static size_t count_used(const struct kvtel_exponential *series)
{
    size_t used = 0;
    for (size_t i = 0; i < series->count; i++)
        used += series->counts[i] > 0;
    return used;
}

/* Each bucket has the values that the model puts there: the zero bucket all up to its threshold, the outermost ones
 * what is beyond the range. */
static void check(const struct family *family, const struct data *data, const struct kvtel_exponential_plan *plan,
                  const struct kvtel_exponential *series)
{
    int schema = series->schema;
    const struct kvtel_exponential_bins *bins = &family->exponential;
    double lowest = model_bound(bins->first, bins->schema);
    int32_t last = bins->first + (int32_t)bins->count; /* one past the highest bound */
    int32_t outermost = model_index(model_bound(last, bins->schema), schema);
    uint64_t zeros = 0, sum = 0;
    static uint64_t model[2 * ROOM];
    memset(model, 0, sizeof model);
    assert_true(plan->zero_threshold > 0 && plan->zero_threshold == (bins->zero ? 0x1p-128 : lowest));
    for (size_t i = 0; i < data->count; i++) {
        double value = data->values[i];
        if (value <= (bins->zero ? 0 : lowest)) {
            zeros++;
            continue;
        }
        int32_t index = model_index(value < lowest ? lowest : value, schema);
        model[ROOM + (index > outermost ? outermost : index)]++;
    }
    assert_int_equal(series->zero_count, zeros);
    for (int32_t index = -ROOM; index < ROOM; index++)
        if (count_of(series, index) != model[ROOM + index])
            fail_msg("schema %d, bucket %d: %llu, not %llu", schema, index, (unsigned long long)count_of(series, index),
                     (unsigned long long)model[ROOM + index]);
    assert_true(series->count == 0 || (series->counts[0] > 0 && series->counts[series->count - 1] > 0));
    for (size_t i = 0; i < series->count; i++)
        sum += series->counts[i];
    assert_int_equal(sum + zeros, data->count);
}

enum { MARKS = 5 };

/* What is below each mark of the walk. */
static void check_below(const struct data *data, const struct kvtel_exponential_plan *plan,
                        const struct kvtel_exponential *series, uint32_t first)
{
    for (size_t i = 0; i < plan->mark_count; i++) {
        uint64_t below = 0;
        for (uint32_t bin = first; bin <= plan->marks[i]; bin++)
            below += data->bins[bin];
        assert_int_equal(series->below[i], below);
    }
}

/* The same from the counts of parts, which were counted value by value or summed up from bins. */
static void check_parts(const struct family *family, const struct data *data, const struct kvtel_exponential_plan *plan,
                        size_t most, const struct kvtel_exponential *from_bins)
{
    static uint64_t memory[ROOM];
    const uint32_t bins = family->bins->bound_count + 1;
    struct kvtel_parts *parts[2];
    for (int way = 0; way < 2; way++) {
        assert_non_null(parts[way] = calloc(1, kvtel_parts_size(kvtel_parts_needed(family->bins, 0, bins))));
        parts[way]->count = kvtel_parts_needed(family->bins, 0, bins);
    }
    assert_int_equal(parts[0]->count, family->bins->exponential_count + 1);
    for (size_t i = 0; i < data->count; i++)
        parts[0]->counts[kvtel_bins_part(family->bins, kvtel_double_bits(data->values[i]))]++;
    kvtel_parts_sum(parts[1], family->bins, data->bins, 0, bins);
    assert_memory_equal(parts[0]->counts, parts[1]->counts, parts[0]->count * sizeof(uint64_t));
    struct kvtel_exponential series = { .memory = memory };
    kvtel_exponential_fill_parts(plan, parts[0], plan->zero ? data->bins[0] : 0, most, &series);
    assert_int_equal(series.schema, from_bins->schema);
    assert_int_equal(series.zero_count, from_bins->zero_count);
    assert_int_equal(series.count, from_bins->count);
    assert_true(series.count == 0 || series.first == from_bins->first);
    for (size_t i = 0; i < series.count; i++)
        assert_int_equal(series.counts[i], from_bins->counts[i]);
    free(parts[0]);
    free(parts[1]);
}

static void check_schemas(const struct family *family, const struct data *data, size_t most)
{
    uint32_t first = 0, end = family->bins->bound_count + 1;
    while (first < end && data->bins[first] == 0)
        first++;
    while (end > first && data->bins[end - 1] == 0)
        end--;
    const uint32_t last = family->bins->bound_count;
    const uint32_t marks[MARKS] = { 0, first, first + (end - first) / 2, end, last };
    uint64_t below[MARKS];
    for (int schema = KVTEL_SCHEMA_LEAST; schema <= FINEST + 2; schema++) {
        struct kvtel_exponential_plan plan;
        static uint64_t memory[ROOM];
        struct kvtel_exponential series = { .memory = memory, .below = below };
        assert_int_equal(kvtel_exponential_plan_init(&plan, &family->exponential, schema), KVTEL_OK);
        assert_int_equal(plan.schema, schema < FINEST ? schema : FINEST);
        assert_true(plan.count <= plan.room && plan.room <= ROOM);
        plan.marks = marks;
        plan.mark_count = end < last ? MARKS : MARKS - 2;
        kvtel_exponential_fill(&plan, data->bins + first, first, end - first, most, &series);
        check_below(data, &plan, &series, 0);
        const size_t used = count_used(&series);
        assert_true(used <= most || series.schema == KVTEL_SCHEMA_LEAST);
        assert_true(series.schema == plan.schema || used > most / 2);
        check(family, data, &plan, &series);
        /* the same where more bins are given than have values */
        static uint64_t other[ROOM];
        struct kvtel_exponential again = { .memory = other };
        kvtel_exponential_fill(&plan, data->bins, 0, family->bins->bound_count + 1, most, &again);
        check(family, data, &plan, &again);
        check_parts(family, data, &plan, most, &series);
        kvtel_exponential_plan_free(&plan);
    }
}

static const double bounds[] = { 0.001, 0.0011, 0.25, 1, 5, 1e30 };
static const double bounds_with_zero[] = { 0, 1e-9, 1, 3 };

static void check_neighbours(const struct family *family)
{
    static struct data data;
    data = (struct data){ .count = 0 };
    for (uint32_t i = 0; i < family->bins->bound_count; i++) {
        double bound = family->bins->bounds[i];
        add(family, &data, nextafter(bound, 0));
        add(family, &data, bound);
        add(family, &data, nextafter(bound, INFINITY));
    }
    add(family, &data, 0);
    add(family, &data, 5e-324);
    add(family, &data, 1.7976931348623157e308);
    check_schemas(family, &data, SIZE_MAX);
    check_schemas(family, &data, KVTEL_EXPONENTIAL_BUCKETS);
}

static void test_bounds_and_their_neighbours(void **state)
{
    (void)state;
    for (int unit = KVTEL_UNIT_COUNT; unit <= KVTEL_UNIT_RATIO; unit++) {
        for (int zero = 0; zero < 2; zero++) {
            struct family family = zero ? family_of((enum kvtel_unit)unit, bounds_with_zero, 4)
                                        : family_of((enum kvtel_unit)unit, bounds, 6);
            check_neighbours(&family);
            kvtel_bins_free(family.list);
        }
    }
}

/* As a file may have them: the first and the last bound within an octave, and a single bound. */
static void test_ranges_within_octaves(void **state)
{
    (void)state;
    static const struct {
        int32_t first;
        uint32_t count;
    } ranges[] = { { -5, 11 }, { 3, 40 }, { 77, 9 }, { 0, 1 }, { -9, 1 }, { 7, 2 } };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        for (int zero = 0; zero < 2; zero++) {
            struct family family = family_from(ranges[i].first, ranges[i].count, zero ? bounds_with_zero : bounds, 4);
            check_neighbours(&family);
            kvtel_bins_free(family.list);
        }
    }
}

static void test_spread_values(void **state)
{
    (void)state;
    static struct data data;
    struct family family = family_of(KVTEL_UNIT_SECONDS, bounds, 6);
    for (int octaves = 1; octaves <= 64; octaves *= 4) {
        for (size_t most = 1; most <= 160; most = 3 * most + 1) {
            data = (struct data){ .count = 0 };
            for (size_t i = 0; i < VALUES / 10; i++)
                add(&family, &data, 0.004 * exp2(octaves * (uniform() - 0.5)));
            check_schemas(&family, &data, most);
        }
    }
    kvtel_bins_free(family.list);
}

/* The cap is on buckets that have values, as client_golang's is. */
static void test_cap(void **state)
{
    (void)state;
    static struct data data;
    struct family family = family_of(KVTEL_UNIT_SECONDS, bounds, 6);
    for (int i = 1; i <= 161; i++)
        add(&family, &data, model_bound(family.bins->exponential_first + i, FINEST));
    struct kvtel_exponential_plan plan;
    uint64_t memory[ROOM];
    struct kvtel_exponential series = { .memory = memory };
    assert_int_equal(kvtel_exponential_plan_init(&plan, &family.exponential, FINEST), KVTEL_OK);
    kvtel_exponential_fill(&plan, data.bins, 0, family.bins->bound_count + 1, 161, &series);
    assert_int_equal(series.schema, FINEST);
    assert_int_equal(count_used(&series), 161);
    kvtel_exponential_fill(&plan, data.bins, 0, family.bins->bound_count + 1, 160, &series);
    assert_int_equal(series.schema, FINEST - 1);
    assert_int_equal(count_used(&series), 81);
    kvtel_exponential_plan_free(&plan);
    kvtel_bins_free(family.list);
}

/* A unit of whole numbers tells 0 from 1. */
static void test_whole_numbers(void **state)
{
    (void)state;
    static struct data data;
    struct family family = family_of(KVTEL_UNIT_COUNT, NULL, 0);
    data = (struct data){ .count = 0 };
    add(&family, &data, 0);
    for (int i = 0; i < 3; i++)
        add(&family, &data, 1);
    struct kvtel_exponential_plan plan;
    uint64_t memory[ROOM];
    struct kvtel_exponential series = { .memory = memory };
    assert_int_equal(kvtel_exponential_plan_init(&plan, &family.exponential, 3), KVTEL_OK);
    kvtel_exponential_fill(&plan, data.bins, 0, family.bins->bound_count + 1, 160, &series);
    assert_int_equal(series.zero_count, 1);
    assert_int_equal(count_of(&series, 0), 3);
    kvtel_exponential_plan_free(&plan);
    kvtel_bins_free(family.list);
}

static void test_empty(void **state)
{
    (void)state;
    struct family family = family_of(KVTEL_UNIT_BYTES, NULL, 0);
    struct kvtel_exponential_plan plan;
    uint64_t memory[ROOM];
    struct kvtel_exponential series = { .memory = memory };
    assert_int_equal(kvtel_exponential_plan_init(&plan, &family.exponential, 3), KVTEL_OK);
    kvtel_exponential_fill(&plan, NULL, 0, 0, 160, &series);
    assert_int_equal(series.schema, 3);
    assert_int_equal(series.count + series.zero_count, 0);
    const uint64_t zero = 4;
    kvtel_exponential_fill(&plan, &zero, 0, 1, 160, &series);
    assert_int_equal(series.count, 0);
    assert_int_equal(series.zero_count, 4);
    kvtel_exponential_plan_free(&plan);

    fail_allocation(1);
    assert_int_equal(kvtel_exponential_plan_init(&plan, &family.exponential, 3), KVTEL_E_NOMEM);
    assert_true(allocation_did_fail());
    kvtel_bins_free(family.list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_and_their_neighbours),
        cmocka_unit_test(test_ranges_within_octaves),
        cmocka_unit_test(test_spread_values),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_whole_numbers),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
