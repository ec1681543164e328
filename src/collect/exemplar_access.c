/* SPDX-License-Identifier: Apache-2.0 */
/* The public functions that read an exemplar. */
#include "collect/series.h"

#include <string.h>

/* Whether a value is in the bins first .. end - 1. */
static bool is_used(const struct kvtel_snapshot_series *series, uint32_t first, uint64_t end)
{
    for (uint32_t i = 0; i < series->bin_count; i++)
        if (series->first_bin + i >= first && series->first_bin + (uint64_t)i < end && series->bins[i] > 0)
            return true;
    return false;
}

const struct kvtel_snapshot_exemplar *kvtel_snapshot_exemplar(const struct kvtel_snapshot_family *family,
                                                              const struct kvtel_snapshot_series *series, size_t i)
{
    if (!series->exemplars || i >= series->exemplar_count || i > family->explicit_count ||
        series->exemplars[i].time_ns == 0)
        return NULL;
    const uint32_t first = i > 0 ? family->explicit_bins[i - 1] + 1 : 0;
    const uint64_t end = i < family->explicit_count ? family->explicit_bins[i] + UINT64_C(1) : UINT64_MAX;
    return is_used(series, first, end) ? &series->exemplars[i] : NULL;
}

double kvtel_snapshot_exemplar_value(const struct kvtel_snapshot_exemplar *exemplar)
{
    return exemplar->value;
}

uint64_t kvtel_snapshot_exemplar_time_ns(const struct kvtel_snapshot_exemplar *exemplar)
{
    return exemplar->time_ns;
}

/* The i-th of the names and values; NULL: there are fewer. */
static const char *text_of(const struct kvtel_snapshot_exemplar *exemplar, size_t i)
{
    const char *text = exemplar->text, *end = text + exemplar->text_size;
    for (; i > 0 && text < end; i--)
        text += strlen(text) + 1;
    return text < end ? text : NULL;
}

size_t kvtel_snapshot_exemplar_label_count(const struct kvtel_snapshot_exemplar *exemplar)
{
    size_t count = 0;
    while (text_of(exemplar, 2 * count))
        count++;
    return count;
}

const char *kvtel_snapshot_exemplar_label_name(const struct kvtel_snapshot_exemplar *exemplar, size_t i)
{
    return i < KVTEL_EXEMPLAR_BYTES ? text_of(exemplar, 2 * i) : NULL;
}

const char *kvtel_snapshot_exemplar_label(const struct kvtel_snapshot_exemplar *exemplar, size_t i)
{
    return i < KVTEL_EXEMPLAR_BYTES ? text_of(exemplar, 2 * i + 1) : NULL;
}
