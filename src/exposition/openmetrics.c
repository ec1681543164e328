/* SPDX-License-Identifier: Apache-2.0 */
/* What OpenMetrics has and text 0.0.4 does not: exemplars and starts. The lines of the text are written first; few
 * series have more to show. */
#include "base/buffer.h"
#include "collect/series.h"
#include "exposition/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool has_start(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series,
                      bool created)
{
    return created && family->type != KVTEL_GAUGE && series->started > 0;
}

bool kvtel_openmetrics_differs(const struct kvtel_snapshot_family *family, const struct kvtel_snapshot_series *series,
                               bool created)
{
    return series->exemplars || has_start(family, series, created);
}

/* Seconds since 1970. */
static enum kvtel_status put_time(uint64_t ns, struct kvtel_buffer *buffer)
{
    return kvtel_buffer_printf(buffer, "%" PRIu64 ".%09" PRIu64, ns / 1000000000u, ns % 1000000000u);
}

static enum kvtel_status put_labels(const struct kvtel_snapshot_exemplar *exemplar, struct kvtel_buffer *buffer)
{
    char text[3 * KVTEL_EXEMPLAR_BYTES];
    enum kvtel_status status = KVTEL_OK;
    const char *name;
    for (size_t i = 0; status == KVTEL_OK && (name = kvtel_snapshot_exemplar_label_name(exemplar, i)); i++) {
        const char *end = kvtel_text_escape(text, kvtel_snapshot_exemplar_label(exemplar, i), true);
        status = kvtel_buffer_printf(buffer, "%s%s=\"%.*s\"", i > 0 ? "," : "", name, (int)(end - text), text);
    }
    return status;
}

/* " # {LABELS} VALUE TIME" */
static enum kvtel_status put_exemplar(const struct kvtel_snapshot_exemplar *exemplar, struct kvtel_buffer *buffer)
{
    char number[KVTEL_NUMBER_SIZE];
    const size_t size = kvtel_number_exposition(exemplar->value, number);
    enum kvtel_status status = kvtel_buffer_append_text(buffer, " # {");
    if (status == KVTEL_OK)
        status = put_labels(exemplar, buffer);
    if (status == KVTEL_OK)
        status = kvtel_buffer_printf(buffer, "} %.*s ", (int)size, number);
    return status == KVTEL_OK ? put_time(exemplar->time_ns, buffer) : status;
}

/* A line _created with the labels of `line`, the series' last one. */
static enum kvtel_status put_created(const struct kvtel_family_text *text, const struct kvtel_snapshot_series *series,
                                     const char *line, size_t size, struct kvtel_buffer *buffer)
{
    const char *suffix = text->family->type == KVTEL_COUNTER ? "_total" : "_sum";
    const char *labels = line + text->name_size + strlen(suffix), *end = line + size;
    while (end > labels && end[-1] != ' ') /* no value has a blank */
        end--;
    enum kvtel_status status =
        kvtel_buffer_printf(buffer, "%s_created%.*s", text->family->name, (int)(end - labels), labels);
    if (status == KVTEL_OK)
        status = put_time(series->started, buffer);
    return status == KVTEL_OK ? kvtel_buffer_append(buffer, "\n", 1) : status;
}

/* Appends the lines of the text again, with what belongs to them. */
static enum kvtel_status put_lines(const struct kvtel_family_text *text, const struct kvtel_snapshot_series *series,
                                   bool created, const char *lines, size_t size, struct kvtel_buffer *buffer)
{
    const char *line = lines, *end = lines + size;
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; line < end && status == KVTEL_OK; i++) { /* buckets come first */
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const size_t length = next ? (size_t)(next - line) : (size_t)(end - line);
        const struct kvtel_snapshot_exemplar *exemplar = kvtel_snapshot_exemplar(text->family, series, i);
        status = kvtel_buffer_append(buffer, line, length);
        if (status == KVTEL_OK && exemplar)
            status = put_exemplar(exemplar, buffer);
        if (status == KVTEL_OK)
            status = kvtel_buffer_append(buffer, "\n", 1);
        if (status == KVTEL_OK && line + length + 1 >= end && has_start(text->family, series, created))
            status = put_created(text, series, line, length, buffer);
        line += length + 1;
    }
    return status;
}

enum kvtel_status kvtel_openmetrics_series(const struct kvtel_family_text *text,
                                           const struct kvtel_snapshot_series *series, bool created,
                                           struct kvtel_buffer *buffer)
{
    if (!kvtel_openmetrics_differs(text->family, series, created))
        return kvtel_text_series(text, series, buffer);
    const size_t before = buffer->size;
    struct kvtel_buffer lines = { 0 };
    enum kvtel_status status = kvtel_text_series(text, series, &lines);
    if (status == KVTEL_OK)
        status = put_lines(text, series, created, lines.bytes, lines.size, buffer);
    kvtel_buffer_free(&lines);
    if (status != KVTEL_OK)
        buffer->size = before;
    return status;
}

enum kvtel_status kvtel_openmetrics_family(const struct kvtel_snapshot_family *family, bool created,
                                           struct kvtel_buffer *buffer)
{
    size_t size = buffer->size;
    struct kvtel_family_text text;
    enum kvtel_status status = kvtel_family_text_init(&text, family);
    if (status == KVTEL_OK)
        status = kvtel_text_head(family, true, buffer);
    for (size_t i = 0; status == KVTEL_OK && i < family->series_count; i++)
        status = kvtel_openmetrics_series(&text, &family->series[i], created, buffer);
    kvtel_family_text_free(&text);
    if (status != KVTEL_OK)
        buffer->size = size;
    return status;
}
