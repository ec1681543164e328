/* SPDX-License-Identifier: Apache-2.0 */
/* A column of numbers. */
#include "vllm/stats/column.h"

#include <stdlib.h>
#include <string.h>

enum { KEPT_CAPACITY = 4096 };

static void free_summary(struct kvtel_distribution *summary)
{
    if (summary)
        free(summary->bins);
    free(summary);
}

void kvtel_column_free(struct kvtel_column *column)
{
    free(column->values);
    free(column->doubles);
    free_summary(column->summary);
    free_summary(column->prepared);
    free(column->labels);
}

void kvtel_column_clear(struct kvtel_column *column)
{
    if (column->summary || column->capacity > KEPT_CAPACITY) {
        kvtel_column_free(column);
        memset(column, 0, sizeof *column);
    }
    if (column->doubles) { /* `doubles` has `capacity` entries only while the column is mixed */
        free(column->doubles);
        column->doubles = NULL;
    }
    column->count = 0;
    column->type = KVTEL_COLUMN_INTEGERS;
}

enum kvtel_status kvtel_column_reserve(struct kvtel_column *column, size_t more, bool mixed)
{
    size_t need;
    if (__builtin_add_overflow(column->count, more, &need) || need > SIZE_MAX / 2 / sizeof *column->values)
        return KVTEL_E_NOMEM;
    size_t capacity = column->capacity;
    if (need > capacity) {
        /* The first allocation is exact, because most payloads never grow; later ones double the capacity. */
        capacity = column->count == 0 || need > capacity * 2 ? need : capacity * 2;
        union kvtel_number *values = realloc(column->values, capacity * sizeof *values);
        if (!values)
            return KVTEL_E_NOMEM;
        column->values = values;
    }
    if (mixed || column->type == KVTEL_COLUMN_MIXED) {
        /* The array of an earlier mixed list may be shorter than `capacity`. */
        if (column->type != KVTEL_COLUMN_MIXED || capacity > column->capacity) {
            uint8_t *doubles = realloc(column->doubles, capacity ? capacity : 1);
            if (!doubles)
                return KVTEL_E_NOMEM; /* a longer `values` is harmless: `capacity` keeps the smaller number */
            column->doubles = doubles;
        }
        if (column->type != KVTEL_COLUMN_MIXED) {
            memset(column->doubles, column->type == KVTEL_COLUMN_DOUBLES, column->count);
            column->type = KVTEL_COLUMN_MIXED;
        }
    }
    column->capacity = capacity;
    return KVTEL_OK;
}

void kvtel_column_append_integer(struct kvtel_column *column, int64_t value)
{
    if (column->count == 0 && column->type == KVTEL_COLUMN_DOUBLES)
        column->type = KVTEL_COLUMN_INTEGERS;
    if (column->type == KVTEL_COLUMN_MIXED)
        column->doubles[column->count] = 0;
    column->values[column->count++].integer = value;
}

void kvtel_column_append_double(struct kvtel_column *column, double value)
{
    if (column->count == 0 && column->type == KVTEL_COLUMN_INTEGERS)
        column->type = KVTEL_COLUMN_DOUBLES;
    if (column->type == KVTEL_COLUMN_MIXED)
        column->doubles[column->count] = 1;
    column->values[column->count++].number = value;
}

bool kvtel_column_mixes(const struct kvtel_column *column, const struct kvtel_column *other)
{
    return other->count > 0 &&
           (other->type == KVTEL_COLUMN_MIXED || (column->count > 0 && column->type != other->type));
}

void kvtel_column_append_column(struct kvtel_column *column, const struct kvtel_column *other, size_t from,
                                size_t count)
{
    if (count == 0)
        return;
    if (column->count == 0 && column->type != KVTEL_COLUMN_MIXED)
        column->type = other->type;
    memcpy(column->values + column->count, other->values + from, count * sizeof *column->values);
    if (column->type == KVTEL_COLUMN_MIXED) {
        if (other->type == KVTEL_COLUMN_MIXED)
            memcpy(column->doubles + column->count, other->doubles + from, count);
        else
            memset(column->doubles + column->count, other->type == KVTEL_COLUMN_DOUBLES, count);
    }
    column->count += count;
}

bool kvtel_column_is_double(const struct kvtel_column *column, size_t i)
{
    return column->type == KVTEL_COLUMN_DOUBLES || (column->type == KVTEL_COLUMN_MIXED && column->doubles[i]);
}

double kvtel_column_number(const struct kvtel_column *column, size_t i)
{
    return kvtel_column_is_double(column, i) ? column->values[i].number : (double)column->values[i].integer;
}

void kvtel_column_copy_doubles(const struct kvtel_column *column, double *out)
{
    switch (column->type) {
    case KVTEL_COLUMN_DOUBLES:
        for (size_t i = 0; i < column->count; i++)
            out[i] = column->values[i].number;
        break;
    case KVTEL_COLUMN_INTEGERS:
        for (size_t i = 0; i < column->count; i++)
            out[i] = (double)column->values[i].integer;
        break;
    case KVTEL_COLUMN_MIXED:
        for (size_t i = 0; i < column->count; i++)
            out[i] = kvtel_column_number(column, i);
        break;
    }
}

/* Overwrite the only value (or append the first one) and keep its kind. Room must have been made. */
static void set_integer(struct kvtel_column *column, int64_t value)
{
    column->count = 0;
    kvtel_column_append_integer(column, value);
}

static void set_double(struct kvtel_column *column, double value)
{
    column->count = 0;
    kvtel_column_append_double(column, value);
}

void kvtel_column_add(struct kvtel_column *column, const struct kvtel_column *other)
{
    int64_t sum;
    if (column->count == 0)
        kvtel_column_append_column(column, other, 0, 1);
    else if (!kvtel_column_is_double(column, 0) && !kvtel_column_is_double(other, 0) &&
             !__builtin_add_overflow(column->values[0].integer, other->values[0].integer, &sum))
        set_integer(column, sum);
    else
        set_double(column, kvtel_column_number(column, 0) + kvtel_column_number(other, 0));
}

void kvtel_column_drop_rows(struct kvtel_column *column, const uint8_t *drop)
{
    size_t kept = 0;
    for (size_t i = 0; i < column->count; i++) {
        if (drop[i])
            continue;
        column->values[kept] = column->values[i];
        if (column->type == KVTEL_COLUMN_MIXED)
            column->doubles[kept] = column->doubles[i];
        kept++;
    }
    column->count = kept;
}

size_t kvtel_column_keep_last(struct kvtel_column *column)
{
    size_t last = column->count - 1;
    if (column->count < 2)
        return 0;
    column->values[0] = column->values[last];
    if (column->type == KVTEL_COLUMN_MIXED)
        column->doubles[0] = column->doubles[last];
    column->count = 1;
    return last;
}

size_t kvtel_column_total_count(const struct kvtel_column *column)
{
    return column->summary ? (size_t)column->summary->count : column->count;
}

static enum kvtel_status reserve_numbers(struct kvtel_distribution *summary, const struct kvtel_column *column)
{
    double smallest = 0, largest = 0;
    for (size_t i = 0; i < column->count; i++) {
        double value = kvtel_column_number(column, i);
        if (value > largest)
            largest = value;
        if (value > 0 && (smallest == 0 || value < smallest))
            smallest = value;
    }
    return largest > 0 ? kvtel_distribution_reserve(summary, smallest, largest) : KVTEL_OK;
}

static enum kvtel_status reserve_texts(struct kvtel_distribution *summary, const struct kvtel_column *column)
{
    int64_t largest = -1;
    for (size_t i = 0; i < column->count; i++)
        if (column->values[i].integer > largest)
            largest = column->values[i].integer;
    return kvtel_distribution_reserve_texts(summary, (size_t)(largest + 1));
}

static void add_numbers(struct kvtel_distribution *summary, const struct kvtel_column *column)
{
    for (size_t i = 0; i < column->count; i++) {
        if (kvtel_column_is_double(column, i))
            kvtel_distribution_add_double(summary, column->values[i].number);
        else
            kvtel_distribution_add_integer(summary, column->values[i].integer);
    }
}

enum kvtel_status kvtel_column_prepare_summary(struct kvtel_column *column, bool texts)
{
    struct kvtel_distribution *summary = calloc(1, sizeof *summary);
    if (!summary)
        return KVTEL_E_NOMEM;
    enum kvtel_status status = texts ? reserve_texts(summary, column) : reserve_numbers(summary, column);
    if (status != KVTEL_OK) {
        free(summary);
        return status;
    }
    if (!texts)
        add_numbers(summary, column);
    for (size_t i = 0; texts && i < column->count; i++)
        kvtel_distribution_add_text(summary, (size_t)column->values[i].integer, 1);
    column->prepared = summary;
    return KVTEL_OK;
}

void kvtel_column_adopt_summary(struct kvtel_column *column)
{
    if (!column->prepared)
        return;
    free(column->values);
    free(column->doubles);
    column->values = NULL;
    column->doubles = NULL;
    column->type = KVTEL_COLUMN_INTEGERS;
    column->count = column->capacity = 0;
    column->summary = column->prepared;
    column->prepared = NULL;
}

void kvtel_column_drop_prepared(struct kvtel_column *column)
{
    free_summary(column->prepared);
    column->prepared = NULL;
}

enum kvtel_status kvtel_column_reserve_summary(struct kvtel_column *column, const struct kvtel_column *other)
{
    struct kvtel_distribution *summary = column->prepared ? column->prepared : column->summary;
    return other->summary ? kvtel_distribution_reserve_like(summary, other->summary) : reserve_numbers(summary, other);
}

void kvtel_column_add_to_summary(struct kvtel_column *column, const struct kvtel_column *other)
{
    if (other->summary)
        kvtel_distribution_merge(column->summary, other->summary);
    else
        add_numbers(column->summary, other);
}
