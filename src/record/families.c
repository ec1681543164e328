/* SPDX-License-Identifier: Apache-2.0 */
/* The families of a store. */
#include "base/metric.h"
#include "record/hold.h"
#include "record/tables.h"

#include <string.h>

static enum kvtel_status check_spec(const struct kvtel_family_spec *spec, size_t *bound_count)
{
    *bound_count = spec->type == KVTEL_HISTOGRAM && spec->buckets ? spec->buckets->count : 0;
    if (!kvtel_is_name(spec->name, true) || (unsigned)spec->type > KVTEL_HISTOGRAM ||
        (unsigned)spec->unit > KVTEL_UNIT_RATIO)
        return KVTEL_E_ARGUMENT;
    if ((spec->label_count > 0 && !spec->labelnames) || (*bound_count > 0 && !spec->buckets->bounds))
        return KVTEL_E_ARGUMENT;
    for (size_t i = 0; i < spec->label_count; i++) {
        if (!kvtel_is_name(spec->labelnames[i], false) ||
            (spec->type == KVTEL_HISTOGRAM && strcmp(spec->labelnames[i], "le") == 0))
            return KVTEL_E_ARGUMENT;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(spec->labelnames[k], spec->labelnames[i]) == 0)
                return KVTEL_E_ARGUMENT;
        }
    }
    for (size_t i = 0; i < *bound_count; i++) {
        if (!kvtel_is_bound(spec->buckets->bounds[i], i > 0 ? spec->buckets->bounds[i - 1] : -1))
            return KVTEL_E_ARGUMENT;
    }
    return spec->label_count > KVTEL_LAYOUT_LABELS || *bound_count > KVTEL_LAYOUT_BOUNDS ? KVTEL_E_LIMIT : KVTEL_OK;
}

static bool same_family(const struct kvtel_store *store, const struct kvtel_layout_family *family,
                        const struct kvtel_family_spec *spec, size_t bound_count)
{
    const char *help = (const char *)kvtel_store_table(store, KVTEL_STRINGS) + family->text_at + strlen(spec->name) + 1;
    const double *bounds = (const double *)kvtel_store_table(store, KVTEL_BOUNDS) + family->bounds_at;
    return family->type == (uint32_t)spec->type && family->label_count == spec->label_count &&
           family->bound_count == bound_count &&
           (spec->type != KVTEL_HISTOGRAM || family->unit == (uint32_t)spec->unit) &&
           kvtel_texts_equal(help + strlen(help) + 1, spec->labelnames, spec->label_count) &&
           (bound_count == 0 || memcmp(bounds, spec->buckets->bounds, bound_count * sizeof(double)) == 0);
}

/* KVTEL_INDEX_NONE: not found. */
static uint32_t find_family(const struct kvtel_store *store, const char *name, uint32_t hash)
{
    const struct kvtel_layout_family *families = kvtel_store_table(store, KVTEL_FAMILIES);
    const char *strings = kvtel_store_table(store, KVTEL_STRINGS);
    size_t probe = 0;
    for (uint32_t id; (id = kvtel_index_next(&store->index, hash, &probe)) != KVTEL_INDEX_NONE;) {
        if (id & KVTEL_FAMILY_BIT && strcmp(strings + families[id & ~KVTEL_FAMILY_BIT].text_at, name) == 0)
            return id & ~KVTEL_FAMILY_BIT;
    }
    return KVTEL_INDEX_NONE;
}

static enum kvtel_status append_family(struct kvtel_store *store, const struct kvtel_family_spec *spec,
                                       size_t bound_count, uint32_t hash, uint32_t *family)
{
    const char *texts[2 + KVTEL_LAYOUT_LABELS] = { spec->name, spec->help ? spec->help : "" };
    for (size_t i = 0; i < spec->label_count; i++)
        texts[2 + i] = spec->labelnames[i];
    size_t text_count = 2 + spec->label_count, size = kvtel_texts_size(texts, text_count);
    struct kvtel_layout_family record = { .type = (uint32_t)spec->type,
                                          .unit = (uint32_t)spec->unit,
                                          .text_size = (uint32_t)size };
    record.label_count = (uint32_t)spec->label_count;
    record.bound_count = (uint32_t)bound_count;
    record.bounds_at = (uint32_t)(store->tables[KVTEL_BOUNDS].used / sizeof(double));
    if (spec->type == KVTEL_HISTOGRAM)
        kvtel_bins_range(spec->unit, &record.exponential_first, &record.exponential_count);

    enum kvtel_status status;
    if (size > UINT32_MAX)
        return KVTEL_E_LIMIT;
    if ((status = kvtel_table_reserve(store, KVTEL_STRINGS, size)) != KVTEL_OK ||
        (status = kvtel_table_reserve(store, KVTEL_BOUNDS, bound_count * sizeof(double))) != KVTEL_OK ||
        (status = kvtel_table_reserve(store, KVTEL_FAMILIES, sizeof(record))) != KVTEL_OK)
        return status;
    const struct kvtel_bins *bins = NULL;
    if (!kvtel_index_reserve(&store->index) ||
        (spec->type == KVTEL_HISTOGRAM &&
         !(bins = kvtel_bins_get(&store->bins, bound_count ? spec->buckets->bounds : NULL, (uint32_t)bound_count,
                                 record.exponential_first, record.exponential_count))))
        return KVTEL_E_NOMEM;

    uint32_t id = (uint32_t)atomic_load_explicit(&store->header->family_count, memory_order_relaxed);
    record.text_at = kvtel_texts_put(store, texts, text_count);
    if (bound_count > 0)
        memcpy(kvtel_table_take(store, KVTEL_BOUNDS, bound_count * sizeof(double)), spec->buckets->bounds,
               bound_count * sizeof(double));
    memcpy(kvtel_table_take(store, KVTEL_FAMILIES, sizeof(record)), &record, sizeof(record));
    store->families[id] = (struct kvtel_family_local){ .bins = bins };
    kvtel_index_put(&store->index, hash, id | KVTEL_FAMILY_BIT);
    /* pairs with the acquire loads of kvtel_store_view() and of the reader of a file */
    atomic_store_explicit(&store->header->family_count, id + 1, memory_order_release);
    *family = id;
    return KVTEL_OK;
}

enum kvtel_status kvtel_store_find_family(struct kvtel_store *store, const char *name, uint32_t *family)
{
    struct kvtel_hold hold;
    if (!name)
        return KVTEL_E_UNKNOWN;
    if (!kvtel_store_is_own(store) || !kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    const uint32_t id = find_family(store, name, kvtel_texts_hash(KVTEL_FAMILY_BIT, &name, 1));
    kvtel_store_release(store, &hold);
    if (id == KVTEL_INDEX_NONE)
        return KVTEL_E_UNKNOWN;
    *family = id;
    return KVTEL_OK;
}

enum kvtel_status kvtel_store_family(struct kvtel_store *store, const struct kvtel_family_spec *spec, uint32_t *family)
{
    size_t bound_count;
    enum kvtel_status status = kvtel_store_is_own(store) ? check_spec(spec, &bound_count) : KVTEL_E_BUSY;
    if (status != KVTEL_OK)
        return status;
    uint32_t hash = kvtel_texts_hash(KVTEL_FAMILY_BIT, &spec->name, 1);
    struct kvtel_hold hold;
    if (!kvtel_store_hold(store, &hold))
        return KVTEL_E_BUSY;
    uint32_t id = find_family(store, spec->name, hash);
    if (id == KVTEL_INDEX_NONE) {
        if ((status = append_family(store, spec, bound_count, hash, family)) != KVTEL_OK)
            /* at least one label set is lost; further ones are not requested, so they are not counted */
            kvtel_store_count_series_dropped(store, 1);
    } else if (same_family(store, (struct kvtel_layout_family *)kvtel_store_table(store, KVTEL_FAMILIES) + id, spec,
                           bound_count)) {
        *family = id;
    } else {
        status = KVTEL_E_MISMATCH;
    }
    kvtel_store_release(store, &hold);
    kvtel_store_check_file(store);
    return status;
}
