/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a source's histograms have the counts of their parts. */
#include "collect/source.h"

/* Sums up what is missing; `all`: also of series whose numbers are not new, which are new from then on for those who
 * point to them. */
static void sum_parts(struct kvtel_source *source, const struct kvtel_view *view, const struct kvtel_worker *worker,
                      bool all)
{
    for (uint32_t i = 0; i < source->series_count && i < view->series_count; i++) {
        struct kvtel_source_series *series = &source->series[i];
        const struct kvtel_bins *layout = worker->of_families[view->series[i].family];
        if (!layout || layout->exponential_count == 0 || (!all && series->changed != source->state))
            continue;
        kvtel_source_series_sum_parts(series, layout);
        series->changed = source->state;
    }
}

static void drop_parts(struct kvtel_source *source)
{
    for (uint32_t i = 0; i < source->series_count; i++) {
        if (!source->series[i].parts)
            continue;
        kvtel_source_series_drop_parts(&source->series[i]);
        source->series[i].changed = source->state;
    }
}

void kvtel_source_keep_parts(struct kvtel_source *source, const struct kvtel_view *view, struct kvtel_worker *worker,
                             bool moved)
{
    const bool wanted = kvtel_worker_wants_parts(worker), all = wanted != source->has_parts;
    if (!all && !(wanted && moved))
        return;
    if (wanted && !kvtel_worker_find_layouts(worker, view))
        return;
    source->state += all;
    source->has_parts = wanted;
    if (wanted)
        sum_parts(source, view, worker, all);
    else
        drop_parts(source);
}
