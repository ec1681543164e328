/* SPDX-License-Identifier: Apache-2.0 */
/* Reading rows one by one. record/lane.h describes how they are written. */
#include "collect/new_rows.h"
#include "collect/attempt.h"

#include <stdlib.h>

void kvtel_new_rows_free(struct kvtel_new_rows *rows)
{
    free(rows->parts);
    free(rows->words.words);
    free(rows->lines.words);
    *rows = (struct kvtel_new_rows){ 0 };
}

static const struct kvtel_layout_group *group_of(const struct kvtel_view *view, const struct kvtel_new_part *part)
{
    return &view->groups[part->group];
}

static size_t words_of(const struct kvtel_view *view, const struct kvtel_new_part *part)
{
    return (size_t)(part->to - part->from) * group_of(view, part)->columns;
}

/* The mark of the first series stands for all series of a group. */
static uint8_t *mark_of(const struct kvtel_view *view, const struct kvtel_new_part *part, uint8_t *wanted)
{
    return &wanted[view->feeds[group_of(view, part)->feeds_at].series];
}

static bool is_left_to_others(const struct kvtel_view *view, const struct kvtel_new_part *part, const uint8_t *wanted)
{
    return wanted[view->feeds[group_of(view, part)->feeds_at].series];
}

bool kvtel_new_rows_note(struct kvtel_new_rows *rows, const struct kvtel_view *view, const struct kvtel_new_part *part)
{
    if (rows->count == rows->room) {
        const size_t room = rows->room > 0 ? 2 * rows->room : 16;
        struct kvtel_new_part *parts = realloc(rows->parts, room * sizeof(*parts));
        if (!parts)
            return false;
        rows->parts = parts;
        rows->room = room;
    }
    rows->parts[rows->count] = *part;
    rows->parts[rows->count++].at = rows->word_count;
    rows->word_count += words_of(view, part);
    return true;
}

/* -- Reading -- */

/* Copies the rows of a part, in two pieces if they go beyond the block's end. */
static enum kvtel_status read_part(const struct kvtel_new_rows *rows, const struct kvtel_view *view,
                                   const struct kvtel_new_part *part, struct kvtel_scratch *scratch)
{
    const struct kvtel_layout_group *group = group_of(view, part);
    uint64_t *copy = rows->words.words + part->at;
    enum kvtel_status status = KVTEL_OK;
    for (uint64_t row = part->from, next; row < part->to && status == KVTEL_OK; row = next) {
        const uint64_t place = row % KVTEL_BLOCK_ROWS, end = row - place + KVTEL_BLOCK_ROWS;
        next = end < part->to ? end : part->to;
        const size_t words = (size_t)(next - row) * group->columns;
        scratch->read += words;
        if (view->most_words > 0 && scratch->read > view->most_words)
            return KVTEL_E_LIMIT;
        status = view->read(view->context, part->lane, group->block_at + place * group->columns, words, copy);
        copy += words;
    }
    return status;
}

/* The head of a part's group now. */
static enum kvtel_status read_head(const struct kvtel_new_rows *rows, const struct kvtel_view *view,
                                   const struct kvtel_new_part *part, uint64_t *head)
{
    if (part->group >= KVTEL_LINE_GROUPS)
        return view->read(view->context, part->lane,
                          (uint64_t)group_of(view, part)->slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_HEAD, 1, head);
    *head = rows->lines.words[(size_t)part->lane * KVTEL_LINE_WORDS + KVTEL_LINE_HEADS + part->group];
    return KVTEL_OK;
}

/* Whether what a feed's rows add can be added to the sums of before, and the result is that of a whole reading. A fold
 * adds doubles in another order than a reader, so after one the sum must be read. */
static bool can_add(const struct kvtel_new_rows *rows, const struct kvtel_view *view, const struct kvtel_new_part *part,
                    const struct kvtel_layout_feed *feed, const struct kvtel_lane_sum *sum)
{
    const uint64_t columns = group_of(view, part)->columns;
    const uint64_t *word = rows->words.words + part->at + feed->column;
    uint64_t integers = sum->integers;
    bool doubles = false, good = true;
    for (uint64_t row = part->from; row < part->to; row++, word += columns) {
        if (*word < KVTEL_INTEGER_LIMIT) {
            integers += *word;
        } else if (*word != KVTEL_NO_VALUE) {
            doubles = true;
            good = good && kvtel_word_is_present(*word);
        }
    }
    const bool folded =
        part->from % KVTEL_BLOCK_ROWS == 0 || part->from / KVTEL_BLOCK_ROWS != part->to / KVTEL_BLOCK_ROWS;
    if (feed->kind == KVTEL_COLUMN_ONE)
        return good;
    return good && integers <= KVTEL_INTEGERS_MAX && !(folded && (doubles || sum->doubles != 0));
}

static bool is_usable(const struct kvtel_new_rows *rows, const struct kvtel_view *view,
                      const struct kvtel_new_part *part, uint64_t head, const struct kvtel_seen_rows *seen)
{
    const struct kvtel_layout_group *group = group_of(view, part);
    const struct kvtel_lane_sum *sums = seen->sums + (size_t)part->lane * view->series_count;
    bool good = head >= part->to && head - part->from <= KVTEL_NEW_ROWS_MOST;
    for (uint32_t i = 0; i < group->feed_count && good; i++) {
        const struct kvtel_layout_feed *feed = &view->feeds[group->feeds_at + i];
        good = can_add(rows, view, part, feed, &sums[feed->series]);
    }
    return good;
}

enum kvtel_status kvtel_new_rows_read(struct kvtel_new_rows *rows, const struct kvtel_view *view,
                                      struct kvtel_scratch *scratch, const struct kvtel_seen_rows *seen,
                                      uint8_t *wanted)
{
    if (!kvtel_slots_reserve(&rows->words, rows->word_count) ||
        !kvtel_slots_reserve(&rows->lines, (size_t)view->lane_count * KVTEL_LINE_WORDS))
        return KVTEL_E_NOMEM;
    enum kvtel_status status = KVTEL_OK;
    for (size_t i = 0; i < rows->count && status == KVTEL_OK; i++)
        status = read_part(rows, view, &rows->parts[i], scratch);
    if (status == KVTEL_OK && rows->count > 0)
        status = view->read_lines(view->context, 0, view->lane_count, rows->lines.words);
    for (size_t i = 0; i < rows->count && status == KVTEL_OK; i++) {
        const struct kvtel_new_part *part = &rows->parts[i];
        uint64_t head;
        status = read_head(rows, view, part, &head);
        if (status == KVTEL_OK && !is_usable(rows, view, part, head, seen))
            *mark_of(view, part, wanted) = 1;
    }
    return status;
}

/* -- Adding -- */

static const struct kvtel_bins *layout_of(const struct kvtel_view *view, const struct kvtel_bins *const *layouts,
                                          uint32_t series)
{
    return layouts[view->series[series].family];
}

static uint32_t bin_of(const struct kvtel_bins *layout, uint64_t word, bool ns)
{
    return kvtel_bins_find(layout, kvtel_double_bits(kvtel_word_value(word, ns)));
}

/* Makes room for the values of a histogram. */
static bool reserve_feed(const struct kvtel_new_rows *rows, const struct kvtel_layout_group *group,
                         const struct kvtel_new_part *part, const struct kvtel_layout_feed *feed,
                         const struct kvtel_bins *layout, struct kvtel_source_series *series)
{
    const uint64_t *word = rows->words.words + part->at + feed->column;
    const bool ns = group->ns >> feed->column & 1;
    uint32_t lowest = UINT32_MAX, highest = 0;
    for (uint64_t row = part->from; row < part->to; row++, word += group->columns) {
        if (*word == KVTEL_NO_VALUE)
            continue;
        const uint32_t bin = bin_of(layout, *word, ns);
        lowest = bin < lowest ? bin : lowest;
        highest = bin > highest ? bin : highest;
    }
    return lowest > highest || kvtel_source_series_widen(series, layout, lowest, highest + 1);
}

bool kvtel_new_rows_reserve(const struct kvtel_new_rows *rows, const struct kvtel_view *view,
                            const struct kvtel_bins *const *layouts, const uint8_t *wanted,
                            struct kvtel_source_series *series)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct kvtel_new_part *part = &rows->parts[i];
        const struct kvtel_layout_group *group = group_of(view, part);
        for (uint32_t k = 0; k < group->feed_count && !is_left_to_others(view, part, wanted); k++) {
            const struct kvtel_layout_feed *feed = &view->feeds[group->feeds_at + k];
            if (feed->kind == KVTEL_COLUMN_OBSERVE &&
                !reserve_feed(rows, group, part, feed, layout_of(view, layouts, feed->series), &series[feed->series]))
                return false;
        }
    }
    return true;
}

/* Adds the values of a column to the sums of its lane; `layout`: those of a histogram also to the bins. Returns their
 * number. */
static uint64_t add_words(const struct kvtel_new_rows *rows, const struct kvtel_layout_group *group,
                          const struct kvtel_new_part *part, const struct kvtel_layout_feed *feed,
                          const struct kvtel_bins *layout, struct kvtel_lane_sum *sum,
                          struct kvtel_source_series *series)
{
    const uint64_t *word = rows->words.words + part->at + feed->column;
    const bool ns = group->ns >> feed->column & 1;
    struct kvtel_parts *parts = series->value.parts ? series->parts : NULL;
    uint64_t count = 0;
    for (uint64_t row = part->from; row < part->to; row++, word += group->columns) {
        if (*word == KVTEL_NO_VALUE)
            continue;
        count++;
        if (feed->kind == KVTEL_COLUMN_ONE)
            sum->doubles += 1;
        else if (*word < KVTEL_INTEGER_LIMIT)
            sum->integers += *word;
        else
            sum->doubles += kvtel_bits_double(*word);
        if (!layout)
            continue;
        const uint64_t bits = kvtel_double_bits(kvtel_word_value(*word, ns));
        const uint32_t bin = kvtel_bins_find(layout, bits);
        series->value.bins[bin - series->value.first]++;
        series->buckets[kvtel_bins_bucket(layout, bin)]++;
        if (parts)
            parts->counts[kvtel_bins_part(layout, bits) - parts->first]++;
    }
    return count;
}

/* The total over all lanes, in the order of a whole reading. */
static double total_of(const struct kvtel_view *view, const struct kvtel_seen_rows *seen, uint32_t series, bool ns)
{
    double total = 0;
    for (uint32_t lane = 0; lane < view->lane_count; lane++) {
        const struct kvtel_lane_sum *sum = &seen->sums[(size_t)lane * view->series_count + series];
        total = kvtel_collected_sum(total + sum->direct, sum, ns);
    }
    return total;
}

/* Sets the totals of a group's series that changed. */
static void add_up(const struct kvtel_view *view, const struct kvtel_layout_group *group, const uint8_t *wanted,
                   uint64_t state, const struct kvtel_seen_rows *seen, struct kvtel_source_series *series)
{
    const struct kvtel_layout_feed *feeds = &view->feeds[group->feeds_at];
    for (uint32_t k = 0; k < group->feed_count && !wanted[feeds[0].series]; k++) {
        struct kvtel_source_series *into = &series[feeds[k].series];
        if (into->changed != state)
            continue;
        const double total = total_of(view, seen, feeds[k].series, group->ns >> feeds[k].column & 1);
        double *sum = feeds[k].kind == KVTEL_COLUMN_OBSERVE ? &into->value.sum : &into->value.value;
        *sum = total > *sum ? total : *sum; /* in another order of additions the last digits may be lower */
    }
}

bool kvtel_new_rows_add(const struct kvtel_new_rows *rows, const struct kvtel_view *view,
                        const struct kvtel_bins *const *layouts, const uint8_t *wanted, uint64_t state,
                        struct kvtel_seen_rows *seen, struct kvtel_source_series *series)
{
    bool changed = false;
    for (size_t i = 0; i < rows->count; i++) {
        const struct kvtel_new_part *part = &rows->parts[i];
        const struct kvtel_layout_group *group = group_of(view, part);
        if (is_left_to_others(view, part, wanted))
            continue;
        seen->heads[(size_t)part->lane * view->group_count + part->group] = part->to;
        for (uint32_t k = 0; k < group->feed_count; k++) {
            const struct kvtel_layout_feed *feed = &view->feeds[group->feeds_at + k];
            const bool histogram = feed->kind == KVTEL_COLUMN_OBSERVE;
            struct kvtel_source_series *into = &series[feed->series];
            const uint64_t count =
                add_words(rows, group, part, feed, histogram ? layout_of(view, layouts, feed->series) : NULL,
                          &seen->sums[(size_t)part->lane * view->series_count + feed->series], into);
            if (count == 0)
                continue;
            into->value.count += histogram ? count : 0;
            into->changed = state;
            changed = true;
        }
    }
    for (uint32_t i = 0; i < view->group_count && changed; i++)
        add_up(view, &view->groups[i], wanted, state, seen, series);
    return changed;
}
