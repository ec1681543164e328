/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the values of a payload of any kind, appends them to columns, or refuses and counts them. */
#include "base/diagnostics.h"
#include "vllm/stats/decode.h"

#include <float.h>
#include <string.h>

void kvtel_decode_refuse(const struct kvtel_decoder *decoder, enum kvtel_refusal reason, uint64_t n, const char *key,
                         const char *what)
{
    kvtel_diagnostics_refuse(decoder->stats->diagnostics, reason, n, key, "%s: \"%.64s\" %s",
                             decoder->stats->connector->names[0].name, key, what);
}

/* Whether a key or text can be a C string. A name with a NUL inside is not known to any table. */
bool kvtel_decode_is_name(const struct kvtel_value *value)
{
    return value->kind == KVTEL_VALUE_STRING && strlen(value->text) == value->size;
}

struct kvtel_number_range kvtel_number_range(enum kvtel_field_kind kind, enum kvtel_unit unit)
{
    struct kvtel_number_range range = { 0, DBL_MAX, 0, INT64_MAX };
    if (kind == KVTEL_FIELD_LEVEL || kind == KVTEL_FIELD_READING) {
        range.least = -DBL_MAX;
        range.least_integer = INT64_MIN;
    } else if (unit == KVTEL_UNIT_SECONDS) {
        range.most = (double)KVTEL_TRANSFER_LIMIT / 1e9;
        range.most_integer = (int64_t)(KVTEL_TRANSFER_LIMIT / 1000000000);
    }
    return range;
}

enum kvtel_refusal kvtel_number_fault(double number, const struct kvtel_number_range *range)
{
    if (number >= range->least && number <= range->most)
        return KVTEL_REFUSAL_COUNT;
    if (!(number >= -DBL_MAX && number <= DBL_MAX))
        return KVTEL_REFUSED_NOT_FINITE;
    return number < range->least ? KVTEL_REFUSED_NEGATIVE : KVTEL_REFUSED_IMPLAUSIBLE;
}

enum kvtel_refusal kvtel_decode_judge(const struct kvtel_value *value, const struct kvtel_number_range *range)
{
    if (value->kind == KVTEL_VALUE_DOUBLE)
        return kvtel_number_fault(value->number, range);
    if (value->kind != KVTEL_VALUE_INTEGER)
        return KVTEL_REFUSED_WRONG_TYPE;
    if (value->integer < range->least_integer)
        return KVTEL_REFUSED_NEGATIVE;
    return value->integer > range->most_integer ? KVTEL_REFUSED_IMPLAUSIBLE : KVTEL_REFUSAL_COUNT;
}

enum kvtel_refusal kvtel_decode_judge_text(const struct kvtel_value *value)
{
    if (!kvtel_decode_is_name(value))
        return KVTEL_REFUSED_WRONG_TYPE;
    return value->size > KVTEL_TEXT_LIMIT ? KVTEL_REFUSED_LONG_TEXT : KVTEL_REFUSAL_COUNT;
}

const char *kvtel_decode_why(enum kvtel_refusal reason)
{
    switch (reason) {
    case KVTEL_REFUSED_LONG_TEXT:
        return "has a text that is longer than 1,024 bytes";
    case KVTEL_REFUSED_WRONG_TYPE:
        return "contains something that is not a number";
    case KVTEL_REFUSED_NOT_FINITE:
        return "holds NaN or infinity";
    case KVTEL_REFUSED_IMPLAUSIBLE:
        return "holds a time past what any clock measures (2^62 ns); are two clocks compared?";
    default:
        return "holds a number below zero";
    }
}

enum kvtel_status kvtel_decode_number(struct kvtel_column *column, const struct kvtel_value *value)
{
    bool is_double = value->kind == KVTEL_VALUE_DOUBLE;
    bool mixed = column->count > 0 && column->type != (is_double ? KVTEL_COLUMN_DOUBLES : KVTEL_COLUMN_INTEGERS);
    enum kvtel_status status = kvtel_column_reserve(column, 1, mixed);
    if (status != KVTEL_OK)
        return status;
    if (is_double)
        kvtel_column_append_double(column, value->number);
    else
        kvtel_column_append_integer(column, value->integer);
    return KVTEL_OK;
}

/* Appends the usual list, of one kind and all usable, in one tight loop. False: nothing was appended, and each value
 * must be examined. */
static bool append_uniform(struct kvtel_column *column, const struct kvtel_value *list,
                           const struct kvtel_number_range *given)
{
    uint32_t i = 0;
    const struct kvtel_number_range range = *given;
    union kvtel_number *out = column->values;
    if (list->size == 0 || column->count > 0)
        return list->size == 0;
    if (list->items[0].kind == KVTEL_VALUE_DOUBLE) {
        for (; i < list->size; i++) {
            const struct kvtel_value *item = &list->items[i];
            if (item->kind != KVTEL_VALUE_DOUBLE || !(item->number >= range.least && item->number <= range.most))
                return false;
            out[i].number = item->number;
        }
        column->type = KVTEL_COLUMN_DOUBLES;
    } else {
        for (; i < list->size; i++) {
            const struct kvtel_value *item = &list->items[i];
            if (item->kind != KVTEL_VALUE_INTEGER || item->integer < range.least_integer ||
                item->integer > range.most_integer)
                return false;
            out[i].integer = item->integer;
        }
        column->type = KVTEL_COLUMN_INTEGERS;
    }
    column->count = list->size;
    return true;
}

/* Appends a list. An unusable value is stored as 0 until its row is dropped, so that columns stay aligned, and
 * (*bad)[row] is set to 1 + the reason. */
enum kvtel_status kvtel_decode_list(struct kvtel_decoder *decoder, struct kvtel_column *column,
                                    const struct kvtel_value *list, const struct kvtel_number_range *range,
                                    uint8_t **bad)
{
    static const struct kvtel_value zero = { .kind = KVTEL_VALUE_INTEGER };
    enum kvtel_status status = kvtel_column_reserve(column, list->size, false);
    if (status != KVTEL_OK || append_uniform(column, list, range))
        return status;
    for (uint32_t i = 0; i < list->size; i++) {
        enum kvtel_refusal reason = kvtel_decode_judge(&list->items[i], range);
        if (reason != KVTEL_REFUSAL_COUNT && !*bad) {
            *bad = kvtel_arena_alloc(&decoder->stats->arena, list->size);
            if (!*bad)
                return KVTEL_E_NOMEM;
            memset(*bad, 0, list->size);
        }
        if (reason != KVTEL_REFUSAL_COUNT)
            (*bad)[i] = (uint8_t)(reason + 1);
        status = kvtel_decode_number(column, reason == KVTEL_REFUSAL_COUNT ? &list->items[i] : &zero);
        if (status != KVTEL_OK)
            return status;
    }
    return KVTEL_OK;
}

/* Drops the rows that are unusable in any of the columns; each row counts once. */
void kvtel_decode_drop_bad_rows(struct kvtel_decoder *decoder, struct kvtel_column **columns, uint8_t **bad,
                                const char *const *keys, size_t count)
{
    uint8_t *drop = NULL;
    size_t first = 0;
    for (size_t c = 0; c < count && !drop; c++)
        if (bad[c]) {
            drop = bad[c];
            first = c;
        }
    if (!drop)
        return;
    /* Columns of a transfer were cut to one length before, so row i is the same transfer in each. */
    for (size_t c = first + 1; c < count; c++)
        for (size_t i = 0; bad[c] && i < columns[first]->count; i++)
            if (!drop[i])
                drop[i] = bad[c][i];
    uint64_t refused[KVTEL_REFUSAL_COUNT] = { 0 };
    for (size_t i = 0; i < columns[first]->count; i++)
        if (drop[i])
            refused[drop[i] - 1]++;
    for (unsigned reason = 0; reason < KVTEL_REFUSAL_COUNT; reason++)
        if (refused[reason] > 0)
            kvtel_decode_refuse(decoder, (enum kvtel_refusal)reason, refused[reason], keys[first],
                                kvtel_decode_why((enum kvtel_refusal)reason));
    for (size_t c = 0; c < count; c++)
        if (columns[c]->count > 0)
            kvtel_column_drop_rows(columns[c], drop);
}
