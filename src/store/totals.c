/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot written as a store. */
#include "store/totals.h"

#include "base/error.h"
#include "store/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* The explicit buckets of a family, out of its bins. */
static enum kvtel_status add_family(struct kvtel_store *store, const struct kvtel_snapshot_family *family, uint32_t *made)
{
    double *bounds = malloc((family->explicit_count + 1) * sizeof *bounds);
    if (!bounds)
        return KVTEL_E_NOMEM;
    for (size_t i = 0; i < family->explicit_count; i++)
        bounds[i] = family->bounds[family->explicit_bins[i]];
    const struct kvtel_buckets buckets = { .bounds = bounds, .count = family->explicit_count };
    const struct kvtel_family_spec spec = {
        .name = family->name,
        .type = family->type,
        .help = family->help,
        .labelnames = family->labelnames,
        .label_count = family->label_count,
        .buckets = &buckets,
        .unit = family->unit,
    };
    enum kvtel_status status = kvtel_store_family(store, &spec, made);
    free(bounds);
    const struct kvtel_bins *bins = status == KVTEL_OK ? store->families[*made].bins : NULL;
    if (status == KVTEL_OK && family->type == KVTEL_HISTOGRAM &&
        (bins->bound_count != family->bound_count ||
         memcmp(bins->bounds, family->bounds, family->bound_count * sizeof *bounds) != 0))
        status = KVTEL_E_MISMATCH;
    return status;
}

/* The store is nobody else's yet: plain stores into the first lane, in the places that seq 0 makes valid. */
static void put_values(struct kvtel_lane *lane, uint32_t series, enum kvtel_metric_type type,
                       const struct kvtel_snapshot_series *from)
{
    const struct kvtel_series_local *local = &lane->store->series[series];
    kvtel_word *slot = kvtel_lane_slot(lane, local->slot);
    if (type == KVTEL_COUNTER) {
        kvtel_word_store(slot + KVTEL_SLOT_DIRECT, kvtel_double_bits(from->value));
        return;
    }
    if (type == KVTEL_GAUGE) {
        kvtel_word_store(slot + KVTEL_SLOT_VALUE, kvtel_double_bits(from->value));
        kvtel_word_store(slot + KVTEL_SLOT_STAMP, from->stamp);
        return;
    }
    for (uint32_t i = 0; i < from->bin_count; i++)
        kvtel_word_store(lane->words + local->bins_at + from->first_bin + i, from->bins[i]);
    kvtel_word_store(slot + KVTEL_SLOT_SUM, kvtel_double_bits(from->sum));
    kvtel_word_store(slot + KVTEL_SLOT_COUNT, from->count);
    kvtel_word_store(slot + KVTEL_SLOT_FIRST, from->first_bin);
    kvtel_word_store(slot + KVTEL_SLOT_END, from->first_bin + from->bin_count);
}

static enum kvtel_status fill(struct kvtel_store *store, const struct kvtel_snapshot *snapshot)
{
    struct kvtel_lane *lane;
    enum kvtel_status status = kvtel_lane_open(store, &lane);
    for (size_t f = 0; f < kvtel_snapshot_family_count(snapshot) && status == KVTEL_OK; f++) {
        const struct kvtel_snapshot_family *family = kvtel_snapshot_family(snapshot, f);
        uint32_t made, series;
        if (strcmp(family->name, KVTEL_TOTALS_FAMILY) == 0)
            continue;
        status = add_family(store, family, &made);
        for (size_t s = 0; s < family->series_count && status == KVTEL_OK; s++) {
            status = kvtel_store_series(store, made, family->series[s].values, family->label_count, &series);
            if (status == KVTEL_OK)
                put_values(lane, series, family->type, &family->series[s]);
        }
    }
    return status;
}

static enum kvtel_status name_included(struct kvtel_store *store, const char *const *included, size_t count)
{
    static const char *const label = KVTEL_TOTALS_LABEL;
    const struct kvtel_family_spec spec = {
        .name = KVTEL_TOTALS_FAMILY,
        .type = KVTEL_GAUGE,
        .help = "Stores whose numbers are in these totals although their files may still be there.",
        .labelnames = &label,
        .label_count = 1,
    };
    uint32_t family, series;
    enum kvtel_status status = kvtel_store_family(store, &spec, &family);
    for (size_t i = 0; i < count && status == KVTEL_OK; i++)
        status = kvtel_store_series(store, family, &included[i], 1, &series);
    return status;
}

enum kvtel_status kvtel_totals_write(const char *dir, const char *name, const char *kind, const struct kvtel_snapshot *snapshot,
                                     const char *const *included, size_t included_count, struct kvtel_error *error)
{
    /* Address space only; there is one lane. */
    const struct kvtel_store_options options = {
        .size = sizeof options, .connector = kind, .max_series = 1u << 20, .max_lanes = 1, .lane_bytes = 1u << 30
    };
    char path[PATH_SIZE], temporary[PATH_SIZE];
    struct kvtel_store *store;
    int length = snprintf(path, sizeof path, "%s/%s", dir, name);
    if (length < 0 || (size_t)length >= sizeof path || snprintf(temporary, sizeof temporary, "%s/.%s.new", dir, name) >= PATH_SIZE)
        return kvtel_fail(error, KVTEL_E_IO, 0, "the directory's name is too long");
    int fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return kvtel_fail(error, KVTEL_E_IO, 0, "%.100s: %s", temporary, strerrordesc_np(errno));
    enum kvtel_status status = kvtel_store_make(&options, fd, &store);
    if (status != KVTEL_OK) {
        (void)close(fd);
    } else {
        status = fill(store, snapshot);
        if (status == KVTEL_OK)
            status = name_included(store, included, included_count);
        kvtel_store_close(store);
    }
    if (status == KVTEL_OK && rename(temporary, path) != 0)
        status = KVTEL_E_IO;
    if (status == KVTEL_OK)
        return KVTEL_OK;
    (void)unlink(temporary);
    return kvtel_fail(error, status, 0, "totals of ended stores could not be kept: %s",
                      status == KVTEL_E_NOMEM ? "no room in the directory" : kvtel_status_text(status));
}
