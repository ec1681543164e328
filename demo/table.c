/* SPDX-License-Identifier: Apache-2.0 */
/* The live table: reads each worker's store while it is written. */
#include "demo/table.h"

#include "demo/fail.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The families with the numbers of a flow. A counter's value or a histogram's sum is the total. */
static const struct {
    const char *name, *count, *bytes, *seconds;
} flows[DEMO_FLOWS] = {
    [DEMO_TRANSFER] = { "transfer", "vllm:nixl_xfer_time_seconds", "vllm:nixl_bytes_transferred",
                        "vllm:nixl_xfer_time_seconds" },
    [DEMO_LOAD] = { "load", "vllm:kv_offload_load_size", "vllm:kv_offload_load_bytes", "vllm:kv_offload_load_time" },
    [DEMO_STORE] = { "store", "vllm:kv_offload_store_size", "vllm:kv_offload_store_bytes",
                     "vllm:kv_offload_store_time" },
};

bool demo_table_open(struct demo_table *table)
{
    *table = (struct demo_table){ .terminal = isatty(STDOUT_FILENO), .snapshot = kvtel_snapshot_create() };
    if (!table->snapshot)
        demo_fail("%s", kvtel_status_text(KVTEL_E_NOMEM));
    return table->snapshot != NULL;
}

void demo_table_close(struct demo_table *table)
{
    kvtel_snapshot_destroy(table->snapshot);
}

bool demo_table_collect(struct demo_table *table, const struct demo_engine *engine)
{
    kvtel_snapshot_reset(table->snapshot);
    for (uint32_t i = 0; i < engine->process_count; i++) {
        struct kvtel_error error = { 0 };
        struct kvtel_store_reader *reader = engine->processes[i].reader;
        if (reader && kvtel_snapshot_add_reader(table->snapshot, reader, &error) != KVTEL_OK) {
            demo_fail("the store of worker %" PRIu32 " cannot be read: %s", i, error.message);
            return false;
        }
    }
    return true;
}

/* Finds an engine's series. The first label is model_name; the engine is the next one. NULL: none. */
static const struct kvtel_snapshot_series *find(const struct demo_table *table, const char *name, uint32_t engine,
                                                const struct kvtel_snapshot_family **family)
{
    char number[16];
    snprintf(number, sizeof number, "%" PRIu32, engine);
    *family = kvtel_snapshot_find(table->snapshot, name);
    for (size_t i = 0; *family && i < kvtel_snapshot_series_count(*family); i++)
        if (kvtel_snapshot_label_count(*family) >= 2 &&
            strcmp(kvtel_snapshot_label(kvtel_snapshot_series(*family, i), 1), number) == 0)
            return kvtel_snapshot_series(*family, i);
    return NULL;
}

static double total(const struct demo_table *table, const char *name, uint32_t engine)
{
    const struct kvtel_snapshot_family *family;
    const struct kvtel_snapshot_series *series = find(table, name, engine, &family);
    if (!series)
        return 0;
    struct kvtel_reading reading;
    kvtel_snapshot_read(series, &reading);
    return kvtel_snapshot_type(family) == KVTEL_HISTOGRAM ? reading.sum : reading.value;
}

static double count(const struct demo_table *table, const char *name, uint32_t engine)
{
    const struct kvtel_snapshot_family *family;
    const struct kvtel_snapshot_series *series = find(table, name, engine, &family);
    struct kvtel_reading reading = { 0 };
    if (series)
        kvtel_snapshot_read(series, &reading);
    return (double)reading.count;
}

/* Formats the transfer time's quantile in milliseconds; "-" if only the sum of times is known. */
static const char *quantile(const struct demo_table *table, enum demo_flow flow, uint32_t engine, double q, char *text,
                            size_t size)
{
    const struct kvtel_snapshot_family *family;
    const struct kvtel_snapshot_series *series = find(table, flows[flow].seconds, engine, &family);
    if (!series || kvtel_snapshot_type(family) != KVTEL_HISTOGRAM || count(table, flows[flow].seconds, engine) == 0)
        return "-";
    snprintf(text, size, "%.3f", 1e3 * kvtel_snapshot_quantile(family, series, q));
    return text;
}

/* The terminal. Lines are cut to its width. */
struct screen {
    unsigned lines, height, width;
};

static void print_line(struct screen *screen, const char *format, ...) KVTEL_PRINTF(2, 3);
static void print_line(struct screen *screen, const char *format, ...)
{
    char line[256];
    va_list arguments;
    if (screen->lines >= screen->height)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    printf("%.*s\033[K\n", (int)screen->width, line);
    screen->lines++;
}

static struct screen look_at_screen(void)
{
    struct winsize window = { 0 };
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_row < 4 || window.ws_col < 20)
        window = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    return (struct screen){ .height = window.ws_row - 1u, .width = window.ws_col - 1u };
}

static double failures(const struct demo_table *table, enum demo_flow flow, uint32_t engine)
{
    switch (flow) {
    case DEMO_TRANSFER:
        return total(table, "vllm:nixl_num_failed_transfers", engine);
    case DEMO_STORE:
        return total(table, "vllm:kv_offload_allocation_failure", engine);
    default:
        return 0;
    }
}

static void print_flow(struct demo_table *table, struct screen *screen, uint32_t engine, enum demo_flow flow,
                       double seconds)
{
    char p50[32], p99[32], name[32];
    double moved = total(table, flows[flow].bytes, engine), times = count(table, flows[flow].count, engine);
    double failed = failures(table, flow, engine);
    double per_second = seconds > 0 ? (times - table->before[engine][flow].count) / seconds : 0;
    double rate = seconds > 0 ? (moved - table->before[engine][flow].bytes) / seconds : 0;
    table->before[engine][flow].count = times;
    table->before[engine][flow].bytes = moved;
    if (times == 0 && failed == 0)
        return;
    snprintf(name, sizeof name, "%" PRIu32 " %s", engine, demo_engine_name(engine));
    print_line(screen, " %-9s %-8s %7.0f %5.0f %7.1f %7.1f %7.3f %7s %7s %6.0f", name, flows[flow].name, times,
               per_second, moved / 0x1p20, rate / 0x1p20,
               times > 0 ? 1e3 * total(table, flows[flow].seconds, engine) / times : 0,
               quantile(table, flow, engine, 0.5, p50, sizeof p50),
               quantile(table, flow, engine, 0.99, p99, sizeof p99), failed);
}

static void show_table(struct demo_table *table, const struct demo_engine *engine, double elapsed)
{
    struct screen screen = look_at_screen();
    if (engine->over) { /* the last table shows the rates of the whole run */
        memset(table->before, 0, sizeof table->before);
        table->shown_at = 0;
    }
    if (table->lines > 0)
        printf("\033[%uA", table->lines);
    print_line(&screen, "%5.1f s  %" PRIu64 " requests arrived, %" PRIu64 " done%s", elapsed, engine->arrived,
               engine->done, demo_engine_killed(engine) ? "; a worker was killed and replaced" : "");
    print_line(&screen, " %-9s %-8s %7s %5s %7s %7s %7s %7s %7s %6s", "engine", "flow", "times", "per s", "MiB",
               "MiB/s", "mean ms", "P50 ms", "P99 ms", "failed");
    for (uint32_t number = 0; number <= engine->options.counts[DEMO_DECODE]; number++)
        for (enum demo_flow flow = 0; flow < DEMO_FLOWS; flow++)
            print_flow(table, &screen, number, flow, elapsed - table->shown_at);
    fputs("\033[J", stdout);
    table->lines = screen.lines;
    table->shown_at = elapsed;
}

static void show_line(struct demo_table *table, const struct demo_engine *engine, double elapsed)
{
    double times[DEMO_FLOWS] = { 0 }, moved = 0, failed = 0;
    if (elapsed < table->line_at && !engine->over)
        return;
    table->line_at = elapsed + 0.9;
    for (uint32_t number = 0; number <= engine->options.counts[DEMO_DECODE]; number++) {
        for (enum demo_flow flow = 0; flow < DEMO_FLOWS; flow++) {
            times[flow] += count(table, flows[flow].count, number);
            moved += flow == DEMO_TRANSFER ? total(table, flows[flow].bytes, number) : 0;
            failed += failures(table, flow, number);
        }
    }
    printf("%5.1f s  %" PRIu64 " requests, %.0f transfers (%.1f MiB), %.0f loads, %.0f stores, %.0f failed\n", elapsed,
           engine->done, times[DEMO_TRANSFER], moved / 0x1p20, times[DEMO_LOAD], times[DEMO_STORE], failed);
}

void demo_table_show(void *context, const struct demo_engine *engine)
{
    struct demo_table *table = context;
    double elapsed = demo_engine_seconds(engine);
    if (!demo_table_collect(table, engine))
        return;
    if (table->terminal)
        show_table(table, engine, elapsed);
    else
        show_line(table, engine, elapsed);
    fflush(stdout);
}
