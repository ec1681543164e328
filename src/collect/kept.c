/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the numbers of a store for times when it cannot be read. */
#include "collect/kept.h"

#include <stdlib.h>
#include <string.h>

static size_t count_bins(const struct kvtel_collected *series, uint32_t count)
{
    size_t words = 0;
    for (uint32_t i = 0; i < count; i++)
        words += series[i].bin_count;
    return words;
}

static bool reserve(struct kvtel_kept *kept, uint32_t count, size_t words)
{
    if (count > kept->series_room) {
        struct kvtel_collected *series = realloc(kept->series, count * sizeof(*series));
        if (!series)
            return false;
        kept->series = series;
        kept->series_room = count;
    }
    if (words > kept->bins_room) {
        /* new memory, not realloc(): the kept numbers stay complete until all of them can be replaced */
        uint64_t *bins = malloc((words + words / 4) * sizeof(*bins));
        if (!bins)
            return false;
        for (uint32_t i = 0; kept->valid && i < kept->count; i++) {
            if (kept->series[i].bin_count == 0)
                continue;
            uint64_t *moved = bins + (kept->series[i].bins - kept->bins);
            memcpy(moved, kept->series[i].bins, kept->series[i].bin_count * sizeof(*bins));
            kept->series[i].bins = moved;
        }
        free(kept->bins);
        kept->bins = bins;
        kept->bins_room = words + words / 4;
    }
    return true;
}

void kvtel_kept_take(struct kvtel_kept *kept, const struct kvtel_collected *series, uint32_t count)
{
    if (!reserve(kept, count, count_bins(series, count)))
        return;
    uint64_t *bins = kept->bins;
    for (uint32_t i = 0; i < count; i++) {
        struct kvtel_collected *copy = &kept->series[i];
        *copy = series[i];
        copy->layout = NULL;
        copy->bins = copy->bin_count > 0 ? bins : NULL;
        if (copy->bin_count == 0)
            continue;
        memcpy(bins, series[i].bins, copy->bin_count * sizeof(*bins));
        bins += copy->bin_count;
    }
    kept->count = count;
    kept->valid = true;
}

bool kvtel_kept_give(const struct kvtel_kept *kept, struct kvtel_arena *arena, struct kvtel_collected *series,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count && i < kept->count; i++) {
        const struct kvtel_collected *from = &kept->series[i];
        struct kvtel_collected *to = &series[i];
        const struct kvtel_bins *layout = to->layout;
        if (from->bin_count > 0 && !layout)
            continue; /* the snapshot leaves its family out */
        *to = *from;
        to->layout = layout;
        if (from->bin_count == 0)
            continue;
        to->bins = kvtel_arena_alloc(arena, from->bin_count * sizeof(*to->bins));
        if (!to->bins)
            return false;
        memcpy(to->bins, from->bins, from->bin_count * sizeof(*to->bins));
    }
    return true;
}

void kvtel_kept_free(struct kvtel_kept *kept)
{
    free(kept->series);
    free(kept->bins);
    *kept = (struct kvtel_kept){ 0 };
}

enum kvtel_status kvtel_collect(const struct kvtel_view *view, struct kvtel_arena *arena, struct kvtel_scratch *scratch,
                                struct kvtel_collected *series)
{
    if (view->from_kept)
        return kvtel_kept_give(view->kept, arena, series, view->series_count) ? KVTEL_OK : KVTEL_E_NOMEM;
    enum kvtel_status status = kvtel_collect_lanes(view, arena, scratch, series);
    if (view->kept && (status == KVTEL_OK || status == KVTEL_E_MISMATCH))
        kvtel_kept_take(view->kept, series, view->series_count);
    return status;
}
