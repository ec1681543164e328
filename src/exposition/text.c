/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text format 0.0.4 and OpenMetrics 1.0, line for line as prometheus_client prints them. They differ in
 * their heads, and in what openmetrics.c adds.
 *
 * Memory for a whole series is reserved at once, so its lines are written without checks. A series' labels are
 * rendered for its first line only; the other lines copy them, in steps of STEP bytes. The last step may write past
 * the text's end, so SLACK more bytes are reserved. */
#include "exposition/text.h"

#include "base/buffer.h"
#include "base/metric.h"
#include "base/number.h"
#include "base/utf8.h"
#include "exposition/labels.h"

#include <stdlib.h>
#include <string.h>

enum { STEP = 16, SLACK = 2 * KVTEL_NUMBER_SIZE };

/* A text that is already in the buffer. */
struct piece {
    const char *text;
    size_t size;
};

static char *put(char *at, const char *text, size_t size)
{
    memcpy(at, text, size);
    return at + size;
}

/* Copies a text that is in the buffer, where reading and writing past the text's end is safe. */
static char *put_again(char *at, struct piece piece)
{
    for (size_t done = 0; done < piece.size; done += STEP) {
        char bytes[STEP]; /* a copy on the stack, because source and target may overlap */
        memcpy(bytes, piece.text + done, STEP);
        memcpy(at + done, bytes, STEP);
    }
    return at + piece.size;
}

static char *put_number(char *at, const struct kvtel_text_number *number)
{
    memcpy(at, number->text, KVTEL_NUMBER_SIZE);
    return at + number->size;
}

static char *put_value(char *at, double value)
{
    at += kvtel_number_exposition(value, at);
    *at++ = '\n';
    return at;
}

/* Whether eight bytes are to be written as they are: ASCII without backslashes, ends of lines and quotes. */
static inline bool are_plain(uint64_t eight)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    const uint64_t backslash = eight ^ ones * '\\', line = eight ^ ones * '\n', quote = eight ^ ones * '"';
    /* a byte of 0 borrows from its highest bit; false alarms are bytes that the other way writes as well */
    return ((eight | (backslash - ones) | (line - ones) | (quote - ones)) & highs) == 0;
}

char *kvtel_text_escape(char *at, const char *text, bool quoted)
{
    uint64_t eight;
    for (size_t left = strlen(text); left >= sizeof(eight); left -= sizeof(eight)) {
        memcpy(&eight, text, sizeof(eight));
        if (!are_plain(eight))
            break;
        memcpy(at, &eight, sizeof(eight));
        at += sizeof(eight);
        text += sizeof(eight);
    }
    for (;;) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '\0')
            return at;
        if (byte == '\\' || byte == '\n' || (byte == '"' && quoted)) {
            *at++ = '\\';
            *at++ = byte == '\n' ? 'n' : (char)byte;
            text++;
        } else if (byte < 0x80) {
            *at++ = (char)byte;
            text++;
        } else {
            uint32_t code;
            bool valid;
            size_t used = kvtel_utf8_next(text, strnlen(text, 4), &code, &valid);
            at = valid ? put(at, text, used) : put(at, "\xEF\xBF\xBD", 3);
            text += used;
        }
    }
}

/* Writes "# KEYWORD name" and a blank; `keyword` has both blanks. */
static char *put_keyword(char *at, const char *keyword, const char *name, const char *suffix)
{
    at = put(at, keyword, strlen(keyword));
    at = put(at, name, strlen(name));
    at = put(at, suffix, strlen(suffix));
    *at++ = ' ';
    return at;
}

enum kvtel_status kvtel_text_head(const struct kvtel_snapshot_family *family, bool openmetrics,
                                  struct kvtel_buffer *buffer)
{
    size_t name_size = strlen(family->name), help_size = strlen(family->help);
    const char *suffix = family->type == KVTEL_COUNTER && !openmetrics ? "_total" : "";
    const char *type = kvtel_metric_type_name(family->type), *unit = openmetrics ? kvtel_family_unit(family) : "";
    enum kvtel_status status = kvtel_buffer_reserve(buffer, 3 * name_size + 3 * help_size + 2 * (size_t)SLACK);
    if (status != KVTEL_OK)
        return status;
    char *at = buffer->bytes + buffer->size;
    at = put_keyword(at, "# HELP ", family->name, suffix);
    at = kvtel_text_escape(at, family->help, openmetrics);
    *at++ = '\n';
    at = put_keyword(at, "# TYPE ", family->name, suffix);
    at = put(at, type, strlen(type));
    *at++ = '\n';
    if (*unit) {
        at = put_keyword(at, "# UNIT ", family->name, "");
        at = put(at, unit, strlen(unit));
        *at++ = '\n';
    }
    buffer->size = (size_t)(at - buffer->bytes);
    return KVTEL_OK;
}

/* Sorts the labels, renders the bounds, and computes the sizes. */
enum kvtel_status kvtel_family_text_init(struct kvtel_family_text *text, const struct kvtel_snapshot_family *family)
{
    size_t bounds = family->type == KVTEL_HISTOGRAM ? family->explicit_count + 1 : 0;
    *text = (struct kvtel_family_text){ .family = family, .name_size = strlen(family->name) };
    text->les = calloc(bounds + 1, sizeof *text->les);
    text->order = calloc(family->label_count + 1, sizeof *text->order);
    if (!text->les || !text->order)
        return KVTEL_E_NOMEM;
    text->line_size = text->name_size + strlen("_bucket{le=\"\",} \n") + 2 * (size_t)KVTEL_NUMBER_SIZE;
    kvtel_label_order(family, text->order);
    for (size_t i = 0; i < family->label_count; i++) {
        const char *name = family->labelnames[i];
        text->le_place += strcmp(name, "le") < 0;
        text->line_size += strlen(name) + strlen("=\"\",");
    }
    for (size_t i = 0; i < bounds; i++) {
        struct kvtel_text_number *le = &text->les[i];
        le->size = i + 1 < bounds ? kvtel_number_exposition(family->bounds[family->explicit_bins[i]], le->text)
                                  : (size_t)(stpcpy(le->text, "+Inf") - le->text);
    }
    return KVTEL_OK;
}

void kvtel_family_text_free(struct kvtel_family_text *text)
{
    free(text->les);
    free(text->order);
}

/* Reserves memory for all lines of a series, with label values as long as escaping can make them. */
static enum kvtel_status reserve_series(const struct kvtel_family_text *text,
                                        const struct kvtel_snapshot_series *series, struct kvtel_buffer *buffer)
{
    const struct kvtel_snapshot_family *family = text->family;
    size_t line = text->line_size, all;
    for (size_t i = 0; i < family->label_count; i++)
        line += 3 * strlen(series->values[i]);
    size_t lines = family->type == KVTEL_HISTOGRAM ? family->explicit_count + 3 : 1;
    if (__builtin_mul_overflow(line, lines, &all) || __builtin_add_overflow(all, (size_t)SLACK, &all))
        return KVTEL_E_NOMEM;
    return kvtel_buffer_reserve(buffer, all);
}

/* Writes the labels first .. end - 1 in sorted order, each followed by a comma. */
static char *put_labels(char *at, const struct kvtel_family_text *text, const struct kvtel_snapshot_series *series,
                        size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        size_t label = text->order[i];
        const char *name = text->family->labelnames[label];
        at = put(at, name, strlen(name));
        at = put(at, "=\"", 2);
        at = kvtel_text_escape(at, series->values[label], true);
        at = put(at, "\",", 2);
    }
    return at;
}

static char *put_plain(char *at, const struct kvtel_family_text *text, const struct kvtel_snapshot_series *series)
{
    const struct kvtel_snapshot_family *family = text->family;
    at = put(at, family->name, text->name_size);
    if (family->type == KVTEL_COUNTER)
        at = put(at, "_total", 6);
    if (family->label_count > 0) {
        *at++ = '{';
        at = put_labels(at, text, series, 0, family->label_count);
        at[-1] = '}'; /* replaces the last comma */
    }
    *at++ = ' ';
    return put_value(at, series->value);
}

/* Writes the bucket lines. `before` and `behind` return the places of the other labels in the first line. */
static char *put_buckets(char *at, const struct kvtel_family_text *text, const struct kvtel_snapshot_series *series,
                         struct piece *before, struct piece *behind)
{
    const struct kvtel_snapshot_family *family = text->family;
    const char *start = at;
    at = put(at, family->name, text->name_size);
    at = put(at, "_bucket{", 8);
    before->text = at;
    at = put_labels(at, text, series, 0, text->le_place);
    before->size = (size_t)(at - before->text);
    at = put(at, "le=\"", 4);
    struct piece prefix = { start, (size_t)(at - start) };

    at = put_number(at, &text->les[0]);
    struct piece suffix = { at, 0 };
    at = put(at, "\",", 2);
    behind->text = at - 1;
    at = put_labels(at, text, series, text->le_place, family->label_count);
    at[-1] = '}';
    behind->size = (size_t)(at - 1 - behind->text);
    *at++ = ' ';
    suffix.size = (size_t)(at - suffix.text);

    struct kvtel_text_number value = { .size = 0 };
    uint64_t below = 0;
    for (size_t i = 0;; i++) {
        const uint64_t count =
            i < family->explicit_count ? below + kvtel_explicit_count(family, series, i) : series->count;
        if (count != below || i == 0)
            value.size = (size_t)(put_value(value.text, (double)count) - value.text);
        below = count;
        at = put_number(at, &value);
        if (i == family->explicit_count)
            return at;
        at = put_again(at, prefix);
        at = put_number(at, &text->les[i + 1]);
        at = put_again(at, suffix);
    }
}

static char *put_histogram(char *at, const struct kvtel_family_text *text, const struct kvtel_snapshot_series *series)
{
    struct piece before, behind;
    at = put_buckets(at, text, series, &before, &behind);

    at = put(at, text->family->name, text->name_size);
    at = put(at, "_count", 6);
    struct piece labels = { at, 0 };
    if (text->family->label_count > 0) { /* without le, one of the commas around it is dropped */
        *at++ = '{';
        at = put_again(at, before);
        if (before.size > 0)
            at--;
        else
            behind = (struct piece){ behind.text + 1, behind.size - 1 };
        at = put_again(at, behind);
        *at++ = '}';
    }
    *at++ = ' ';
    labels.size = (size_t)(at - labels.text);
    at = put_value(at, (double)series->count);

    at = put(at, text->family->name, text->name_size);
    at = put(at, "_sum", 4);
    at = put_again(at, labels);
    return put_value(at, series->sum);
}

enum kvtel_status kvtel_text_series(const struct kvtel_family_text *text, const struct kvtel_snapshot_series *series,
                                    struct kvtel_buffer *buffer)
{
    enum kvtel_status status = reserve_series(text, series, buffer);
    if (status != KVTEL_OK)
        return status;
    char *at = buffer->bytes + buffer->size;
    at = text->family->type == KVTEL_HISTOGRAM ? put_histogram(at, text, series) : put_plain(at, text, series);
    buffer->size = (size_t)(at - buffer->bytes);
    return KVTEL_OK;
}

enum kvtel_status kvtel_text_family(const struct kvtel_snapshot_family *family, struct kvtel_buffer *buffer)
{
    size_t size = buffer->size;
    struct kvtel_family_text text;
    enum kvtel_status status = kvtel_family_text_init(&text, family);
    if (status == KVTEL_OK)
        status = kvtel_text_head(family, false, buffer);
    for (size_t i = 0; status == KVTEL_OK && i < family->series_count; i++)
        status = kvtel_text_series(&text, &family->series[i], buffer);
    kvtel_family_text_free(&text);
    if (status != KVTEL_OK)
        buffer->size = size;
    return status;
}
