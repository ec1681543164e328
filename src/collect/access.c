/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions that read a snapshot's family or series. */
#include "collect/series.h"

#include <math.h>

const char *kvtel_snapshot_name(const struct kvtel_snapshot_family *family)
{
    return family->name;
}

enum kvtel_metric_type kvtel_snapshot_type(const struct kvtel_snapshot_family *family)
{
    return family->type;
}

const char *kvtel_snapshot_help(const struct kvtel_snapshot_family *family)
{
    return family->help;
}

enum kvtel_unit kvtel_snapshot_unit(const struct kvtel_snapshot_family *family)
{
    return family->unit;
}

size_t kvtel_snapshot_label_count(const struct kvtel_snapshot_family *family)
{
    return family->label_count;
}

const char *kvtel_snapshot_label_name(const struct kvtel_snapshot_family *family, size_t i)
{
    return i < family->label_count ? family->labelnames[i] : NULL;
}

size_t kvtel_snapshot_bound_count(const struct kvtel_snapshot_family *family)
{
    return family->explicit_count;
}

double kvtel_snapshot_bound(const struct kvtel_snapshot_family *family, size_t i)
{
    return i < family->explicit_count ? family->bounds[family->explicit_bins[i]] : HUGE_VAL;
}

size_t kvtel_snapshot_series_count(const struct kvtel_snapshot_family *family)
{
    return family->series_count;
}

const struct kvtel_snapshot_series *kvtel_snapshot_series(const struct kvtel_snapshot_family *family, size_t i)
{
    return i < family->series_count ? &family->series[i] : NULL;
}

const char *kvtel_snapshot_label(const struct kvtel_snapshot_series *series, size_t i)
{
    return series->values[i];
}

void kvtel_snapshot_read(const struct kvtel_snapshot_series *series, struct kvtel_reading *reading)
{
    *reading = (struct kvtel_reading){
        .value = series->value,
        .sum = series->sum,
        .count = series->count,
        .stamp_ns = series->stamp,
        .started_ns = series->started,
    };
}

uint64_t kvtel_snapshot_count_up_to(const struct kvtel_snapshot_family *family,
                                    const struct kvtel_snapshot_series *series, double bound, double *counted)
{
    size_t bins = 0, end = family->bound_count; /* bins of which the upper bound is at most `bound` */
    while (bins < end) {
        size_t middle = bins + (end - bins) / 2;
        if (family->bounds[middle] <= bound)
            bins = middle + 1;
        else
            end = middle;
    }
    bool all = bound == HUGE_VAL;
    if (counted)
        *counted = all ? bound : bins > 0 ? family->bounds[bins - 1] : (double)NAN;
    uint64_t count = all ? series->count : 0;
    for (uint32_t k = 0; !all && k < series->bin_count && series->first_bin + k < bins; k++)
        count += series->bins[k];
    return count;
}
