/* SPDX-License-Identifier: Apache-2.0 */
/* Points: how they are kept, and how they age. */
#include "history/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* -- Bytes -- */

static struct history_block *make_block(const void *bytes, size_t size)
{
    struct history_block *block = malloc(sizeof *block + size);
    if (!block)
        return NULL;
    block->users = 1;
    memcpy(block->bytes, bytes, size);
    return block;
}

void history_block_release(struct history_block *block)
{
    if (--block->users == 0)
        free(block);
}

struct history_bytes history_point_bytes(const struct history_point *point)
{
    return (struct history_bytes){ point->block->bytes, point->block->bytes + point->size };
}

/* -- Points age -- */

void history_drop_point(struct history *history, size_t at)
{
    history->memory -= history->points[at].size;
    history_block_release(history->points[at].block);
    history->count--;
    memmove(&history->points[at], &history->points[at + 1], (history->count - at) * sizeof *history->points);
}

enum kvtel_status history_point_add(struct history *history, double end, double seconds, const void *bytes, size_t size)
{
    if (history->count == HISTORY_POINTS)
        history_drop_point(history, 0);
    struct history_block *block = make_block(bytes, size);
    if (!block)
        return KVTEL_E_NOMEM;
    history->points[history->count++] = (struct history_point){ end, seconds, block, size };
    history->memory += size;
    return KVTEL_OK;
}

/* How many seconds a point should cover that ended so long ago. */
static double span_of(const struct history *history, double age)
{
    return age > history->duration / 4    ? history->step * HISTORY_THIRD
           : age > history->duration / 12 ? history->step * HISTORY_SECOND
                                          : 0;
}

/* Whether nothing is missing between a point and the next one. */
static bool is_gapless(const struct history *history, size_t at)
{
    const struct history_point *second = &history->points[at + 1];
    return second->end - second->seconds - history->points[at].end < history->step / 2;
}

/* Whether two points that follow each other are to be one by now: both are in the same stretch of time. */
static bool belong_together(const struct history *history, size_t at, double time)
{
    const struct history_point *first = &history->points[at], *second = &history->points[at + 1];
    const double span = span_of(history, time - second->end), half = history->step / 2;
    return span > 0 && is_gapless(history, at) &&
           floor((first->end - half) / span) == floor((second->end - half) / span);
}

/* Makes one point of two. Without memory they stay two. */
static bool merge(struct history *history, size_t at)
{
    struct history_point *first = &history->points[at], *second = &history->points[at + 1];
    history->scratch.size = 0;
    if (history_merge(history_point_bytes(first), history_point_bytes(second), &history->scratch) != KVTEL_OK)
        return false;
    struct history_block *block = make_block(history->scratch.bytes, history->scratch.size);
    if (!block)
        return false;
    second->seconds += first->seconds;
    history->memory += history->scratch.size - second->size;
    history_block_release(second->block);
    second->block = block;
    second->size = history->scratch.size;
    history_drop_point(history, at);
    return true;
}

size_t history_memory_of(const struct history *history)
{
    return sizeof *history + history->memory + history->entries.names_memory + history->entries.counts_memory +
           history->scratch.capacity + (history->entries.all ? HISTORY_ENTRIES * sizeof *history->entries.all : 0);
}

/* Merges the two points that are shortest for their age; where that cannot be, the oldest point goes. */
static void make_room(struct history *history, double time)
{
    size_t best = history->count;
    double least = INFINITY;
    for (size_t i = 0; i + 1 < history->count; i++) {
        const struct history_point *first = &history->points[i], *second = &history->points[i + 1];
        const double length = (first->seconds + second->seconds) / (time - first->end + history->step);
        if (is_gapless(history, i) && length < least) {
            least = length;
            best = i;
        }
    }
    if (best == history->count || !merge(history, best))
        history_drop_point(history, 0);
}

void history_age(struct history *history, double time)
{
    while (history->count > 0 && time - history->points[0].end > history->duration)
        history_drop_point(history, 0);
    while (history->count > 0 && history->points[history->count - 1].end > time + 1)
        history_drop_point(history, history->count - 1); /* the clock was set back */
    for (size_t i = 0; i + 1 < history->count;)
        if (!belong_together(history, i, time) || !merge(history, i))
            i++;
    while (history->count > 1 && history_memory_of(history) > HISTORY_MEMORY)
        make_room(history, time);
}
