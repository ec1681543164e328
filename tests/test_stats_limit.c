/* SPDX-License-Identifier: Apache-2.0 */
/* The limit of samples: counts and sums stay exact, quantiles are within 1 %, and memory is bounded for any input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>
#include <math.h>

#include "support/payloads.h"

/* Memory that the library holds, counted: the build sends its calls here. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

static size_t held, peak;

static void *count_in(void *memory)
{
    held += malloc_usable_size(memory);
    peak = held > peak ? held : peak;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return count_in(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return count_in(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    size_t before = malloc_usable_size(memory);
    void *grown = __real_realloc(memory, size);
    held -= grown ? before : 0;
    return grown ? count_in(grown) : NULL;
}

void __wrap_free(void *memory)
{
    held -= malloc_usable_size(memory);
    __real_free(memory);
}

static uint64_t random_state = 1;

/* Uniform in (0, 1). */
static double next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(random_state >> 11) + 0.5) * 0x1p-53;
}

static double log_normal(void)
{
    return exp(sqrt(-2 * log(next_random())) * cos(6.283185307179586 * next_random()) * 1.5 - 6);
}

static double bimodal(void)
{
    return next_random() < 0.5 ? 0.001 * (1 + 0.01 * next_random()) : 0.5 * (1 + 0.01 * next_random());
}

static double constant(void)
{
    return 0.0123;
}

static double uniform(void)
{
    return next_random();
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double number_of(const struct kvtel_reduced *reduced, const char *key)
{
    const struct kvtel_reduced_entry *entry = kvtel_reduced_find(reduced, key);
    assert_non_null(entry);
    return entry->kind == KVTEL_REDUCED_INTEGER ? (double)entry->integer : entry->number;
}

static void assert_close(double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fabs(wanted)))
        fail_msg("%.17g is not within %g of %.17g", got, relative, wanted);
}

/* Payloads of 100 transfers each are aggregated past a limit of 1,000 samples. */
static void check_shape(double (*draw)(void))
{
    enum { PAYLOADS = 200, EACH = 100, COUNT = PAYLOADS * EACH };
    static double seconds[COUNT];
    struct kvtel_buffer payload = { 0 };
    struct kvtel_stats *sum = make_stats("NixlConnector", NULL), *one = make_stats("NixlConnector", NULL);
    uint64_t bytes = 0;
    long double total = 0;
    kvtel_stats_set_sample_limit(sum, 1000);
    for (size_t p = 0; p < PAYLOADS; p++) {
        payload.size = 0;
        assert_int_equal(kvtel_buffer_append_text(&payload, "{\"transfer_duration\": ["), KVTEL_OK);
        for (size_t i = 0; i < EACH; i++) {
            seconds[p * EACH + i] = draw();
            total += seconds[p * EACH + i];
            assert_int_equal(kvtel_buffer_printf(&payload, "%s%.17g", i ? ", " : "", seconds[p * EACH + i]), KVTEL_OK);
        }
        assert_int_equal(kvtel_buffer_append_text(&payload, "], \"bytes_transferred\": ["), KVTEL_OK);
        for (size_t i = 0; i < EACH; i++) {
            uint64_t size = (uint64_t)(next_random() * 1e9);
            bytes += size;
            assert_int_equal(kvtel_buffer_printf(&payload, "%s%llu", i ? ", " : "", (unsigned long long)size),
                             KVTEL_OK);
        }
        assert_int_equal(kvtel_buffer_append_text(&payload, "], \"num_failed_handshakes\": [1, 1.0]}"), KVTEL_OK);
        assert_int_equal(kvtel_stats_decode(one, KVTEL_JSON, payload.bytes, payload.size, NULL), KVTEL_OK);
        assert_int_equal(kvtel_stats_aggregate(sum, one), KVTEL_OK);
        assert_false(kvtel_stats_is_summarised(one));
    }
    assert_true(kvtel_stats_is_summarised(sum));
    qsort(seconds, COUNT, sizeof *seconds, compare);
    struct kvtel_reduced *reduced;
    assert_int_equal(kvtel_stats_reduce(sum, &reduced), KVTEL_OK);
    assert_true(number_of(reduced, "Num successful transfers") == COUNT);
    assert_true(number_of(reduced, "Num failed transfers") == 2 * PAYLOADS);
    assert_close(number_of(reduced, "P90 xfer time (ms)"), seconds[(size_t)(0.9 * (COUNT - 1))] * 1e3, 0.01);
    double mean = (double)(total / COUNT) * 1e3;
    assert_true(fabs(number_of(reduced, "Avg xfer time (ms)") - mean) <=
                0.000501 + 1e-12 * mean); /* rounded to 3 decimals */
    double rate = (double)bytes / 0x1p20 / (double)total;
    assert_close(number_of(reduced, "Throughput (MB/s)"), rate, 1e-6);
    kvtel_reduced_destroy(reduced);
    kvtel_stats_destroy(sum);
    kvtel_stats_destroy(one);
    kvtel_buffer_free(&payload);
}

static void test_shapes(void **state)
{
    (void)state;
    check_shape(log_normal);
    check_shape(bimodal);
    check_shape(constant);
    check_shape(uniform);
}

/* A sum of integers past 2^53 that a double could not hold, of a TOTAL line. */
static void test_integer_sums(void **state)
{
    (void)state;
    struct kvtel_stats *stats = make_stats("MooncakeStoreConnector", NULL);
    kvtel_stats_set_sample_limit(stats, 10);
    const struct kvtel_transfer transfer = { .duration_ns = 1000000, .bytes = 0x20000000000001, .descriptors = 1 };
    for (int i = 0; i < 100; i++)
        assert_int_equal(kvtel_stats_record_operation(stats, "get", i % 4 ? "ok" : "error", &transfer), KVTEL_OK);
    assert_true(kvtel_stats_is_summarised(stats));
    check_reduced(stats, "{\"get_count\": 100, \"get_avg_ms\": 1.0, \"get_p90_ms\": 1.0, \"get_total_keys\": 100, "
                         "\"get_total_bytes\": 900719925474099300, \"get_failed_keys\": 0, \"get_error_count\": 25}");
    kvtel_stats_destroy(stats);
}

/* Every kind of line: what is summarised says the same counts and sums as what is not. */
static void test_reduce_of_every_kind(void **state)
{
    (void)state;
    static const struct {
        const char *connector, *payload, *reduced;
    } rows[] = {
        { "MooncakeStoreConnector",
          "{\"put\": [{\"duration_seconds\": 0.25, \"num_keys\": 2, \"num_bytes\": 1.5, \"status\": \"error\", "
          "\"num_failed_keys\": "
          "1}, {\"duration_seconds\": 0.25, \"num_keys\": 3, \"num_bytes\": 2, \"status\": \"ok\", "
          "\"num_failed_keys\": 0}], "
          "\"get\": []}",
          "{\"put_count\": 2, \"put_avg_ms\": 250.0, \"put_p90_ms\": 250.0, \"put_total_keys\": 5, "
          "\"put_total_bytes\": 3.5, "
          "\"put_failed_keys\": 1, \"put_error_count\": 1}" },
        { "UMBPStoreConnector", "{\"save\": {\"submitted\": 5, \"completed\": 4, \"failed\": 1, \"num_bytes\": 0.5}}",
          "{\"save_submitted\": 5, \"save_completed\": 4, \"save_failed\": 1, \"save_num_bytes\": 0.5}" },
        { "HiSparseConnector",
          "{\"cache_hits\": [3, 4], \"cache_misses\": [0.5, 1], \"host_to_device_bytes\": [], "
          "\"host_cache_usage_perc\": [0.25, "
          "0.5]}",
          "{\"HiSparse hot-buffer hits\": 7, \"HiSparse hot-buffer misses\": 1.5, \"HiSparse host-to-device bytes\": "
          "0, "
          "\"HiSparse host KV cache usage %\": 50.0}" },
        { "HF3FSKVConnector",
          "{\"save_duration\": [0.5, 0.5], \"load_duration\": [], \"num_failed_save\": 1, \"num_failed_load\": 0, "
          "\"num_transfer_task\": 3}",
          "{\"Num transfers task\": 3, \"Num save task success\": 2, \"Num save task failed\": 1, \"Num load task "
          "success\": 0, "
          "\"Num load task failed\": 0, \"Avg save duration (ms)\": 500.0, \"P90 save duration (ms)\": 500.0, "
          "\"Avg load duration (ms)\": 0.0, \"P90 load duration (ms)\": 0.0}" },
        { "LMCacheMPConnector", "{\"lookup_duration_seconds\": [0.001, 0.002]}",
          "{\"LMCache MP lookup count\": 2, \"LMCache MP lookup avg latency (ms)\": 1.5}" },
        { "OffloadingConnector",
          "{\"types\": {\"vllm:kv_offload_load_size\": \"histogram\", \"vllm:kv_offload_load_bytes\": \"counter\", "
          "\"vllm:kv_offload_cpu_cache_usage_perc\": \"gauge\", \"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": "
          "\"histogram\"}, \"data\": {\"vllm:kv_offload_load_size\": {\"[]\": [1, 2]}, \"vllm:kv_offload_load_bytes\": "
          "{\"[]\": "
          "3}, "
          "\"vllm:kv_offload_cpu_cache_usage_perc\": {\"[]\": 0.5}, "
          "\"vllm:kv_offload_tiering_lookup_sync_delay_seconds\": "
          "{\"[\\\"1:fs\\\"]\": [0.5, 1]}}}",
          "{\"vllm:kv_offload_load_size_count\": 2, \"vllm:kv_offload_load_size_sum\": 3, "
          "\"vllm:kv_offload_load_bytes\": 3, "
          "\"vllm:kv_offload_cpu_cache_usage_perc\": 0.5, "
          "\"vllm:kv_offload_tiering_lookup_sync_delay_seconds:('1:fs',)_count\": 2, "
          "\"vllm:kv_offload_tiering_lookup_sync_delay_seconds:('1:fs',)_sum\": 1.5}" },
        { "MultiConnector", "{\"LMCacheMPConnector\": {\"lookup_duration_seconds\": [0.5]}}",
          "{\"LMCacheMPConnector\": {\"LMCache MP lookup count\": 1, \"LMCache MP lookup avg latency (ms)\": 500.0}}" },
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kvtel_stats *stats = stats_of(rows[i].connector, rows[i].payload);
        check_reduced(stats, rows[i].reduced);
        kvtel_stats_set_sample_limit(stats, 0);
        check_reduced(stats, rows[i].reduced);
        bool summarised = kvtel_stats_is_summarised(stats);
        char *bytes = NULL;
        size_t size = 0;
        assert_int_equal(summarised, strcmp(rows[i].connector, "UMBPStoreConnector") != 0);
        assert_int_equal(kvtel_stats_encode(stats, KVTEL_JSON, &bytes, &size),
                         summarised ? KVTEL_E_SUMMARISED : KVTEL_OK);
        assert_int_equal(bytes == NULL, summarised);
        free(bytes);
        assert_false(kvtel_stats_is_empty(stats));
        kvtel_stats_reset(stats);
        assert_false(kvtel_stats_is_summarised(stats));
        assert_int_equal(kvtel_stats_encode(stats, KVTEL_JSON, &bytes, &size), KVTEL_OK);
        free(bytes);
        kvtel_stats_destroy(stats);
    }
}

static const char store_payload[] =
    "{\"get\": [{\"duration_seconds\": 0.5, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"ok\", "
    "\"num_failed_keys\": 0}, "
    "{\"duration_seconds\": 0.5, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"error\", \"num_failed_keys\": 1}]}";
static const char other_store_payload[] =
    "{\"get\": [{\"duration_seconds\": 0.5, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"partial_failure\", "
    "\"num_failed_keys\": 0}, {\"duration_seconds\": 0.5, \"num_keys\": 1, \"num_bytes\": 1, \"status\": \"error\", "
    "\"num_failed_keys\": 1}]}";

/* Summarised into lists, lists into summarised, both: texts keep their counts. */
static void test_aggregation_of_summaries(void **state)
{
    (void)state;
    for (int kinds = 0; kinds < 4; kinds++) {
        struct kvtel_stats *a = stats_of("MooncakeStoreConnector", store_payload);
        struct kvtel_stats *b = stats_of("MooncakeStoreConnector", other_store_payload);
        if (kinds & 1)
            kvtel_stats_set_sample_limit(a, 0);
        if (kinds & 2)
            kvtel_stats_set_sample_limit(b, 0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(kvtel_stats_aggregate(a, b), KVTEL_OK);
            assert_int_equal(kvtel_stats_is_summarised(a), kinds != 0);
        }
        check_reduced(a, "{\"get_count\": 6, \"get_avg_ms\": 500.0, \"get_p90_ms\": 500.0, \"get_total_keys\": 6, "
                         "\"get_total_bytes\": 6, \"get_failed_keys\": 3, \"get_error_count\": 3}");
        check_reduced(b, "{\"get_count\": 2, \"get_avg_ms\": 500.0, \"get_p90_ms\": 500.0, \"get_total_keys\": 2, "
                         "\"get_total_bytes\": 2, \"get_failed_keys\": 1, \"get_error_count\": 1}");
        kvtel_stats_destroy(a);
        kvtel_stats_destroy(b);
    }
}

/* A list beside which a summary was made already is a list again when the aggregation fails later. */
static void test_failed_aggregation_of_summaries(void **state)
{
    (void)state;
    static const char first[] = "{\"LMCacheMPConnector\": {\"lookup_duration_seconds\": [0.5, 0.25]}, "
                                "\"OffloadingConnector\": {\"CPU_to_GPU\": [{\"op_size\": 1, \"op_time\": 2}]}}";
    struct kvtel_stats *a = stats_of("MultiConnector", first);
    struct kvtel_stats *b =
        stats_of("MultiConnector", "{\"LMCacheMPConnector\": {\"lookup_duration_seconds\": [1]}, "
                                   "\"OffloadingConnector\": {\"types\": {}, \"data\": {}, \"info\": [{\"a\": "
                                   "1}]}}");
    kvtel_stats_set_sample_limit(b, 0);
    assert_int_equal(kvtel_stats_aggregate(a, b), KVTEL_E_MISMATCH);
    assert_false(kvtel_stats_is_summarised(a));
    check_payload(a, first);
    kvtel_stats_destroy(a);
    kvtel_stats_destroy(b);
}

/* What came in by a summary does not count against the limit of what comes later. */
static void test_lists_beside_summaries(void **state)
{
    (void)state;
    struct kvtel_stats *a = stats_of("HiSparseConnector", "{\"cache_hits\": [1, 2, 3, 4, 5, 6, 7, 8]}");
    struct kvtel_stats *b = stats_of("HiSparseConnector", "{\"cache_hits\": [1]}");
    struct kvtel_stats *c =
        stats_of("HiSparseConnector", "{\"host_cache_usage_perc\": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]}");
    kvtel_stats_set_sample_limit(b, 0);
    kvtel_stats_set_sample_limit(a, 10);
    assert_int_equal(kvtel_stats_aggregate(a, b), KVTEL_OK); /* 9 values, in a summary */
    assert_int_equal(kvtel_stats_aggregate(a, c), KVTEL_OK);
    check_reduced(
        a,
        "{\"HiSparse hot-buffer hits\": 37, \"HiSparse hot-buffer misses\": 0, \"HiSparse host-to-device bytes\": 0, "
        "\"HiSparse host KV cache usage %\": 70.0}");
    kvtel_stats_destroy(a);
    kvtel_stats_destroy(b);
    kvtel_stats_destroy(c);
}

static void test_children_have_the_limit(void **state)
{
    (void)state;
    struct kvtel_stats *sum = make_stats("MultiConnector", NULL);
    struct kvtel_stats *one =
        stats_of("MultiConnector", "{\"LMCacheMPConnector\": {\"lookup_duration_seconds\": [1, 2, 3]}}");
    kvtel_stats_set_sample_limit(sum, 5);
    assert_int_equal(kvtel_stats_aggregate(sum, one), KVTEL_OK);
    assert_false(kvtel_stats_is_summarised(sum));
    assert_int_equal(kvtel_stats_aggregate(sum, one), KVTEL_OK);
    assert_true(kvtel_stats_is_summarised(sum));
    kvtel_stats_destroy(sum);

    /* also a child that decoding made */
    static const char payload[] = "{\"LMCacheMPConnector\": {\"lookup_duration_seconds\": [1, 2, 3]}}";
    sum = make_stats("MultiConnector", NULL);
    kvtel_stats_set_sample_limit(sum, 5);
    assert_int_equal(kvtel_stats_decode(sum, KVTEL_JSON, payload, sizeof(payload) - 1, NULL), KVTEL_OK);
    assert_int_equal(kvtel_stats_aggregate(sum, one), KVTEL_OK);
    assert_true(kvtel_stats_is_summarised(sum));
    kvtel_stats_destroy(sum);
    kvtel_stats_destroy(one);
}

static void test_decoding_never_summarises(void **state)
{
    (void)state;
    static const char payload[] = "{\"lookup_duration_seconds\": [1, 2, 3]}";
    struct kvtel_stats *stats = make_stats("LMCacheMPConnector", NULL), *delta;
    kvtel_stats_set_sample_limit(stats, 0);
    assert_int_equal(kvtel_stats_decode(stats, KVTEL_JSON, payload, sizeof(payload) - 1, NULL), KVTEL_OK);
    check_payload(stats, payload);
    const struct kvtel_transfer transfer = { .duration_ns = 4000000000 };
    assert_int_equal(kvtel_stats_record_transfer(stats, NULL, &transfer), KVTEL_OK);
    assert_true(kvtel_stats_is_summarised(stats));
    assert_int_equal(kvtel_stats_record_transfer(stats, NULL, &transfer), KVTEL_OK);
    check_reduced(stats, "{\"LMCache MP lookup count\": 5, \"LMCache MP lookup avg latency (ms)\": 2800.0}");
    assert_int_equal(kvtel_stats_clone_and_reset(stats, &delta), KVTEL_OK); /* takes the limit along */
    assert_true(kvtel_stats_is_summarised(delta));
    assert_false(kvtel_stats_is_summarised(stats));
    kvtel_stats_reset(delta);
    assert_int_equal(kvtel_stats_record_transfer(delta, NULL, &transfer), KVTEL_OK);
    assert_true(kvtel_stats_is_summarised(delta));
    kvtel_stats_destroy(stats);
    kvtel_stats_destroy(delta);
}

static void test_two_million_samples(void **state)
{
    (void)state;
    struct kvtel_buffer payload = { 0 };
    struct kvtel_stats *one = make_stats("NixlConnector", NULL), *sum = make_stats("NixlConnector", NULL);
    size_t at_half = 0;
    static const char *const keys[] = { "transfer_duration", "post_duration", "bytes_transferred", "num_descriptors" };
    for (size_t k = 0; k < COUNT_OF(keys); k++) {
        assert_int_equal(kvtel_buffer_printf(&payload, "%s\"%s\": [", k ? ", " : "{", keys[k]), KVTEL_OK);
        for (int i = 0; i < 500; i++)
            assert_int_equal(kvtel_buffer_printf(&payload, "%s%.9g", i ? ", " : "", log_normal()), KVTEL_OK);
        assert_int_equal(kvtel_buffer_append_byte(&payload, ']'), KVTEL_OK);
    }
    assert_int_equal(kvtel_buffer_append_byte(&payload, '}'), KVTEL_OK);
    assert_int_equal(kvtel_stats_decode(one, KVTEL_JSON, payload.bytes, payload.size, NULL), KVTEL_OK);
    kvtel_stats_set_sample_limit(sum, 1000);
    size_t before = held;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(kvtel_stats_aggregate(sum, one), KVTEL_OK);
        if (i == 500) {
            at_half = held;
            peak = held;
        }
    }
    struct kvtel_reduced *reduced;
    assert_int_equal(kvtel_stats_reduce(sum, &reduced), KVTEL_OK);
    assert_true(number_of(reduced, "Num successful transfers") == 500000);
    kvtel_reduced_destroy(reduced);
    assert_int_equal(held, at_half); /* another million samples took nothing */
    assert_true(held - before < 128 * 1024 && peak - before < 256 * 1024);
    kvtel_stats_destroy(one);
    kvtel_stats_destroy(sum);
    kvtel_buffer_free(&payload);
}

static void test_levels_do_not_grow(void **state)
{
    (void)state;
    struct kvtel_stats *one = stats_of("HiSparseConnector", "{\"host_cache_usage_perc\": [0.5]}");
    struct kvtel_stats *sum = make_stats("HiSparseConnector", NULL);
    kvtel_stats_set_sample_limit(sum, 100);
    size_t before = held;
    peak = held;
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(kvtel_stats_aggregate(sum, one), KVTEL_OK);
        assert_int_equal(kvtel_stats_record_value(sum, "pending_page_transfers", NULL, 0, i), KVTEL_OK);
    }
    assert_true(peak - before < 16 * 1024);
    assert_false(kvtel_stats_is_summarised(sum)); /* of a level only the last reading counts */
    struct kvtel_reduced *reduced;
    assert_int_equal(kvtel_stats_reduce(sum, &reduced), KVTEL_OK);
    assert_true(number_of(reduced, "HiSparse host KV cache usage %") == 50);
    kvtel_reduced_destroy(reduced);
    kvtel_stats_destroy(one);
    kvtel_stats_destroy(sum);
}

/* From the smallest double to the largest: the most that a distribution can take. */
static void test_extreme_values(void **state)
{
    (void)state;
    struct kvtel_stats *one =
        stats_of("MooncakeConnector",
                 "{\"transfer_duration\": [5e-324, 1, 0, 1], \"bytes_transferred\": [5e-324, 1.7e308, 0, 1]}");
    struct kvtel_stats *sum = make_stats("MooncakeConnector", NULL);
    kvtel_stats_set_sample_limit(sum, 0);
    size_t before = held;
    peak = held;
    for (int i = 0; i < 100; i++)
        assert_int_equal(kvtel_stats_aggregate(sum, one), KVTEL_OK);
    assert_true(peak - before < 6 * 1024 * 1024); /* bins from one end of the doubles to the other */
    struct kvtel_reduced *reduced;
    assert_int_equal(kvtel_stats_reduce(sum, &reduced), KVTEL_OK);
    assert_int_equal(kvtel_reduced_find(reduced, "Num successful transfers")->integer, 400);
    assert_true(isinf(kvtel_reduced_find(reduced, "Avg MB per transfer")->number));
    kvtel_reduced_destroy(reduced);
    kvtel_stats_destroy(one);
    kvtel_stats_destroy(sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_integer_sums),
        cmocka_unit_test(test_reduce_of_every_kind),
        cmocka_unit_test(test_aggregation_of_summaries),
        cmocka_unit_test(test_failed_aggregation_of_summaries),
        cmocka_unit_test(test_lists_beside_summaries),
        cmocka_unit_test(test_children_have_the_limit),
        cmocka_unit_test(test_decoding_never_summarises),
        cmocka_unit_test(test_two_million_samples),
        cmocka_unit_test(test_levels_do_not_grow),
        cmocka_unit_test(test_extreme_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
