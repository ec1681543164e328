/* SPDX-License-Identifier: Apache-2.0 */
/* Compares the engine's books with what kvtel shows. */
#include "demo/totals.h"

#include "demo/fail.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One total of an engine: its name in the table, its series in the exposition, and its place in the books. */
struct total {
    const char *what, *series;
    enum { OF_COUNT, OF_BYTES, OF_PIECES, OF_NS, OF_POST_NS, OF_FAILURE } field;
    int of; /* index of the flow or failure class */
};

static const struct total totals[] = {
    { "transfers", "vllm:nixl_xfer_time_seconds_count", OF_COUNT, DEMO_TRANSFER },
    { "  bytes", "vllm:nixl_bytes_transferred_sum", OF_BYTES, DEMO_TRANSFER },
    { "  blocks", "vllm:nixl_num_descriptors_sum", OF_PIECES, DEMO_TRANSFER },
    { "  seconds", "vllm:nixl_xfer_time_seconds_sum", OF_NS, DEMO_TRANSFER },
    { "  seconds to post", "vllm:nixl_post_time_seconds_sum", OF_POST_NS, DEMO_TRANSFER },
    { "loads", "vllm:kv_offload_load_size_count", OF_COUNT, DEMO_LOAD },
    { "  bytes", "vllm:kv_offload_load_bytes_total", OF_BYTES, DEMO_LOAD },
    { "  seconds", "vllm:kv_offload_load_time_total", OF_NS, DEMO_LOAD },
    { "stores", "vllm:kv_offload_store_size_count", OF_COUNT, DEMO_STORE },
    { "  bytes", "vllm:kv_offload_store_bytes_total", OF_BYTES, DEMO_STORE },
    { "  seconds", "vllm:kv_offload_store_time_total", OF_NS, DEMO_STORE },
    /* vLLM's counter is the sum of all three classes. */
    { "failed transfers", "vllm:nixl_num_failed_transfers_total", OF_FAILURE, KVTEL_FAILED_TRANSFER },
    { "  notifications", "vllm:nixl_num_failed_notifications_total", OF_FAILURE, KVTEL_FAILED_NOTIFICATION },
    { "leases expired", "vllm:nixl_num_kv_expired_reqs_total", OF_FAILURE, KVTEL_FAILED_EXPIRED },
    { "late notifications", "vllm:nixl_num_notifications_after_expiry_total", OF_FAILURE, KVTEL_FAILED_LATE },
    { "refused stores", "vllm:kv_offload_allocation_failure_total", OF_FAILURE, KVTEL_FAILED_ALLOCATION },
};
enum { TOTALS = sizeof totals / sizeof *totals };

static double in_books(const struct demo_totals *books, const struct total *total)
{
    const struct demo_flow_totals *flow = total->field == OF_FAILURE ? NULL : &books->flows[total->of];
    switch (total->field) {
    case OF_COUNT:
        return (double)flow->count;
    case OF_BYTES:
        return (double)flow->bytes;
    case OF_PIECES:
        return (double)flow->descriptors;
    case OF_NS:
        return (double)flow->duration_ns / 1e9;
    case OF_POST_NS:
        return (double)flow->post_ns / 1e9;
    default:
        break;
    }
    uint64_t count = books->failures[total->of];
    if (total->of == KVTEL_FAILED_TRANSFER)
        count += books->failures[KVTEL_FAILED_HANDSHAKE] + books->failures[KVTEL_FAILED_NOTIFICATION];
    return (double)count;
}

/* The value of the run's series with this name and engine; 0: there is none. */
static double in_text(const struct kvtel_buffer *text, const char *series, const char *model, uint32_t engine)
{
    char model_label[128], engine_label[32];
    const size_t name_size = strlen(series);
    const char *line = text->bytes, *end = text->bytes + text->size;
    snprintf(model_label, sizeof model_label, "model_name=\"%s\"", model);
    snprintf(engine_label, sizeof engine_label, "engine=\"%" PRIu32 "\"", engine);
    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const size_t size = (size_t)((next ? next : end) - line);
        const char *close = memrchr(line, '}', size);
        if (next && close && size > name_size && memcmp(line, series, name_size) == 0 && line[name_size] == '{' &&
            memmem(line, size, model_label, strlen(model_label)) &&
            memmem(line, size, engine_label, strlen(engine_label)))
            return strtod(close + 1, NULL);
        line = next ? next + 1 : end;
    }
    return 0;
}

/* Whether two numbers are equal. Seconds were added up in another order, so they may differ by rounding. */
static bool is_equal(const struct total *total, double books, double shown)
{
    if (total->field == OF_NS || total->field == OF_POST_NS)
        return fabs(books - shown) <= 1e-9 * fmax(books, shown);
    return books == shown;
}

/* An engine's books, summed over all its workers. */
struct engine_books {
    struct demo_totals finished;
    /* The totals if the killed worker's last record was written; equal to `finished` if it was not recording. */
    struct demo_totals possible;
    bool uncertain;
};

static struct engine_books add_up(const struct demo_engine *engine, uint32_t number)
{
    struct engine_books sum = { 0 };
    for (uint32_t i = 0; i < engine->process_count; i++) {
        const struct demo_process *process = &engine->processes[i];
        if (process->worker.engine != number)
            continue;
        const struct demo_book *book = &process->ledger->book;
        uint32_t state = atomic_load_explicit(&book->state, memory_order_acquire);
        bool recording = process->killed && state & DEMO_BOOK_RECORDING;
        demo_totals_add(&sum.finished, &book->totals[state & 1]);
        demo_totals_add(&sum.possible, &book->totals[recording ? (state & 1) ^ 1 : state & 1]);
        sum.uncertain |= recording;
    }
    return sum;
}

static unsigned count_differences(const struct demo_totals *books, const double *shown)
{
    unsigned count = 0;
    for (int i = 0; i < TOTALS; i++)
        count += !is_equal(&totals[i], in_books(books, &totals[i]), shown[i]);
    return count;
}

static void print_total(const struct total *total, const char *name, double books, double shown)
{
    bool seconds = total->field == OF_NS || total->field == OF_POST_NS;
    printf("  %-12s %-20s %20.*f %20.*f  %s\n", name, total->what, seconds ? 6 : 0, books, seconds ? 6 : 0, shown,
           is_equal(total, books, shown) ? "equal" : "DIFFERENT");
}

/* @return number of an engine's totals that differ */
static unsigned compare_engine(const struct demo_engine *engine, uint32_t number, const struct kvtel_buffer *metrics,
                               const char *source, bool print)
{
    struct engine_books books = add_up(engine, number);
    double shown[TOTALS];
    char name[32];
    for (int i = 0; i < TOTALS; i++)
        shown[i] = in_text(metrics, totals[i].series, engine->options.token, number);
    bool recorded = books.uncertain && count_differences(&books.possible, shown) == 0;
    const struct demo_totals *right = recorded ? &books.possible : &books.finished;
    snprintf(name, sizeof name, "%" PRIu32 " %s", number, demo_engine_name(number));
    for (int i = 0; print && i < TOTALS; i++) {
        double expected = in_books(right, &totals[i]);
        if (expected != 0 || shown[i] != 0)
            print_total(&totals[i], name, expected, shown[i]);
        if (!is_equal(&totals[i], expected, shown[i]))
            demo_fail("engine %" PRIu32 ": %s is %.9g by %s, %.9g by the engine's books", number, totals[i].series,
                      shown[i], source, expected);
    }
    if (print && books.uncertain)
        printf("  %-12s the worker was killed while it recorded: that record is %s\n", name,
               recorded ? "there" : "not there");
    return count_differences(right, shown);
}

unsigned demo_totals_compare(const struct demo_engine *engine, const struct kvtel_buffer *metrics, const char *source,
                             bool print)
{
    unsigned differences = 0;
    if (print)
        printf("\n  %-12s %-20s %20s %20s\n", "engine", "total of", "engine's books", source);
    for (uint32_t number = 0; number <= engine->options.counts[DEMO_DECODE]; number++)
        differences += compare_engine(engine, number, metrics, source, print);
    return differences;
}
