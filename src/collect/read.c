/* SPDX-License-Identifier: Apache-2.0 */
/* One series of a store of this process, without a snapshot. */
#include "collect/collect.h"
#include "record/store.h"

#include <kvtel/snapshot.h>
#include <stdlib.h>
#include <string.h>

/* The view's series of a name and label values; its series_count: there is none. */
static uint32_t find(const struct kvtel_view *view, const char *name, const char *const *values, size_t count)
{
    uint32_t i = 0;
    for (; i < view->series_count; i++) {
        const struct kvtel_layout_family *family = &view->families[view->series[i].family];
        const char *text = view->strings + view->series[i].text_at;
        if (family->label_count != count || kvtel_layout_is_removed(&view->series[i]) ||
            strcmp(view->strings + family->text_at, name) != 0)
            continue;
        size_t k = 0;
        for (; k < count && strcmp(text, values[k]) == 0; k++)
            text += strlen(text) + 1;
        if (k == count)
            break;
    }
    return i;
}

static enum kvtel_status collect(const struct kvtel_view *view, uint32_t series, struct kvtel_collected *collected,
                                 struct kvtel_reading *reading)
{
    struct kvtel_bins *layouts = NULL;
    struct kvtel_arena arena = { 0 };
    struct kvtel_scratch scratch = { 0 };
    enum kvtel_status status = KVTEL_OK;
    for (uint32_t i = 0; i < view->series_count && status == KVTEL_OK; i++) {
        const struct kvtel_layout_family *family = &view->families[view->series[i].family];
        if (family->type == KVTEL_HISTOGRAM)
            collected[i].layout =
                kvtel_bins_get(&layouts, family->bound_count > 0 ? view->bounds + family->bounds_at : NULL,
                               family->bound_count, family->exponential_first, family->exponential_count);
        status = family->type == KVTEL_HISTOGRAM && !collected[i].layout ? KVTEL_E_NOMEM : KVTEL_OK;
    }
    if (status == KVTEL_OK)
        status = kvtel_collect(view, &arena, &scratch, &(struct kvtel_collect_part){ 0 }, collected);
    if (status == KVTEL_OK)
        *reading = (struct kvtel_reading){ .value = collected[series].value,
                                           .sum = collected[series].sum,
                                           .count = collected[series].count,
                                           .stamp_ns = collected[series].stamp,
                                           .started_ns = view->series[series].started_realtime_ns };
    kvtel_scratch_free(&scratch);
    kvtel_arena_free(&arena);
    kvtel_bins_free(layouts);
    return status;
}

enum kvtel_status kvtel_store_read(const struct kvtel_store *store, const char *name, const char *const *values,
                                   size_t count, struct kvtel_reading *reading)
{
    struct kvtel_view view = kvtel_store_view(store);
    uint32_t series = find(&view, name, values, count);
    if (series == view.series_count)
        return KVTEL_E_UNKNOWN;
    struct kvtel_collected *collected = calloc(view.series_count, sizeof *collected);
    enum kvtel_status status = collected ? collect(&view, series, collected, reading) : KVTEL_E_NOMEM;
    free(collected);
    return status;
}
