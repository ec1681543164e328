/* SPDX-License-Identifier: Apache-2.0 */
/* The row groups of a store. */
#include "record/hold.h"
#include "record/tables.h"

#include <stdlib.h>
#include <string.h>

static bool same_feeds(const struct kvtel_row_group *group, const struct kvtel_row_group_feed *feeds, size_t count,
                       struct kvtel_row_group_columns columns)
{
    if (group->feed_count != count || group->columns != columns.count || group->ns != columns.ns)
        return false;
    if ((group->doubles & ~columns.doubles) != 0) /* its folds read doubles where the caller would write integers */
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_local_feed *feed = &group->feeds[i];
        if (feed->series != feeds[i].series || feed->column != feeds[i].column || feed->kind != (uint16_t)feeds[i].kind)
            return false;
    }
    return true;
}

static enum kvtel_status append_group(struct kvtel_store *store, struct kvtel_row_group *group)
{
    size_t feeds_size = group->feed_count * sizeof(struct kvtel_layout_feed);
    enum kvtel_status status;
    if ((status = kvtel_table_reserve(store, KVTEL_FEEDS, feeds_size)) != KVTEL_OK ||
        (status = kvtel_table_reserve(store, KVTEL_GROUPS, sizeof(struct kvtel_layout_group))) != KVTEL_OK ||
        (status = kvtel_lanes_reserve(store, 1, (uint64_t)group->columns * KVTEL_BLOCK_ROWS)) != KVTEL_OK)
        return status;
    struct kvtel_layout_group record = { .columns = group->columns, .feed_count = group->feed_count, .ns = group->ns };
    uint64_t id = atomic_load_explicit(&store->header->group_count, memory_order_relaxed);
    const bool in_line = id < KVTEL_LINE_GROUPS;
    record.slot = group->slot = kvtel_lanes_take_slots(store, 1);
    group->head_part = in_line ? KVTEL_PART_LINE : KVTEL_PART_WORDS;
    group->head_mask = in_line ? UINT8_MAX : 0;
    group->head_at = in_line ? KVTEL_LINE_HEADS + id : (uint64_t)group->slot * KVTEL_SLOT_WORDS + KVTEL_SLOT_HEAD;
    record.block_at = group->block_at = kvtel_lanes_take_words(store, (uint64_t)group->columns * KVTEL_BLOCK_ROWS);
    record.feeds_at = (uint32_t)(store->tables[KVTEL_FEEDS].used / sizeof(struct kvtel_layout_feed));
    struct kvtel_layout_feed *feeds = kvtel_table_take(store, KVTEL_FEEDS, feeds_size);
    for (uint32_t i = 0; i < group->feed_count; i++)
        feeds[i] = (struct kvtel_layout_feed){ group->feeds[i].series, group->feeds[i].column, group->feeds[i].kind };
    memcpy(kvtel_table_take(store, KVTEL_GROUPS, sizeof(record)), &record, sizeof(record));
    atomic_store_explicit(&store->header->group_count, id + 1, memory_order_release); /* pairs as family_count does */
    group->next = store->groups;
    store->groups = group;
    for (uint32_t i = 0; i < group->feed_count; i++) {
        struct kvtel_series_local *series = &store->series[group->feeds[i].series];
        const uint32_t own = UINT32_C(1) << group->feeds[i].column, all = (UINT32_C(1) << group->columns) - 1;
        series->column = (uint8_t)group->feeds[i].column;
        series->noted = (all & ~own) | (own & ~group->doubles) << KVTEL_NOTED_DOUBLES;
        atomic_store_explicit(&series->group, group,
                              memory_order_release); /* pairs with a lane's owner's acquire load */
    }
    return KVTEL_OK;
}

/* Whether the feeds are valid. Each series may occur once only, because its slot counts the folds of the group. */
static bool are_feeds(const struct kvtel_row_group_feed *feeds, size_t count, uint32_t columns)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (feeds[i].series == feeds[j].series)
                return false;
        }
        if (feeds[i].column >= columns)
            return false;
    }
    return columns <= KVTEL_LAYOUT_COLUMNS && count <= KVTEL_LAYOUT_COLUMNS;
}

/* Whether each of the first four columns feeds one histogram. Then a faster fold takes them together. */
static void choose_fold(struct kvtel_row_group *group)
{
    const struct kvtel_bins *bins[KVTEL_QUAD] = { NULL };
    uint32_t found = 0;
    group->finder = kvtel_finder_choose();
    if (group->columns < KVTEL_QUAD)
        return;
    for (uint32_t i = 0; i < group->feed_count; i++) {
        const struct kvtel_local_feed *feed = &group->feeds[i];
        if (feed->kind != KVTEL_COLUMN_OBSERVE || feed->column >= KVTEL_QUAD)
            continue;
        found += bins[feed->column] ? KVTEL_QUAD : 1; /* a column with two histograms does not count */
        bins[feed->column] = feed->bins;
        group->quad_feeds[feed->column] = (uint8_t)i;
    }
    if (found != KVTEL_QUAD)
        return;
    kvtel_quad_make(&group->quad, group->columns, bins, group->ns);
    group->is_quad = true;
}

enum kvtel_status kvtel_store_row_group(struct kvtel_store *store, const struct kvtel_row_group_feed *feeds,
                                        size_t count, struct kvtel_row_group_columns columns,
                                        const struct kvtel_row_group **made)
{
    if (!are_feeds(feeds, count, columns.count))
        return KVTEL_E_ARGUMENT;
    struct kvtel_row_group *group = malloc(sizeof(*group) + count * sizeof(struct kvtel_local_feed));
    if (!group)
        return KVTEL_E_NOMEM;
    *group = (struct kvtel_row_group){
        .columns = columns.count, .ns = columns.ns, .doubles = columns.doubles, .feed_count = (uint32_t)count
    };
    enum kvtel_status status = KVTEL_OK;
    struct kvtel_hold hold;
    if (!kvtel_store_hold(store, &hold)) {
        free(group);
        return KVTEL_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct kvtel_series_local *series = &store->series[feeds[i].series];
        struct kvtel_row_group *other = atomic_load_explicit(&series->group, memory_order_relaxed);
        if (other) {
            status = same_feeds(other, feeds, count, columns) ? KVTEL_OK : KVTEL_E_BUSY;
            if (status == KVTEL_OK)
                *made = other;
            kvtel_store_release(store, &hold);
            free(group);
            return status;
        }
        group->feeds[i] =
            (struct kvtel_local_feed){ .bins = series->bins, .cells_at = series->cells_at, .series = feeds[i].series };
        group->feeds[i].slot = series->slot;
        group->feeds[i].column = feeds[i].column;
        group->feeds[i].kind = (uint16_t)feeds[i].kind;
    }
    choose_fold(group);
    status = append_group(store, group);
    kvtel_store_release(store, &hold);
    if (status == KVTEL_OK)
        *made = group;
    else
        free(group);
    return status;
}
