/* SPDX-License-Identifier: Apache-2.0 */
/* A summary as one line for people:
 *
 *   KV transfers: connector=C engine=N ranks=N interval=Ts failures=N (class=N ...)
 *       | flow ok=N failed=N (status=N ...) bytes=... time_p50=... | flow ... | other=... other=...
 *
 * failures=N is always written; values that are not known are left out. */
#include "report/summary.h"

#include <math.h>

#include "base/number.h"
#include "base/python.h"

/* The line and the first error. After an error further calls do nothing, so each word need not be checked. */
struct line {
    struct kvtel_buffer *buffer;
    enum kvtel_status status;
};

#define PUT(line, ...)                                                         \
    do {                                                                       \
        if ((line)->status == KVTEL_OK)                                        \
            (line)->status = kvtel_buffer_printf((line)->buffer, __VA_ARGS__); \
    } while (0)

/* Appends a name. Names come from payloads and must not contain a line break. */
static void put_name(struct line *line, const char *name)
{
    if (line->status == KVTEL_OK)
        line->status = kvtel_python_line(line->buffer, name, strlen(name));
}

/* Appends a number with this many decimals, whatever the host's locale is. */
static void put_fixed(struct line *line, double value, int digits)
{
    char text[KVTEL_FIXED_SIZE];
    (void)kvtel_number_fixed(value, digits, text);
    PUT(line, "%s", text);
}

static void put_bytes(struct line *line, const char *key, double bytes, const char *per)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        bytes /= 1024;
    PUT(line, "%s=", key);
    put_fixed(line, bytes, unit == 0 ? 0 : 2);
    PUT(line, "%s%s", units[unit], per);
}

static void put_quantiles(struct line *line, const char *key, const struct kvtel_quantiles *quantiles)
{
    const struct {
        const char *name;
        double seconds;
    } rows[] = {
        { "p50", quantiles->p50 }, { "p90", quantiles->p90 }, { "p99", quantiles->p99 }, { "max", quantiles->max }
    };
    for (size_t i = 0; quantiles->known && i < sizeof(rows) / sizeof(rows[0]); i++) {
        PUT(line, " %s_%s=", key, rows[i].name);
        put_fixed(line, rows[i].seconds * 1e3, 3);
        PUT(line, "ms");
    }
}

/* Limit of failure classes named in a line. */
enum { CLASSES_SHOWN = 20 };

static void put_failures(struct line *line, const char *key, uint64_t count,
                         const struct kvtel_failure_counts *failures)
{
    PUT(line, " %s=%llu", key, (unsigned long long)count);
    size_t shown = failures->count < CLASSES_SHOWN ? failures->count : CLASSES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        PUT(line, i == 0 ? " (" : " ");
        put_name(line, failures->entries[i].label);
        PUT(line, "=%llu", (unsigned long long)failures->entries[i].count);
    }
    if (shown < failures->count)
        PUT(line, " and %zu more classes", failures->count - shown);
    if (shown > 0)
        PUT(line, ")");
}

static void put_flow(struct line *line, const struct kvtel_flow_summary *flow, double interval)
{
    PUT(line, " | ");
    put_name(line, flow->name);
    if (flow->has_transfers)
        PUT(line, " ok=%llu", (unsigned long long)flow->transfers);
    if (flow->has_failed)
        put_failures(line, "failed", flow->failed, &flow->failures);
    if (flow->has_bytes)
        put_bytes(line, " bytes", flow->bytes, "");
    if (flow->has_descriptors)
        PUT(line, " descriptors=%.0f", flow->descriptors);
    if (flow->failed_descriptors > 0)
        PUT(line, " failed_descriptors=%.0f", flow->failed_descriptors);
    put_quantiles(line, "time", &flow->time);
    put_quantiles(line, "post", &flow->post);
    if (flow->rate > 0)
        put_bytes(line, " rate_per_transfer", flow->rate, "/s");
    if (flow->bytes > 0 && interval > 0)
        put_bytes(line, " rate_wall_clock", flow->bytes / interval, "/s");
}

static void put_other(struct line *line, const struct kvtel_other_value *other)
{
    static const char prefix[] = "vllm:";
    PUT(line, " ");
    put_name(line,
             strncmp(other->name, prefix, sizeof(prefix) - 1) == 0 ? other->name + sizeof(prefix) - 1 : other->name);
    const char *label = other->labels;
    for (uint32_t i = 0; i < other->label_count; i++, label += strlen(label) + 1) {
        PUT(line, i == 0 ? "[" : ",");
        put_name(line, label);
    }
    if (other->label_count > 0)
        PUT(line, "]");
    char number[KVTEL_NUMBER_SIZE];
    switch (other->unit) {
    case KVTEL_UNIT_BYTES:
        put_bytes(line, "", other->value, "");
        break;
    case KVTEL_UNIT_SECONDS:
        PUT(line, "=");
        put_fixed(line, other->value * 1e3, 3);
        PUT(line, "ms");
        break;
    case KVTEL_UNIT_RATIO:
        PUT(line, "=");
        put_fixed(line, other->value * 100, 1);
        PUT(line, "%%");
        break;
    case KVTEL_UNIT_COUNT:
        if (other->value == floor(other->value) && fabs(other->value) < 0x1p53) {
            PUT(line, "=%.0f", other->value);
        } else {
            kvtel_number_repr(other->value, number);
            PUT(line, "=%s", number);
        }
        break;
    }
}

enum kvtel_status kvtel_summary_line(const struct kvtel_summary *summary, const struct kvtel_summary_context *context,
                                     struct kvtel_buffer *buffer)
{
    size_t before = buffer->size;
    struct line line = { .buffer = buffer };
    PUT(&line, "KV transfers: connector=");
    put_name(&line, context->connector);
    if (context->model_name) {
        PUT(&line, " model=");
        put_name(&line, context->model_name);
    }
    if (!context->engine_name)
        PUT(&line, " engine=%u", (unsigned)context->engine);
    else if (*context->engine_name) {
        PUT(&line, " engine=");
        put_name(&line, context->engine_name);
    }
    if (context->ranks > 0)
        PUT(&line, " ranks=%u", (unsigned)context->ranks);
    if (context->interval > 0) {
        PUT(&line, " interval=");
        put_fixed(&line, context->interval, 1);
        PUT(&line, "s");
    }
    put_failures(&line, "failures", summary->failed, &summary->failures);
    for (size_t i = 0; i < summary->flow_count; i++)
        put_flow(&line, &summary->flows[i], context->interval);
    for (size_t i = 0; i < summary->other_count; i++) {
        if (i == 0)
            PUT(&line, " |");
        put_other(&line, &summary->others[i]);
    }
    if (line.status != KVTEL_OK)
        buffer->size = before;
    return line.status;
}
