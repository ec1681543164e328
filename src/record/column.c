/* SPDX-License-Identifier: Apache-2.0 */
/* Taking the values of one column of a block, and finding their cells. */
#include "record/column.h"

/* Copies a column of integers. */
static void take_integers(struct kvtel_column *column, const kvtel_row_word *words, uint32_t stride)
{
    uint64_t sum = 0;
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row++, words += stride) {
        column->words[row] = *words;
        sum += *words;
    }
    column->count = KVTEL_BLOCK_ROWS;
    column->no_integers = false;
    column->no_doubles = true;
    column->sums = (struct kvtel_addition){ .count = KVTEL_BLOCK_ROWS, .integers = sum };
}

/* Copies a column of integers without the absent ones. */
static void take_present(struct kvtel_column *column, const kvtel_row_word *words, uint32_t stride)
{
    uint64_t sum = 0, count = 0;
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row += 4) {
        /* without a branch, because the processor could not predict which values are absent */
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++, words += stride) {
            const uint64_t more = *words + 1;
            column->words[count] = *words;
            count += more != 0; /* KVTEL_NO_VALUE is all ones */
            sum += more;
        }
    }
    column->count = (uint32_t)count;
    column->no_integers = false;
    column->no_doubles = true;
    column->sums = (struct kvtel_addition){ .count = count, .integers = sum - count };
}

/* Copies a column of doubles. */
static void take_doubles(struct kvtel_column *column, const kvtel_row_word *words, uint32_t stride)
{
    double parts[4] = { 0 }; /* so that an addition does not wait for the one before */
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row += 4) {
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++, words += stride) {
            column->words[row + i] = *words;
            parts[i] += kvtel_bits_double(*words);
        }
    }
    column->count = KVTEL_BLOCK_ROWS;
    column->no_integers = true;
    column->no_doubles = false;
    column->sums =
        (struct kvtel_addition){ .count = KVTEL_BLOCK_ROWS, .doubles = (parts[0] + parts[2]) + (parts[1] + parts[3]) };
}

/* The sum of the words that are doubles. A word of 0 is both 0s. */
static double sum_doubles(const struct kvtel_column *column)
{
    double parts[4] = { 0 };
    uint32_t i = 0;
    for (; column->no_integers && i + 4 <= column->count; i += 4)
        for (uint32_t k = 0; k < 4; k++)
            parts[k] += kvtel_bits_double(column->words[i + k]);
    for (; i < column->count; i++)
        parts[i % 4] += column->words[i] < KVTEL_INTEGER_LIMIT ? 0 : kvtel_bits_double(column->words[i]);
    return (parts[0] + parts[2]) + (parts[1] + parts[3]);
}

/* Copies the values of a column without the absent ones. */
static void take_values(struct kvtel_column *column, const kvtel_row_word *words, uint32_t stride)
{
    uint64_t count = 0, low = 0, sum = 0;
    for (uint32_t row = 0; row < KVTEL_BLOCK_ROWS; row++, words += stride) {
        const uint64_t word = *words, integer = -(uint64_t)(word < KVTEL_INTEGER_LIMIT); /* all ones if it is one */
        column->words[count] = word;
        count += word + 1 != 0;
        low -= integer;
        sum += word & integer;
    }
    column->count = (uint32_t)count;
    column->no_integers = sum == 0;
    column->no_doubles = low == count;
    column->sums = (struct kvtel_addition){ .count = count, .integers = sum };
    column->sums.doubles = column->no_doubles ? 0 : sum_doubles(column);
}

void kvtel_column_take(struct kvtel_column *column, const struct kvtel_row_group *group, const kvtel_row_word *block,
                       uint32_t number, uint64_t noted)
{
    const kvtel_row_word *words = block + number;
    column->ns = group->ns >> number & 1;
    if (noted >> KVTEL_NOTED_DOUBLES >> number & 1)
        take_values(column, words, group->columns);
    else if (noted >> number & 1)
        take_present(column, words, group->columns);
    else if (group->doubles >> number & 1)
        take_doubles(column, words, group->columns);
    else
        take_integers(column, words, group->columns);
}

static void find_mixed(const struct kvtel_bins *bins, const struct kvtel_column *column,
                       struct kvtel_column_found *found)
{
    found->lowest = INT16_MAX;
    found->highest = 0;
    for (uint32_t i = 0; i < column->count; i++) {
        const int16_t cell = (int16_t)kvtel_cell_of_word(bins, column->words[i], column->ns);
        found->cells[i] = cell;
        found->lowest = cell < found->lowest ? cell : found->lowest;
        found->highest = cell > found->highest ? cell : found->highest;
    }
}

void kvtel_column_find(struct kvtel_column *column, const struct kvtel_finder *finder, const struct kvtel_bins *bins,
                       struct kvtel_column_found *found)
{
    if (column->count == 0)
        *found = (struct kvtel_column_found){ .lowest = INT16_MAX, .highest = -1 };
    else if (column->no_doubles)
        finder->column(bins, column->ns ? KVTEL_WORDS_NS : KVTEL_WORDS_PIECES, column->words, column->count, found);
    else if (column->no_integers)
        finder->column(bins, KVTEL_WORDS_DOUBLES, column->words, column->count, found);
    else
        find_mixed(bins, column, found);
}
