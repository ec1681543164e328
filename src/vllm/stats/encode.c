/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes columns as the payload from which they came. */
#include "base/buffer.h"
#include "connectors/learned.h"
#include "vllm/stats/stats.h"

#include <string.h>

static void write_number(struct kvtel_writer *writer, const struct kvtel_column *column, size_t i)
{
    if (kvtel_column_is_double(column, i))
        kvtel_writer_number(writer, column->values[i].number);
    else
        kvtel_writer_integer(writer, column->values[i].integer);
}

static void write_list(struct kvtel_writer *writer, const struct kvtel_column *column)
{
    kvtel_writer_array(writer, column->count);
    for (size_t i = 0; i < column->count; i++)
        write_number(writer, column, i);
}

/* Writes the fields that are present, of COLUMNS or of one operation of COUNTS. */
static void write_fields(struct kvtel_writer *writer, const struct kvtel_content *content,
                         const struct kvtel_column_set *set)
{
    size_t present = 0;
    for (size_t i = 0; i < set->column_count; i++)
        present += set->columns[i].present;
    kvtel_writer_map(writer, present);
    for (size_t i = 0; i < set->column_count; i++) {
        const struct kvtel_column *column = &set->columns[i];
        if (!column->present)
            continue;
        kvtel_writer_text(writer, content->table->fields[i].key);
        if (!kvtel_kind_is_samples(content->table->fields[i].kind))
            write_number(writer, column, 0);
        else
            write_list(writer, column);
    }
}

static void write_rows(struct kvtel_writer *writer, const struct kvtel_content *content,
                       const struct kvtel_column_set *set)
{
    size_t rows = set->column_count ? set->columns[0].count : 0;
    kvtel_writer_array(writer, rows);
    for (size_t r = 0; r < rows; r++) {
        kvtel_writer_map(writer, set->column_count);
        for (size_t i = 0; i < set->column_count; i++) {
            kvtel_writer_text(writer, content->table->fields[i].key);
            if (content->table->fields[i].kind == KVTEL_FIELD_TEXT)
                kvtel_writer_text(writer, content->texts[set->columns[i].values[r].integer]);
            else
                write_number(writer, &set->columns[i], r);
        }
    }
}

static void write_operations(struct kvtel_writer *writer, const struct kvtel_content *content)
{
    kvtel_writer_map(writer, content->set_count);
    for (size_t g = 0; g < content->set_count; g++) {
        kvtel_writer_text(writer, content->sets[g].name);
        if (content->table->payload_kind == KVTEL_PAYLOAD_ROWS)
            write_rows(writer, content, &content->sets[g]);
        else
            write_fields(writer, content, &content->sets[g]);
    }
}

static void write_label_array(struct kvtel_writer *writer, const struct kvtel_column *column)
{
    const char *label = column->labels;
    kvtel_writer_array(writer, column->label_count);
    for (uint32_t i = 0; i < column->label_count; i++) {
        kvtel_writer_text(writer, label);
        label += strlen(label) + 1;
    }
}

/* Writes a label tuple as key: an array in MessagePack, the JSON text of an array in JSON. */
static void write_labels(struct kvtel_writer *writer, const struct kvtel_column *column)
{
    if (writer->format == KVTEL_MSGPACK) {
        write_label_array(writer, column);
        return;
    }
    struct kvtel_buffer text = { 0 };
    struct kvtel_writer inner;
    kvtel_writer_init(&inner, KVTEL_JSON, &text);
    write_label_array(&inner, column);
    if (kvtel_writer_finish(&inner) == KVTEL_OK)
        kvtel_writer_string(writer, text.bytes, text.size);
    else
        writer->status = inner.status;
    kvtel_buffer_free(&text);
}

/* Writes what only payloads of a connector without a table have: the names of labels, and that nothing has to be read
 * by a descriptor again. */
static void write_open(struct kvtel_writer *writer, const struct kvtel_content *content)
{
    kvtel_writer_text(writer, "labels");
    kvtel_writer_map(writer, content->set_count);
    for (size_t g = 0; g < content->set_count; g++) {
        const struct kvtel_metric *metric = content->sets[g].metric;
        size_t count = kvtel_metric_label_count(metric);
        kvtel_writer_text(writer, metric->name);
        kvtel_writer_array(writer, count);
        for (size_t i = 0; i < count; i++)
            kvtel_writer_text(writer, metric->labels[i]);
    }
    kvtel_writer_text(writer, KVTEL_READ_KEY);
    kvtel_writer_bool(writer, true);
}

static void write_typed(struct kvtel_writer *writer, const struct kvtel_content *content)
{
    bool is_open = kvtel_learned_of(content->table) != NULL;
    kvtel_writer_map(writer, (size_t)(content->has_info ? 3 : 2) + (is_open ? 2 : 0));
    if (is_open)
        write_open(writer, content);
    kvtel_writer_text(writer, "types");
    kvtel_writer_map(writer, content->set_count);
    for (size_t g = 0; g < content->set_count; g++) {
        kvtel_writer_text(writer, content->sets[g].name);
        kvtel_writer_text(writer, kvtel_metric_type_name(content->sets[g].metric->type));
    }
    kvtel_writer_text(writer, "data");
    kvtel_writer_map(writer, content->set_count);
    for (size_t g = 0; g < content->set_count; g++) {
        const struct kvtel_column_set *set = &content->sets[g];
        kvtel_writer_text(writer, set->name);
        kvtel_writer_map(writer, set->column_count);
        for (size_t c = 0; c < set->column_count; c++) {
            write_labels(writer, &set->columns[c]);
            if (set->metric->type == KVTEL_HISTOGRAM)
                write_list(writer, &set->columns[c]);
            else
                write_number(writer, &set->columns[c], 0);
        }
    }
    if (!content->has_info)
        return;
    kvtel_writer_text(writer, "info");
    kvtel_writer_value(writer, &content->info);
}

void kvtel_stats_write(const struct kvtel_stats *stats, struct kvtel_writer *writer)
{
    const struct kvtel_content *content = &stats->content;
    switch (content->table->payload_kind) {
    case KVTEL_PAYLOAD_COLUMNS:
        write_fields(writer, content, &content->sets[0]);
        break;
    case KVTEL_PAYLOAD_ROWS:
    case KVTEL_PAYLOAD_COUNTS:
        write_operations(writer, content);
        break;
    case KVTEL_PAYLOAD_TYPED:
        write_typed(writer, content);
        break;
    case KVTEL_PAYLOAD_MULTI:
        kvtel_writer_map(writer, content->child_count);
        for (size_t i = 0; i < content->child_count; i++) {
            const struct kvtel_child *child = &content->children[i];
            kvtel_writer_text(writer, child->class_name);
            if (child->wrapped) {
                kvtel_writer_map(writer, 1);
                kvtel_writer_text(writer, "data");
            }
            kvtel_stats_write(child->stats, writer);
        }
        break;
    case KVTEL_PAYLOAD_NONE:
        break;
    }
}

enum kvtel_status kvtel_stats_encode(const struct kvtel_stats *stats, enum kvtel_format format, char **bytes,
                                     size_t *size)
{
    if (kvtel_stats_is_summarised(stats))
        return KVTEL_E_SUMMARISED;
    struct kvtel_buffer buffer = { 0 };
    struct kvtel_writer writer;
    kvtel_writer_init(&writer, format, &buffer);
    kvtel_stats_write(stats, &writer);
    enum kvtel_status status = kvtel_writer_finish(&writer);
    if (status == KVTEL_OK)
        status = kvtel_buffer_append_byte(&buffer, '\0');
    if (status != KVTEL_OK) {
        kvtel_buffer_free(&buffer);
        return status;
    }
    *bytes = buffer.bytes;
    *size = buffer.size - 1;
    return KVTEL_OK;
}
