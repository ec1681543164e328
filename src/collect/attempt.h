/* SPDX-License-Identifier: Apache-2.0 */
/* An attempt to read the rows of a group in one lane: its words, and what is done with them in turn. record/lane.h
 * describes how they are written. */
#ifndef KVTEL_COLLECT_ATTEMPT_H
#define KVTEL_COLLECT_ATTEMPT_H

#include "collect/collect.h"
#include "collect/plausible.h"
#include "record/lane.h"

/* An attempt to read some feeds of a group in one lane. */
struct kvtel_attempt {
    const struct kvtel_view *view;
    const struct kvtel_layout_group *group;
    const struct kvtel_layout_feed *feeds;
    uint32_t feed_count, lane;
    struct kvtel_collected *series;
    struct kvtel_arena *arena;
    struct kvtel_scratch *scratch; /* counts the words read */
    bool again_and_again;          /* this is a retry */
    /* Slots before and after rows and cells were copied: first the group's, then those of each feed. */
    uint64_t *before, *after;
    uint32_t slots_at[2 + KVTEL_LAYOUT_COLUMNS]; /* words of the copies where each one's slots begin; then their size */
    /* Rows; the cells of all feeds, one after the other; a second copy of one feed's cells. */
    uint64_t *rows, *cells, *again;
    struct kvtel_lane_sum *sums;             /* out, for each series of the store; may be NULL */
    uint64_t in_cells[KVTEL_LAYOUT_COLUMNS]; /* first values of the block that are in each feed's cells already */
};

/* The copy of the group's slot. */
static inline const uint64_t *kvtel_group_slot(const struct kvtel_attempt *try)
{
    return try->before;
}

/* The copy of the slots of feed `i`. */
static inline const uint64_t *kvtel_feed_slots(const struct kvtel_attempt *try, uint32_t i)
{
    return try->before + try->slots_at[1 + i];
}

/* Whether the integers of feed `i` are nanoseconds. */
static inline bool kvtel_feed_is_ns(const struct kvtel_attempt *try, uint32_t i)
{
    return try->group->ns >> try->feeds[i].column & 1;
}

/* Number of rows of the block that are not folded into feed `i` yet. */
static inline uint64_t kvtel_feed_pending(const struct kvtel_attempt *try, uint32_t i)
{
    return kvtel_group_slot(try)[KVTEL_SLOT_HEAD] - kvtel_feed_slots(try, i)[KVTEL_SLOT_SEQ] / 2 * KVTEL_BLOCK_ROWS;
}

/* The first slot of the group (0) or of a feed (from 1 on). */
static inline uint32_t kvtel_attempt_first(const struct kvtel_attempt *try, uint32_t i)
{
    return i == 0 ? try->group->slot : try->view->series[try->feeds[i - 1].series].slot;
}

/* Number of words of a feed's slots. */
static inline uint32_t kvtel_feed_slot_words(const struct kvtel_view *view, const struct kvtel_layout_feed *feed)
{
    const struct kvtel_layout_family *family = &view->families[view->series[feed->series].family];
    return KVTEL_SLOT_WORDS * (feed->kind == KVTEL_COLUMN_OBSERVE ? kvtel_slots_of(family->bound_count) : 1);
}

/* Number of words of the group's slot (0) or of a feed's (from 1 on). */
static inline uint32_t kvtel_attempt_words(const struct kvtel_attempt *try, uint32_t i)
{
    return try->slots_at[1 + i] - try->slots_at[i];
}

/* The folded sum of a feed in the unit in which it is shown. */
static inline double kvtel_feed_folded(const struct kvtel_attempt *try, uint32_t i)
{
    const bool histogram = try->feeds[i].kind == KVTEL_COLUMN_OBSERVE;
    const uint64_t *slots = kvtel_feed_slots(try, i), which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    const uint64_t integers = slots[(histogram ? KVTEL_SLOT_TOTAL : KVTEL_SLOT_INTEGERS) + which];
    return kvtel_bits_double(slots[KVTEL_SLOT_SUM + which]) +
           kvtel_collected_integers(integers, kvtel_feed_is_ns(try, i));
}

/* How many values a cell of the copy holds. */
static inline uint64_t kvtel_cell_count(const uint64_t *slots, const uint64_t *cells, uint32_t cell)
{
    const uint64_t first = slots[KVTEL_SLOT_FIRST], end = slots[KVTEL_SLOT_END];
    return cell >= first && cell < end ? cells[cell - first] : 0;
}

/* Values of the split's cell at or below its bound. */
static inline uint64_t kvtel_below_split(const uint64_t *slots, const struct kvtel_bins *layout,
                                         const struct kvtel_split *split)
{
    const uint64_t which = slots[KVTEL_SLOT_SEQ] / 2 & 1;
    return slots[KVTEL_SLOT_BELOW + which * layout->explicit_count + split->bound];
}

/* Whether a word of a row is a value. */
static inline bool kvtel_word_is_present(uint64_t word)
{
    /* an integer or a double that is not negative, in one comparison: these doubles have the order of their bits */
    const uint64_t most = kvtel_double_bits(KVTEL_AMOUNT_MAX);
    return word <= most || kvtel_is_amount(kvtel_bits_double(word));
}

/* Notes where the slots of the group and of each feed stand in the copies. */
void kvtel_attempt_place(struct kvtel_attempt *try);

/* Reads the group's head, where it is in the lane's line, into the copy of its slot. */
enum kvtel_status kvtel_attempt_head(const struct kvtel_attempt *try, uint64_t *copies);

/* Copies the slots of the group and its feeds, in one read if they are close to each other. */
enum kvtel_status kvtel_attempt_slots(const struct kvtel_attempt *try, uint64_t *copies);

/* Copies the bins of a histogram that its slot marks as used. During a fold they are copied twice: bins only grow,
 * so two equal copies show the state at one moment. */
enum kvtel_status kvtel_attempt_cells(const struct kvtel_attempt *try, uint32_t i, uint64_t *cells);

/* Copies the rows and bins that belong to the slots in `before`. KVTEL_E_BUSY: the writer went on in the meantime,
 * and the next attempt starts from `after`. KVTEL_E_FORMAT: the writer did not go on, and the slots contradict each
 * other. */
enum kvtel_status kvtel_attempt_copy(struct kvtel_attempt *try);

/* Whether each word of the rows that are not folded into every feed is an amount or absent. */
bool kvtel_attempt_are_rows(const struct kvtel_attempt *try);

/* Whether a correct writer can have produced the folded sums of a feed. */
bool kvtel_feed_are_sums(const struct kvtel_attempt *try, uint32_t i);

/* Whether the cells that no value has hold none, and are not the first or the last of the histogram's range. Adding the
 * cells relies on it. `cells`: start of its copy. */
bool kvtel_feed_are_used(const struct kvtel_attempt *try, uint32_t i, const uint64_t *cells);

/* Whether a histogram's cells hold as many values as its slots and its block allow, and how many of the block are in
 * them: try->in_cells[i]. `cells`: start of its copy. */
bool kvtel_feed_is_possible(struct kvtel_attempt *try, uint32_t i, const uint64_t *cells);

/* Adds all feeds, or none. KVTEL_OK; KVTEL_E_FORMAT: a correct writer cannot have produced the words; KVTEL_E_NOMEM. */
enum kvtel_status kvtel_attempt_add(struct kvtel_attempt *try);

/* Adds one feed of a writer that folds faster than a column can be copied. The retries took longer than a fold, so
 * every row that an earlier snapshot counted is in the bins by now; taking the bins alone cannot make a counter go
 * backwards. The sum may lack rows that were written during this call. */
enum kvtel_status kvtel_attempt_add_moving(struct kvtel_attempt *try);

#endif
